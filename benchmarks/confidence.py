"""What is the confidence a probability of, and does it tell in noise, rooms, at any level?

    python benchmarks/confidence.py --data DATA [--crossval runs/crossval/wav2small-stream]

The estimates are those of crossval's int8 files on EmoTale speakers they were not trained on. The
regression is fitted on each clip as recorded and on copies changed at random, as training changes
them, and on sounds that are not speech. It is judged under the conditions of robustness.py, on
people whom neither the model nor the fit has heard; no noise, room or talker of these is in a fit.
Music is in no fit that is judged on it. --card FILE also writes the regression fitted on all
people, which `tools/make_student.py` puts on the shipped student's card.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from _conditions import conditions
from _data import add_data
from _heldout import FOLDS, Annotated, heldout, outputs
from robustness import BEHIND as TALKERS
from robustness import talkers

from edgeemo.artifacts.confidence import Confidence, describe
from edgeemo.cli import exit_status
from edgeemo.compress.data import open_dataset
from edgeemo.compress.data.augment import augment
from edgeemo.compress.evaluation.confidence import (
    FittedConfidence,
    fit_confidence,
    is_near,
    music,
    not_speech,
    reliability,
    with_negatives,
)
from edgeemo.compress.evaluation.metrics import calibration_error
from edgeemo.compress.evaluation.report import reliability_plot
from edgeemo.compress.recipes import load_recipe
from edgeemo.io import schema
from edgeemo.io.files import check_output, write_text

RESULTS = Path(__file__).parent / "results"
RECIPE = Path(__file__).parents[1] / "tools/recipes/wav2small-stream/round-4.toml"
ROWS_NOISE, ROWS_MUSIC, COPIES = 280, 70, 8
BEHIND = "nemo"  # whose voices the fit hears behind a speaker
SHARES = (1.0, 0.9, 0.75, 0.5, 0.25)


@dataclass(frozen=True)
class Row:
    """One estimate: the regression's inputs, whether it was near, of whom, in which sound."""

    inputs: np.ndarray[Any, Any]
    near: bool
    speaker: str
    sound: str


def row_of(clip: Annotated, samples: Any, sound: str) -> Row:
    """What the clip's own model says of a changed copy."""
    out, values = outputs(clip.session, np.clip(samples, -1, 1).astype(np.float32))
    near = bool(is_near(out["adv"], clip.label[np.newaxis])[0])
    return Row(describe(out, values[0]), near, clip.speaker, sound)


def taught_rows(data: Path, clips: list[Annotated]) -> list[Row]:
    """Each clip as it was recorded, and changed at random."""
    config = replace(load_recipe(RECIPE).augment, mixup_p=0.0, speed_p=0.0)
    voices = open_dataset(data / "speech" / BEHIND).clips
    rows = []
    for number, clip in enumerate(clips):
        rng, x = np.random.default_rng([5, number]), clip.samples()
        rows.append(row_of(clip, x, "as recorded"))
        for _ in range(COPIES):
            other = voices[int(rng.integers(len(voices)))]
            changed, _ = augment(x, rng, config, other.samples)
            rows.append(row_of(clip, changed, "changed"))
    return rows


def judged_rows(data: Path, clips: list[Annotated]) -> list[Row]:
    """Each clip under each condition of robustness.py, with its seeds."""
    rows = []
    for number, condition in enumerate(conditions(talkers(data))):
        for i, clip in enumerate(clips):
            changed = condition.change(clip.samples(), np.random.default_rng([number, i]))
            rows.append(row_of(clip, changed, condition.name))
        print(condition.name, flush=True)
    return rows


def off_speech(clips: list[Annotated], rng: np.random.Generator) -> tuple[Any, Any]:
    """Inputs for noises, and for music, by all folds' models in turn."""
    sessions = [next(c.session for c in clips if c.fold == i) for i in range(FOLDS)]

    def inputs(sounds: list[Any]) -> Any:
        pairs = (outputs(sessions[i % FOLDS], x) for i, x in enumerate(sounds))
        return np.array([describe(out, values[0]) for out, values in pairs])

    tunes = [music(48000, rng) for _ in range(ROWS_MUSIC)]
    tunes = [x * np.float32(10 ** (rng.uniform(-40, -15) / 20) / np.std(x)) for x in tunes]
    return inputs(not_speech(ROWS_NOISE, rng)), inputs([np.clip(x, -1, 1) for x in tunes])


