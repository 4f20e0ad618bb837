"""How well does the built-in teacher agree with people who did not teach its heads?

    python benchmarks/teacher.py --data DATA --whisper model.bin

Arousal, dominance and valence: 7 folds over EmoTale's 14 speakers, 2 in a fold, as
benchmarks/crossval.py deals them; each seed is a repetition. A fold's heads for the dimensions are
taught by everybody else, as tools/make_teacher.py teaches those that are shipped; the backbone was
taught by none of them. CCC is taken over all clips of a repetition at once. The folds are kept as
files, OUT/fold-<seed>-<number>.onnx, which benchmarks/robustness.py judges in noise, rooms,
telephones.

Classes: 5 folds by person over all corpora, with the heads for the classes taught by speech alone
and by bursts of the voice too, on the clips of benchmarks/bursts.py: mean recall of what was acted
or asked for.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _data import add_data
from bursts import FOLDS as PERSON_FOLDS
from bursts import SPEECH, fold_of, recalls
from crossval import FOLDS, SEEDS, card_metrics, on_card
from numpy.typing import NDArray

from edgeemo.cli import exit_status
from edgeemo.compress.data import DataSet
from edgeemo.compress.data.folds import deal
from edgeemo.compress.evaluation.crossval import Estimates, as_plain, scores
from edgeemo.compress.evaluation.evaluate import inter_rater_ccc, level_estimates
from edgeemo.compress.labels.dataset import LabelledDataset
from edgeemo.compress.recipes import load_recipe
from edgeemo.compress.teachers.heads import Heads, HeadsSettings, fit_heads
from edgeemo.export.builtin_teacher import (
    CLASS_HEADS,
    DIMENSION_HEADS,
    BackboneModel,
    builtin_rows,
    make_backbone,
    teacher_file,
)
from edgeemo.export.open_teacher import BURSTS
from edgeemo.export.research_speech import research_speech
from edgeemo.io.files import replacing, write_bytes, write_text
from edgeemo.types import CLASSES

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "teacher.json"
RECIPE = ROOT / "tools" / "recipes" / "teacher" / "recipe.toml"
NAME = "built-in teacher"
RATED = "emotale"

Table = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Bench:
    """What all folds share.

    Attributes:
        base: the backbone.
        data: all clips, with their licences.
        rows: those that teach, and their changed copies.
        out: folder of the folds.
    """

    base: BackboneModel
    data: DataSet
    rows: LabelledDataset
    out: Path

    @cached_property
    def groups(self) -> set[str]:
        """Of all people, those too who only speak behind others."""
        return {clip.group for clip in self.data}

    @cached_property
    def clean(self) -> LabelledDataset:
        """The clips as they are."""
        return self.rows.take(self.rows.copy == 0)

    def heads(
        self, unseen: set[str], settings: HeadsSettings, seed: int, *, bursts: bool = True
    ) -> Heads:
        """Rounded heads that nobody of `unseen` taught."""
        rows = self.rows.of_groups(self.groups - unseen)
        rows = rows if bursts else rows.take(rows.column("corpus") != BURSTS)
        heads = fit_heads(rows, settings, seed)
        heads.round()
        return heads

    def dealt(self, seed: int) -> list[set[str]]:
        """The speakers of each fold of EmoTale."""
        return deal((clip for clip in self.data if clip.corpus == RATED), FOLDS, seed)


def fold(bench: Bench, seed: int, number: int) -> dict[str, Table]:
    """Two speakers by the heads of the others, and by their level alone; kept in one file."""
    path = bench.out / f"fold-{seed}-{number}.npz"
    if not path.exists():
        unseen = bench.dealt(seed)[number]
        heads = bench.heads(unseen, DIMENSION_HEADS, seed + 1)
        file = teacher_file(bench.base, heads, bench.data, ())
        write_bytes(bench.out / f"fold-{seed}-{number}.onnx", file)
        test = bench.clean.of_groups(unseen)
        level = level_estimates(bench.clean.of_groups(bench.groups - unseen), test, human=True)
        assert level is not None
        with replacing(path) as temporary:
            np.savez(
                temporary,
                speakers=test.column("speaker").astype(str),
                human=test.human_dimensions,
                teacher=heads.apply_to(test).dimensions,
                level=level,
            )
    return dict(np.load(path))


def repetitions(bench: Bench, seeds: int) -> Iterator[dict[str, Table]]:
    """All clips once for each seed."""
    for seed in range(seeds):
        parts = [fold(bench, seed, number) for number in range(FOLDS)]
        yield {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def agreement(bench: Bench, seeds: int) -> dict[str, Any]:
    """The teacher's row of the table, and the metrics for its card."""
    found = list(repetitions(bench, seeds))
    rows = {
        name: as_plain(scores([Estimates(d["speakers"], d[name], d["human"]) for d in found]))
        for name in ("teacher", "level")
    }
    rated = bench.clean.take(bench.clean.column("corpus") == RATED)
    ceiling = inter_rater_ccc(rated)
    where = f"EmoTale, {len(rated)} clips, {len(set(rated.column('group')))} speakers"
    metrics = card_metrics(
        rows["teacher"], rows["level"], on_card(where, seeds), ceiling, "teacher.py"
    )
    return {"row": {"name": NAME} | rows["teacher"], "metrics": metrics}


