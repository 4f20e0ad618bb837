"""How well do the models that may be sold agree with people whom nobody of their teachers heard?

    python benchmarks/open_weights.py --data DATA --teacher [--student FILE.onnx]
        [--whisper model.bin] [--egemaps A.npz B.npz ...]

DATA holds speech/ and voices/. Nothing in it was rated by people but EmoTale, which taught neither
teacher-open nor the student and chose nothing of theirs; ravdess_full, nemo, turev and tess were
not heard either. Correlation says whether the order is right, CCC whether level and scale are too,
the area under the curve whether arousal tells anger and happiness from sadness, neutral, calm and
boredom. Beside them eGeMAPS (openSMILE) and a support-vector machine, taught with the same speech
and the same targets; benchmarks/egemaps.py makes a file of each folder of clips: emodb, cremad,
thorsten, librispeech, emotale and, for the areas, the other four, each called as its folder.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from _data import add_data
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from edgeemo import load
from edgeemo.cli import exit_status
from edgeemo.compress.data import Clip, open_dataset, speaker_folds
from edgeemo.compress.labels.dataset import LabelledDataset
from edgeemo.compress.teachers import load_teacher
from edgeemo.compress.teachers.heads import HeadsSettings, fit_heads
from edgeemo.evaluation.metrics import ccc
from edgeemo.export.builtin_teacher import make_backbone
from edgeemo.export.open_teacher import (
    ACTED,
    BURSTS,
    LOUDEST,
    READ,
    STRANGERS,
    class_targets,
    dimension_targets,
    heard,
    level_and_scale,
    open_speech,
    taught,
)
from edgeemo.io.files import write_text
from edgeemo.types import CLASSES, DIMENSIONS, Emotion

RESULT = Path(__file__).parent / "results" / "open_weights.json"
RATED = "emotale"
AROUSED, CALM = {"anger", "happiness"}, {"sadness", "neutral", "calm", "boredom"}
ORDERED = ("ravdess_full", "nemo", "turev", "tess")
FOLDS = 5
COMMAND = "python benchmarks/open_weights.py"
TEACHER, STUDENT = "teacher-open", "wav2small-stream-open, int8"
TAUGHT = "trained on acted German, sounds of voices and read English, without ratings by people"
EGEMAPS = "eGeMAPS (openSMILE) + SVR, the same open speech"

Table = NDArray[np.floating[Any]]
Hear = Callable[[Sequence[Clip]], Table]
"""Arousal, dominance and valence [N, 3] of clips."""


@dataclass(frozen=True)
class Agreement:
    """Of one model with EmoTale's raters, and its order of arousal in other corpora."""

    name: str
    clips: int
    correlation: tuple[float, ...]
    ccc: tuple[float, ...]
    spread: tuple[float, ...]
    languages: dict[str, tuple[float, ...]]
    auc: dict[str, float]


def judge(name: str, hear: Hear, data: Path, ordered: Collection[str]) -> Agreement:
    """All figures of one model; areas under the curve of the corpora in `ordered`."""
    clips = [c for c in open_dataset(data / "speech" / RATED).clips if c.dimensions is not None]
    said, human = hear(clips), np.array([c.dimensions for c in clips])
    language = np.array([c.language for c in clips])
    return Agreement(
        name,
        len(clips),
        tuple(float(np.corrcoef(said[:, d], human[:, d])[0, 1]) for d in range(3)),
        _ccc(said, human),
        tuple(float(x) for x in said.std(0) / human.std(0)),
        {
            x: _ccc(said[language == x], human[language == x])
            for x in sorted(set(map(str, language)))
        },
        {corpus: _auc(hear, data / "speech" / corpus) for corpus in ordered},
    )


def _ccc(said: Table, human: Table) -> tuple[float, ...]:
    return tuple(float(ccc(said[:, d], human[:, d])) for d in range(3))


def _auc(hear: Hear, folder: Path) -> float:
    clips = [c for c in open_dataset(folder).clips if c.emotion in AROUSED | CALM]
    high = [c.emotion in AROUSED for c in clips]
    return float(roc_auc_score(high, hear(clips)[:, 0]))


def by_file(path: Path) -> Hear:
    """A student's file, as `edgeemo.load` runs it."""
    session = load(path)

    def hear(clips: Sequence[Clip]) -> Table:
        return np.array([_triple(session.predict(c.samples(), gate=None)) for c in clips])

    return hear


def _triple(said: Emotion) -> tuple[float | None, ...]:
    return said.arousal, said.dominance, said.valence


def by_teacher(clips: Sequence[Clip]) -> Table:
    """What teacher-open says, clipped to 0..1 as a student's estimate is."""
    teacher = load_teacher("teacher-open")
    said = teacher.label([c.samples() for c in clips]).dimensions
    assert said is not None
    return np.clip(said, 0, 1)


def by_egemaps(features: dict[str, NDArray[Any]], data: Path) -> Hear:
    """88 functionals and an SVR, with teacher-open's targets and its rule for scale and level."""
    acted = open_dataset(data / "voices" / "emodb").clips
    taught = [replace(c, corpus=ACTED) for c in acted]
    x, y = np.stack([_functionals(features, c) for c in taught]), dimension_targets(taught)
    norm = StandardScaler().fit(x)
    fits = [SVR().fit(norm.transform(x), y[:, d]) for d in range(3)]

    def plain(clips: Sequence[Clip]) -> Table:
        given = norm.transform([_functionals(features, c) for c in clips])
        return np.stack([fit.predict(given) for fit in fits], axis=1)

    folders = data / "speech"
    strange = [c for n in (*STRANGERS, READ) for c in open_dataset(folders / n).clips]
    corpus = np.array([c.corpus for c in strange])
    factor, offset = level_and_scale(plain(strange), corpus, dimension_targets(strange))
    return lambda clips: np.clip(0.5 + factor * (plain(clips) - 0.5) + offset, 0, 1)


