"""Does a speaker's profile help unseen speakers, and from how many clips on?

    python benchmarks/baseline.py --data DATA [--crossval runs/crossval/wav2small-stream]

The estimates are those of crossval's int8 files on EmoTale speakers that they were not trained on.
Level: the mean power of a speaker's own 1, 3, 6 or all neutral clips is brought to the mean of the
other speakers' neutral clips; once as recorded, once as if every speaker had a microphone of
another level (-15 to +9 dB). Head: 5 to 20 annotated clips of the speaker. Clips that a profile was
made from are not scored. CCC over all other clips; mean and deviation over draws of the clips.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from _data import add_data
from _heldout import Annotated, heldout, outputs

from edgeemo.cli import exit_status
from edgeemo.evaluation.metrics import ccc
from edgeemo.io.files import write_text
from edgeemo.speech.profile import calm_gain, fit_head, speech_power
from edgeemo.types import DIMENSIONS

DRAWS = 3
GRID_DB = np.arange(-24, 25, 3.0)
"""Gains at which every clip is run once; between them estimates are interpolated."""

Table = np.ndarray[Any, Any]


def run_all(
    clips: list[Annotated],
) -> tuple[Table, list[dict[str, Table]], list[tuple[float, float]]]:
    """Estimates [clips, gains, 3]; all outputs without gain; speech seconds and power."""
    dimensions = np.zeros((len(clips), len(GRID_DB), 3))
    plain, power = [], []
    for i, clip in enumerate(clips):
        x = clip.samples()
        power.append(speech_power(x, 16000))
        for j, gain in enumerate(GRID_DB):
            louder = x * np.float32(10 ** (gain / 20))
            out, _ = outputs(clip.session, louder)
            dimensions[i, j] = np.clip(out["adv"][0], 0, 1)
            if gain == 0:
                plain.append({name: value[0] for name, value in out.items()})
    return dimensions, plain, power


def at_gain(dimensions: Table, gains: Table) -> Table:
    """Estimates [clips, 3] at a gain for each clip."""
    columns = [
        [np.interp(g, GRID_DB, dimensions[i, :, d]) for d in range(3)] for i, g in enumerate(gains)
    ]
    return np.array(columns)


def scores(estimates: Table, labels: Table) -> Table:
    return np.array([ccc(np.clip(estimates[:, d], 0, 1), labels[:, d]) for d in range(3)])


def level(
    clips: list[Annotated],
    dimensions: Table,
    power: list[tuple[float, float]],
    count: int,
    spread: bool,
) -> dict[str, Any]:
    """With and without a level from `count` neutral clips; `spread` gives each person a device."""
    who = np.array([c.speaker for c in clips])
    calm = np.array([c.emotion == "neutral" for c in clips])
    labels = np.array([c.label for c in clips])
    pairs = []
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        device = {s: rng.uniform(-15, 9) if spread else 0.0 for s in sorted(set(who))}
        used = np.zeros(len(clips), bool)
        own, everybody = {}, {}
        for s in device:
            rows = rng.permutation(np.flatnonzero((who == s) & calm))
            used[rows[:count]] = True
            own[s] = calm_gain([power[i] for i in rows[:count]])
            everybody[s] = calm_gain([power[i] for i in rows])
        without = np.array([device[s] for s in who])
        # The level to go to is that of the other people: this one is unknown when it is chosen.
        other = {s: np.mean([v for t, v in everybody.items() if t != s]) for s in device}
        gains = np.array([own[s] - other[s] for s in who])
        pairs.append(
            [scores(at_gain(dimensions, g)[~used], labels[~used]) for g in (gains, without)]
        )
    return _pair(pairs)


def head(clips: list[Annotated], plain: list[dict[str, Table]], count: int) -> dict[str, Any]:
    """With and without a head from `count` annotated clips of each person."""
    who = np.array([c.speaker for c in clips])
    labels = np.array([c.label for c in clips])
    raw = np.array([row["adv"] for row in plain], float)
    pairs = []
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        used, found = np.zeros(len(clips), bool), raw.copy()
        for s in sorted(set(who)):
            mine = np.flatnonzero(who == s)
            rows = rng.permutation(mine)[:count]
            used[rows] = True
            card = clips[mine[0]].session.card
            made = fit_head(card, [plain[i] for i in rows], labels[rows])
            for i in mine:
                found[i] = made.apply(plain[i], card)["adv"]
        pairs.append([scores(x[~used], labels[~used]) for x in (found, raw)])
    return _pair(pairs)


def _pair(pairs: list[list[Table]]) -> dict[str, Any]:
    values = np.array(pairs)
    named = {
        name: dict(zip(DIMENSIONS, values[:, i].mean(0).round(4).tolist(), strict=True))
        for i, name in enumerate(("with", "without"))
    }
    difference = values[:, 0] - values[:, 1]
    return named | {
        "gain": dict(zip(DIMENSIONS, difference.mean(0).round(4).tolist(), strict=True)),
        "sd of the gain": dict(zip(DIMENSIONS, difference.std(0).round(4).tolist(), strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_data(parser, "speech/emotale")
    parser.add_argument("--crossval", type=Path, default=Path("runs/crossval/wav2small-stream"))
    args = parser.parse_args()
    clips = heldout(args.data, args.crossval)
    dimensions, plain, power = run_all(clips)
    calm = [
        [p for c, p in zip(clips, power, strict=True) if c.emotion == "neutral" and c.speaker == s]
        for s in sorted({c.speaker for c in clips})
    ]
    counts = {"1 neutral clip": 1, "3": 3, "6": 6, "all": 99}
    result = {
        "command": "python benchmarks/baseline.py",
        "measure": f"CCC against annotators, EmoTale, {len(clips)} clips, people not trained on; "
        f"{DRAWS} draws",
        "mean gain to CALM_DB (about 0)": round(float(np.mean([calm_gain(p) for p in calm])), 2),
        "level, as recorded": {
            k: level(clips, dimensions, power, n, False) for k, n in counts.items()
        },
        "level, every person another device": {
            k: level(clips, dimensions, power, n, True) for k, n in counts.items()
        },
        "head": {f"{n} rated clips": head(clips, plain, n) for n in (5, 8, 12, 20)},
    }
    path = Path(__file__).parent / "results" / "baseline.json"
    write_text(path, json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    sys.exit(exit_status(main))
