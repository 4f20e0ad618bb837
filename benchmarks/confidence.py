"""What is the confidence a probability of, how well calibrated is it, and does it fall off speech?

    python benchmarks/confidence.py --data DATA [--crossval runs/crossval/wav2small-stream]

The estimates are those of crossval's int8 files on EmoTale speakers they were not trained on, as
recorded, in noise, and from afar in a room; beside them sounds that are not speech. The regression
is judged on people whom it has not seen either. Music is in no fit that is judged on it.
--card FILE also writes the regression fitted on all of it, which `tools/make_student.py` puts on
the shipped student's card.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _heldout import FOLDS, Annotated, heldout, outputs

from edgeemo.artifacts.confidence import Confidence, describe
from edgeemo.compress.data.augment import add_at_snr, colored_noise
from edgeemo.compress.evaluation.confidence import (
    FittedConfidence,
    far_field,
    fit_confidence,
    is_near,
    music,
    not_speech,
    reliability,
    with_negatives,
)
from edgeemo.compress.evaluation.report import reliability_plot
from edgeemo.io import schema
from edgeemo.io.files import write_text

RESULTS = Path(__file__).parent / "results"
ROWS_NOISE, ROWS_MUSIC = 280, 70


@dataclass(frozen=True)
class Row:
    """One estimate: the regression's inputs, whether it was near, of whom, in which sound."""

    inputs: np.ndarray[Any, Any]
    near: bool
    speaker: str
    sound: str


def rows_of(clip: Annotated, rng: np.random.Generator) -> list[Row]:
    """A clip as recorded and in three worse ways."""
    x = clip.samples()
    noise = colored_noise(len(x), float(rng.choice([0.0, 1.0, 2.0])), rng)
    made = {
        "as recorded": x,
        "noise, 10 dB": add_at_snr(x, noise, 10),
        "noise, 0 dB": add_at_snr(x, noise, 0),
        "far": far_field(x, rng),
    }
    found = []
    for name, sound in made.items():
        out, values = outputs(clip.session, np.clip(sound, -1, 1).astype(np.float32))
        near = bool(is_near(out["adv"], clip.label[np.newaxis])[0])
        found.append(Row(describe(out, values[0]), near, clip.speaker, name))
    return found


def off_speech(clips: list[Annotated], rng: np.random.Generator) -> tuple[Any, Any]:
    """Inputs for noises, and for music, by all folds' models in turn."""
    sessions = [next(c.session for c in clips if c.fold == i) for i in range(FOLDS)]

    def inputs(sounds: list[Any]) -> Any:
        pairs = (outputs(sessions[i % FOLDS], x) for i, x in enumerate(sounds))
        return np.array([describe(out, values[0]) for out, values in pairs])

    tunes = [music(48000, rng) for _ in range(ROWS_MUSIC)]
    tunes = [x * np.float32(10 ** (rng.uniform(-40, -15) / 20) / np.std(x)) for x in tunes]
    return inputs(not_speech(ROWS_NOISE, rng)), inputs([np.clip(x, -1, 1) for x in tunes])


@dataclass(frozen=True)
class Estimates:
    """Estimates of all folds' models: rows of speech, and inputs for noises and music."""

    rows: list[Row]
    noise: Any
    tunes: Any
    on: str


def estimate(data: Path, crossval: Path) -> Estimates:
    """Run all; the same folders give the same."""
    rng = np.random.default_rng(5)
    clips = heldout(data, crossval)
    rows = [row for clip in clips for row in rows_of(clip, rng)]
    noise, tunes = off_speech(clips, rng)
    people = len({c.speaker for c in clips})
    on = f"EmoTale, {len(clips)} clips of {people} people in 4 sounds, {len(noise)} noises"
    return Estimates(rows, noise, tunes, on)


def for_card(all_of: Estimates) -> FittedConfidence:
    """The confidence to ship: fitted on all, music too; its metrics are those of unseen people."""
    everything = np.concatenate([all_of.noise, all_of.tunes])
    fitted, said = judge(all_of.rows, everything, f"{all_of.on}, {len(all_of.tunes)} tunes")
    return FittedConfidence(fitted, points(all_of.rows, said))


def points(rows: list[Row], said: Any) -> Any:
    """Reliability on what was recorded."""
    clean = np.array([r.sound == "as recorded" for r in rows])
    return reliability(said[clean], np.array([r.near for r in rows])[clean])


def main() -> None:
    """Fit, judge, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="holds speech/ and ferplus/")
    parser.add_argument("--crossval", type=Path, default=Path("runs/crossval/wav2small-stream"))
    parser.add_argument("--card", type=Path, help="for tools/make_student.py --confidence")
    args = parser.parse_args()
    all_of = estimate(args.data, args.crossval)
    if args.card:
        write_text(args.card, json.dumps(schema.write(for_card(all_of)), indent=1) + "\n")
    made, said = judge(all_of.rows, all_of.noise, all_of.on)
    result = summary(all_of.rows, made, said, all_of.tunes)
    write_text(RESULTS / "confidence.json", json.dumps(result, indent=1) + "\n")
    plot = reliability_plot(points(all_of.rows, said))
    write_text(RESULTS / "confidence.svg", plot + "\n")
    print(json.dumps(result, indent=1))


def judge(rows: list[Row], others: Any, on: str) -> tuple[Confidence, Any]:
    """The regression, and what it says of `rows`, each by a fit without that person."""
    inputs, near, who = with_negatives(
        np.array([r.inputs for r in rows]),
        np.array([r.near for r in rows]),
        [r.speaker for r in rows],
        others,
    )
    clean = np.array([r.sound == "as recorded" for r in rows] + [False] * len(others))
    made, said = fit_confidence(inputs, near, who, clean, "the annotators' mean", on)
    return made, said[: len(rows)]


def summary(rows: list[Row], made: Confidence, said: Any, tunes: Any) -> dict[str, Any]:
    """Figures by sound, reliability, and what abstaining brings."""
    near, sound = np.array([r.near for r in rows]), np.array([r.sound for r in rows])
    clean = sound == "as recorded"
    on_music = [made.probability(x) for x in tunes]
    by_sound = {
        name: {
            "confidence": float(said[sound == name].mean()),
            "came true": float(near[sound == name].mean()),
        }
        for name in dict.fromkeys(sound.tolist())
    }
    by_sound["music (in no fit)"] = {"confidence": float(np.mean(on_music)), "came true": 0.0}
    order = np.argsort(-said[clean])
    hits = near[clean][order]
    kept = {
        f"{share:.0%} most confident": float(hits[: int(len(hits) * share)].mean())
        for share in (1.0, 0.75, 0.5, 0.25)
    }
    return _rounded(
        {
            "command": "python benchmarks/confidence.py",
            "meaning": made.meaning,
            "fitted on": made.fitted_on,
            "calibration error": made.calibration_error,
            "by sound": by_sound,
            "came true among the": kept,
            "reliability (confidence, came true, clips)": points(rows, said),
        }
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(v) for v in value]
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
