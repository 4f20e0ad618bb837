"""What does a model that met none of these people tell in each language?

    python benchmarks/languages.py --data DATA

DATA holds speech/. The corpora of UNSEEN taught neither wav2small-stream-open nor its teacher; the
card is asked, and a corpus of which it tells a clip is refused. Areas under the curve need no
threshold, so another level or taste of a corpus does not count: arousal tells anger and happiness
from sadness, neutral, calm and boredom; valence tells happiness from anger (kread: what was read
as positive from what was read as negative). UAR is that of all clips with a class, whose words are
joined as `edgeemo evaluate` joins them.

Corpora are recorded in sessions, and sessions leave traces. What a random forest tells of the
classes from four of them alone (seconds, level of the first and of the last 50 ms, level of the
quietest twentieth of 10 ms frames), on speakers whom it has not heard, stands beside each UAR: the
part that has nothing to do with a voice. No model of edgeemo was taught with these corpora here,
so it is a warning to who would teach one, and to who compares figures.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _data import add_data
from numpy.typing import NDArray
from open_weights import AROUSED, CALM
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from edgeemo import Session, load
from edgeemo.cli import exit_status
from edgeemo.cli.evaluate import find_seen, judge
from edgeemo.compress.data import Clip, DataSet, open_dataset
from edgeemo.evaluation.metrics import uar
from edgeemo.io.files import write_text

RESULT = Path(__file__).parent / "results" / "languages.json"
COMMAND = "python benchmarks/languages.py --data DATA"
MODEL = "wav2small-stream-open"
UNSEEN = ("emotale", "ravdess_full", "tess", "nemo", "turev", "ased", "selvas", "kread")
FOLDS, TREES = 5, 200
RATE = 16_000
_EDGE, _FRAME = RATE // 20, RATE // 100

Features = NDArray[np.float64]
"""[N, 4]"""


def traces(samples: NDArray[np.float32]) -> list[float]:
    """What a recording session leaves: seconds, and three levels in dB of full scale."""
    cut = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    quietest = np.sort((cut.astype(np.float64) ** 2).mean(1))[: max(1, len(cut) // 20)]
    ends = samples[:_EDGE], samples[-_EDGE:]
    powers = [float((end.astype(np.float64) ** 2).mean()) for end in ends]
    levels = 10 * np.log10(np.array([*powers, quietest.mean()]) + 1e-10)
    return [len(samples) / RATE, *levels.tolist()]


def uar_of_traces(found: Features, truth: Sequence[str], speakers: Sequence[str]) -> float | None:
    """Of a forest on speakers whom it has not heard; None for fewer than two of them."""
    folds = min(FOLDS, len(set(speakers)))
    if folds < 2:
        return None
    names, guess = np.array(truth), np.array([""] * len(truth), dtype=object)
    for known, held in GroupKFold(folds).split(found, names, speakers):
        forest = RandomForestClassifier(TREES, min_samples_leaf=3, random_state=0)
        guess[held] = forest.fit(found[known], names[known]).predict(found[held])
    return uar([str(g) for g in guess], list(truth))


def area(high: Sequence[bool | None], values: Sequence[float]) -> float | None:
    """Area under the curve of clips that are high or low; None where one kind is missing."""
    known = [(h, v) for h, v in zip(high, values, strict=True) if h is not None]
    if len({h for h, _ in known}) < 2:
        return None
    return float(roc_auc_score([h for h, _ in known], [v for _, v in known]))


def _aroused(clip: Clip) -> bool | None:
    word = clip.emotion
    return True if word in AROUSED else False if word in CALM else None


def _pleasant(clip: Clip) -> bool | None:
    word = clip.tags.get("voice") or clip.emotion
    return {"happiness": True, "positive": True, "anger": False, "negative": False}.get(word or "")


def row(session: Session, data: DataSet) -> dict[str, Any]:
    """One row of the table.

    Raises:
        SystemExit: the model or its teacher was taught with some of the clips.
    """
    seen = find_seen(session, data)
    if seen is None or seen.clips():
        raise SystemExit(f"{data.clips[0].corpus}: {seen or 'the card does not say who was seen'}")
    said = list(judge(session, data, gate=None))
    clips = {c.id: c for c in data.clips}
    with_class = [r for r in said if r.emotion]
    truth = [r.emotion or "" for r in with_class]
    marks = np.array([traces(clips[r.id].samples()) for r in with_class])
    people = [r.speaker for r in with_class]
    high = [_aroused(clips[r.id]) for r in said], [_pleasant(clips[r.id]) for r in said]
    return {
        "corpus": data.clips[0].corpus,
        "languages": sorted({c.language for c in data.clips if c.language}),
        "clips": len(said),
        "speakers": len({r.speaker for r in said}),
        "arousal_auc": area(high[0], [r.estimate.arousal or 0.0 for r in said]),
        "valence_auc": area(high[1], [r.estimate.valence or 0.0 for r in said]),
        "uar": uar([r.guess or "" for r in with_class], truth) if truth else None,
        "classes": len(set(truth)),
        "uar_of_traces": uar_of_traces(marks, truth, people) if truth else None,
    }


def main() -> None:
    """Judge every corpus, print and write the rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_data(parser, *(f"speech/{name}" for name in UNSEEN))
    args = parser.parse_args()
    session = load(MODEL)
    rows = []
    for name in UNSEEN:
        rows.append(row(session, open_dataset(args.data / "speech" / name)))
        print(rows[-1], flush=True)
    found = {"command": COMMAND, "model": MODEL, "rows": rows}
    write_text(RESULT, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(exit_status(main))