def _functionals(features: dict[str, NDArray[Any]], clip: Clip) -> NDArray[Any]:
    return features[Path(clip.id).stem]


def _ceiling() -> dict[str, float]:
    """One rater of EmoTale against the others, as benchmarks/crossval.py measured it."""
    path = RESULT.with_name("crossval.json")
    rows = json.loads(path.read_text(encoding="utf-8"))["metrics"]["student"]
    return {row["of"]: row["human_ceiling"] for row in rows if row["measure"].startswith("ccc")}


def folds(rows: LabelledDataset) -> dict[str, Any]:
    """The teacher on people whom its heads have not heard: 5 folds of all people of all corpora.

    Returns:
        Mean recall of the classes of acted speech and of bursts, and correlation with the targets.
    """
    said, probs = np.zeros((len(rows), 3)), np.zeros((len(rows), len(CLASSES)))
    group = rows.column("group")
    for known, _ in speaker_folds({c.id: c for c in rows.clips}.values(), FOLDS, 0):
        inside = np.isin(group, sorted({c.group for c in known}))
        heads = fit_heads(
            taught(rows.take(inside)), HeadsSettings(), labels_are_text_independent=True
        )
        heard = heads.apply_to(rows.take(~inside))
        said[~inside], probs[~inside] = heard.dimensions, heard.probs
    plain = rows.copy == 0
    out: dict[str, Any] = {}
    truth, targets = class_targets(list(rows.clips)), dimension_targets(list(rows.clips))
    for name in (ACTED, BURSTS):
        mine = plain & (rows.column("corpus") == name) & ~np.isnan(truth).any(1)
        right = truth[mine].argmax(1)
        hits = probs[mine].argmax(1) == right
        out[f"recall, {name}"] = float(np.mean([hits[right == c].mean() for c in set(right)]))
    mine = plain & (rows.column("corpus") == ACTED)
    out["correlation with the targets"] = [
        float(np.corrcoef(said[mine, d], targets[mine, d])[0, 1]) for d in range(3)
    ]
    return out


def metrics(found: dict[str, Any], ceiling: dict[str, float]) -> list[dict[str, Any]]:
    """For the card of a model."""
    common = {"test_set": f"{RATED} (da, en), unseen; {TAUGHT}", "command": COMMAND}
    rows: list[dict[str, Any]] = [
        {**common, "measure": "ccc", "of": d, "value": c, "human_ceiling": ceiling[d]}
        for d, c in zip(DIMENSIONS, found["ccc"], strict=True)
    ]
    rows += [
        {"test_set": f"{RATED} ({language})", "measure": "ccc", "of": d, "value": c}
        for language, values in found["languages"].items()
        for d, c in zip(DIMENSIONS, values, strict=True)
    ]
    rows += [
        {"test_set": corpus, "measure": "auc, high against low", "of": "arousal", "value": value}
        for corpus, value in found["auc"].items()
    ]
    return rows


def main() -> None:
    """Judge all, print the table, write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_data(parser, *(f"speech/{name}" for name in (RATED, *ORDERED)), "voices/emodb")
    parser.add_argument("--teacher", action="store_true", help="judge teacher-open")
    parser.add_argument("--student", type=Path, help="the exported file")
    parser.add_argument(
        "--whisper", type=Path, help="CTranslate2 model.bin: heads on 5 folds by person too"
    )
    parser.add_argument("--cache", type=Path, default=Path("runs/open/labels"))
    parser.add_argument("--egemaps", type=Path, nargs="+", help="made by benchmarks/egemaps.py")
    args = parser.parse_args()
    hearers: dict[str, Hear] = {TEACHER: by_teacher} if args.teacher else {}
    if args.student:
        hearers[STUDENT] = by_file(args.student)
    if args.egemaps:
        features = {k: v for path in args.egemaps for k, v in np.load(path).items()}
        hearers[EGEMAPS] = by_egemaps(features, args.data)
    # What is not measured now stays as it was.
    before = json.loads(RESULT.read_text()) if RESULT.exists() else {"rows": []}
    rows = {row["name"]: row for row in before["rows"]}
    known = {path.stem for path in args.egemaps or ()}
    for name, hear in hearers.items():
        ordered = [x for x in ORDERED if name != EGEMAPS or x in known]
        rows[name] = asdict(judge(name, hear, args.data, ordered))
    for row in rows.values():
        print(f"{row['name']:36}", *(f"{x:.3f}" for x in (*row["correlation"], *row["ccc"])))
        print(" " * 36, row["languages"], row["auc"])
    ceiling = _ceiling()
    found = {
        "command": COMMAND,
        "rows": list(rows.values()),
        "folds": before.get("folds"),
        "metrics": {
            name: metrics(rows[name], ceiling) for name in (TEACHER, STUDENT) if name in rows
        },
    }
    if args.whisper:
        base = make_backbone(args.whisper, LOUDEST)
        found["folds"] = folds(heard(base, open_speech(args.data), args.cache))
        print(found["folds"])
    write_text(RESULT, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(exit_status(main))
