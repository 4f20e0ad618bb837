"""What is left of the agreement with annotators in noise, rooms, telephones, at any level?

    python benchmarks/robustness.py --data DATA --crossval runs/crossval/wav2small-stream
    python benchmarks/robustness.py --data DATA --model wav2small-stream-open --teacher teacher-open
    python benchmarks/robustness.py --data DATA --teacher-folds runs/teacher

All 625 clips of EmoTale, each judged by a model that was not trained on its speaker: with
--crossval by the int8 file of its fold (benchmarks/crossval.py), with --model by one that nobody of
EmoTale taught, which its card must say, with --teacher-folds by the built-in teacher with the heads
of its fold (benchmarks/teacher.py). A condition changes each clip by its own seed, the same for
all models. The babble is made of people of librispeech. Figures: CCC of all clips, the gate off;
mean confidence; the share that the default gate lets pass as speech.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _conditions import Condition, Sound, conditions
from _data import add_data
from _heldout import FOLDS, fold_of, heldout
from numpy.typing import NDArray

from edgeemo import Session, load
from edgeemo.artifacts.onnx import read_onnx
from edgeemo.cli import exit_status
from edgeemo.compress.data import Clip, open_dataset
from edgeemo.compress.teachers import load_teacher
from edgeemo.compress.teachers.builtin import BuiltinTeacher
from edgeemo.errors import BadInput
from edgeemo.evaluation.metrics import ccc
from edgeemo.io.files import write_text
from edgeemo.speech.segments import only_speech
from edgeemo.speech.vad import open_gate
from edgeemo.types import DIMENSIONS, SAMPLE_RATE, Emotion

RESULT = Path(__file__).parent / "results" / "robustness.json"
RATED, BEHIND = "emotale", "librispeech"
TEACHER = "built-in teacher"
LEAST_CLIPS = 2  # of a talker of the babble

Table = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Judged:
    """A clip and who may judge it.

    Attributes:
        samples: float32 [n], 16 kHz.
        label: arousal, dominance, valence by its annotators.
        session: not trained on its speaker; None where a teacher alone judges.
        fold: that its speaker is held out of, where a teacher of folds judges; else -1.
    """

    samples: Sound
    label: NDArray[Any]
    session: Session | None
    fold: int = -1


Row = dict[str, Any]
Judge = Callable[[Sequence[Judged], Sequence[Sound]], Row]


def student(clips: Sequence[Judged], sounds: Sequence[Sound]) -> Row:
    """What the clips' own sessions say of the changed sounds."""
    said: list[Emotion] = []
    spoken = 0
    for clip, sound in zip(clips, sounds, strict=True):
        assert clip.session is not None
        said.append(clip.session.predict(sound, SAMPLE_RATE, gate=None))
        gate = open_gate("energy", SAMPLE_RATE)
        assert gate is not None
        spoken += bool(len(only_speech(sound, SAMPLE_RATE, gate)))
    values = np.array([[e.arousal, e.dominance, e.valence] for e in said], np.float64)
    return {
        "ccc": _ccc(values, clips),
        "confidence": round(float(np.mean([e.confidence for e in said])), 3),
        "speech": round(spoken / len(said), 3),
    }


def teacher(name: str) -> Judge:
    """A teacher's estimates, clipped to 0..1 as a student's are."""
    model = load_teacher(name)

    def judge(clips: Sequence[Judged], sounds: Sequence[Sound]) -> Row:
        said = model.label(sounds).dimensions
        assert said is not None
        return {"ccc": _ccc(np.clip(said, 0, 1), clips)}

    return judge


def teacher_of_folds(folder: Path) -> Judge:
    """The built-in teacher, each clip by the file of its fold."""
    models: dict[int, BuiltinTeacher] = {}
    for number in range(FOLDS):
        file = read_onnx(folder / f"fold-{number}.onnx")
        models[number] = BuiltinTeacher(file.data, TEACHER, file.card.licence)

    def judge(clips: Sequence[Judged], sounds: Sequence[Sound]) -> Row:
        values = np.full((len(clips), len(DIMENSIONS)), np.nan)
        for number, model in models.items():
            mine = [i for i, clip in enumerate(clips) if clip.fold == number]
            said = model.label([sounds[i] for i in mine]).dimensions
            assert said is not None
            values[mine] = np.clip(said, 0, 1)
        return {"ccc": _ccc(values, clips)}

    return judge