def judged(rows: LabelledDataset) -> LabelledDataset:
    """Clips of benchmarks/bursts.py whose category is one of the eight classes."""
    keep = [
        clip.corpus in (*SPEECH, BURSTS)
        and clip.emotion in CLASSES
        and clip.tags.get("burst") != "amusement"
        for clip in rows.clips
    ]
    return rows.take(np.array(keep, bool))


def classes(bench: Bench) -> dict[str, Any]:
    """Recall by heads taught with bursts and without, on people who taught neither; kept."""
    path = bench.out / "classes.json"
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return kept
    test = judged(bench.clean)
    of_fold = np.array([fold_of(clip) for clip in test.clips])
    said = {name: np.zeros(len(test), np.int64) for name in ("speech alone", "bursts too")}
    for number in range(PERSON_FOLDS):
        mine = test.take(of_fold == number)
        unseen = {clip.group for clip in bench.data if fold_of(clip) == number}
        for name, found in said.items():
            heads = bench.heads(unseen, CLASS_HEADS, number + 1, bursts=name == "bursts too")
            found[of_fold == number] = heads.apply_to(mine).probs.argmax(1)
    corpus = test.column("corpus")
    told = np.array([CLASSES.index(clip.emotion) for clip in test.clips])
    result = {
        "clips": {name: int((corpus == name).sum()) for name in (BURSTS, *SPEECH)},
        "people": len(set(test.column("group")[corpus == BURSTS])),
        "recall": {
            name: {c: recalls(found[corpus == c], told[corpus == c]) for c in (BURSTS, *SPEECH)}
            for name, found in said.items()
        },
    }
    write_text(path, json.dumps(result, indent=1) + "\n")
    return result


def main() -> None:
    """Run what is missing, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_data(parser, "speech/emotale", "voices/emogator")
    parser.add_argument("--whisper", type=Path, required=True, help="CTranslate2 model.bin")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="repetitions with other folds")
    parser.add_argument("--cache", type=Path, default=Path("runs/labels"))
    parser.add_argument("--out", type=Path, default=Path("runs/teacher"))
    args = parser.parse_args()
    if args.seeds < 1:
        parser.error(f"--seeds {args.seeds}: expected 1 or more")
    torch.set_num_threads(1)
    data, base = research_speech(args.data), make_backbone(args.whisper)
    bench = Bench(base, data, builtin_rows(base, data, load_recipe(RECIPE), args.cache), args.out)
    seeds = f" --seeds {args.seeds}" if args.seeds != SEEDS else ""
    found = {
        "command": f"python benchmarks/teacher.py --data DATA --whisper model.bin{seeds}",
        **agreement(bench, args.seeds),
    }
    write_text(RESULT, json.dumps(found, indent=1) + "\n")  # the classes take as long again
    found["classes"] = classes(bench)
    write_text(RESULT, json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    sys.exit(exit_status(main))