def fit(
    taught: list[Row], judged: list[Row], others: Any, on: str
) -> tuple[Confidence, np.ndarray[Any, Any]]:
    """The regression, and what it says of `judged`, each by a fit without that person."""
    rows = [*taught, *judged]
    inputs, near, who = with_negatives(
        np.array([r.inputs for r in rows]),
        np.array([r.near for r in rows]),
        [r.speaker for r in rows],
        others,
    )
    part = np.zeros(len(who), bool)
    part[len(taught) : len(rows)] = True
    # The card says how far it is off over all conditions.
    made, said = fit_confidence(inputs, near, who, part, "the annotators' mean", on, part)
    return made, said[part]


def share_kept(said: Any, near: Any) -> dict[str, float]:
    """How often the most confident estimates come true."""
    hits = near[np.argsort(-said, kind="stable")]
    return {f"{share:.0%} most confident": float(hits[: int(len(hits) * share)].mean())
            for share in SHARES}  # fmt: skip


def summary(judged: list[Row], made: Confidence, said: Any, tunes: Any) -> dict[str, Any]:
    """Figures by condition, reliability, and what abstaining brings."""
    near, sound = np.array([r.near for r in judged]), np.array([r.sound for r in judged])
    by_sound: dict[str, Any] = {}
    for name in dict.fromkeys(sound.tolist()):
        on = sound == name
        by_sound[name] = {
            "confidence": float(said[on].mean()),
            "came true": float(near[on].mean()),
            "calibration error": calibration_error(said[on], near[on]),
            "came true among the 25% most confident": share_kept(said[on], near[on])[
                "25% most confident"
            ],
        }
    on_music = [made.probability(x) for x in tunes]
    by_sound["music (in no fit)"] = {"confidence": float(np.mean(on_music)), "came true": 0.0}
    clean = sound == sound[0]
    return _rounded(
        {
            "command": "python benchmarks/confidence.py --data DATA",
            "meaning": made.meaning,
            "fitted on": made.fitted_on,
            "calibration error, all conditions": made.calibration_error,
            "by sound": by_sound,
            "came true among the": share_kept(said, near),
            "came true among the, clean": share_kept(said[clean], near[clean]),
            "reliability (confidence, came true, clips)": reliability(said, near, 10),
        }
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(v) for v in value]
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    """Fit, judge, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_data(parser, *(f"speech/{name}" for name in ("emotale", BEHIND, TALKERS)))
    parser.add_argument("--crossval", type=Path, default=Path("runs/crossval/wav2small-stream"))
    parser.add_argument("--card", type=Path, help="for tools/make_student.py --confidence")
    args = parser.parse_args()
    if args.card:
        check_output(args.card)
    clips = heldout(args.data, args.crossval)
    taught, judged = taught_rows(args.data, clips), judged_rows(args.data, clips)
    noise, tunes = off_speech(clips, np.random.default_rng(5))
    people = len({c.speaker for c in clips})
    on = (
        f"EmoTale, {len(clips)} clips of {people} people as recorded and in {COPIES} changed copies"
    )
    made, said = fit(taught, judged, noise, f"{on}, {len(noise)} noises")
    near = np.array([r.near for r in judged])
    result = summary(judged, made, said, tunes)
    if args.card:
        both = np.concatenate([noise, tunes])
        shipped, _ = fit(taught, judged, both, f"{on}, {len(noise)} noises, {len(tunes)} tunes")
        written = schema.write(FittedConfidence(shipped, reliability(said, near)))
        write_text(args.card, json.dumps(written, indent=1) + "\n")
    write_text(RESULTS / "confidence.json", json.dumps(result, indent=1) + "\n")
    plot = reliability_plot(reliability(said, near, 10))
    write_text(RESULTS / "confidence.svg", plot + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    sys.exit(exit_status(main))