def talkers(data: Path) -> list[list[Sound]]:
    """Clips of each person who has several, for the babble."""
    people: dict[str, list[Any]] = {}
    for clip in open_dataset(data / "speech" / BEHIND).clips:
        people.setdefault(clip.speaker, []).append(clip)
    return [[c.samples() for c in clips] for clips in people.values() if len(clips) >= LEAST_CLIPS]


def measure(
    judges: dict[str, Judge], clips: Sequence[Judged], changes: Sequence[Condition]
) -> list[Row]:
    """A row for each condition, with every judge's figures."""
    rows = []
    for number, condition in enumerate(changes):
        sounds = [
            condition.change(clip.samples, np.random.default_rng([number, i]))
            for i, clip in enumerate(clips)
        ]
        row: Row = {"condition": condition.name}
        row |= {name: judge(clips, sounds) for name, judge in judges.items()}
        rows.append(row)
        print(condition.name, *(f"{n} {row[n]}" for n in judges), sep="; ", flush=True)
    return rows


def of_folds(data: Path, crossval: Path) -> list[Judged]:
    """EmoTale's clips with the model of the fold that held each out."""
    return [Judged(a.samples(), a.label, a.session) for a in heldout(data, crossval)]


def of_teacher(data: Path) -> list[Judged]:
    """EmoTale's clips with their fold."""
    clips = _rated(data)
    fold = fold_of(clips)
    return [Judged(c.samples(), np.array(c.dimensions), None, fold[c.group]) for c in clips]


def of_model(data: Path, model: str) -> list[Judged]:
    """EmoTale's clips with one model, if it was not taught by any of them.

    Raises:
        BadInput: its card names the corpus.
    """
    session = load(model)
    if any(RATED in source.name.lower() for source in (*session.card.data, *session.card.teachers)):
        raise BadInput(
            f"{model}: {RATED} taught it, so no figure on {RATED} would count; give the folder of "
            "benchmarks/crossval.py by --crossval"
        )
    return [Judged(c.samples(), np.array(c.dimensions), session) for c in _rated(data)]


def _rated(data: Path) -> list[Clip]:
    clips = open_dataset(data / "speech" / RATED).clips
    return [clip for clip in clips if clip.dimensions is not None]


def _ccc(values: Table, clips: Sequence[Judged]) -> list[float]:
    labels = np.array([c.label for c in clips])
    return [round(ccc(values[:, d], labels[:, d]), 3) for d in range(len(DIMENSIONS))]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_data(parser, *(f"speech/{name}" for name in (RATED, BEHIND)))
    whom = parser.add_mutually_exclusive_group(required=True)
    whom.add_argument("--crossval", type=Path, help="folder of benchmarks/crossval.py")
    whom.add_argument("--model", help="one that EmoTale did not teach")
    whom.add_argument("--teacher-folds", type=Path, help="folder of benchmarks/teacher.py")
    parser.add_argument("--teacher", help="beside it, if EmoTale did not teach it")
    args = parser.parse_args()
    clips, judges, words = _asked(args)
    rows = measure(judges, clips, conditions(talkers(args.data)))
    command = f"python benchmarks/robustness.py --data DATA {words}"
    before = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    found = {
        "commands": before.get("commands", {}) | dict.fromkeys(judges, command),
        "test_set": f"EmoTale, {len(clips)} clips",
        "rows": beside(before.get("rows", []), rows),
    }
    write_text(RESULT, json.dumps(found, indent=1) + "\n")


def _asked(args: argparse.Namespace) -> tuple[list[Judged], dict[str, Judge], str]:
    """The clips, who judges them, and the options that ask for it."""
    beside = f" --teacher {args.teacher}" if args.teacher else ""
    judges: dict[str, Judge] = {args.teacher: teacher(args.teacher)} if args.teacher else {}
    if args.teacher_folds:
        folds = {TEACHER: teacher_of_folds(args.teacher_folds)}
        return of_teacher(args.data), folds | judges, f"--teacher-folds runs/teacher{beside}"
    if args.model:
        return (
            of_model(args.data, args.model),
            {args.model: student} | judges,
            f"--model {args.model}{beside}",
        )
    name = args.crossval.name
    return (
        of_folds(args.data, args.crossval),
        {name: student} | judges,
        f"--crossval runs/crossval/{name}{beside}",
    )


def beside(before: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """The rows with the figures of models that were measured before under the same conditions."""
    last = {row["condition"]: row for row in before}
    return [last.get(row["condition"], {}) | row for row in rows]


if __name__ == "__main__":
    sys.exit(exit_status(main))
