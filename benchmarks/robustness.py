"""What is left of the agreement with annotators in noise, rooms, telephones, at any level?

    python benchmarks/robustness.py --data DATA --crossval runs/crossval/wav2small-stream
    python benchmarks/robustness.py --data DATA --model wav2small-stream-open --teacher teacher-open
    python benchmarks/robustness.py --data DATA --teacher-folds runs/teacher
    python benchmarks/robustness.py --data DATA --egemaps

All 625 clips of EmoTale, each judged by a model that was not trained on its speaker: with
--crossval by the int8 file of its fold (benchmarks/crossval.py), with --model by one that nobody of
EmoTale taught, which its card must say, with --teacher-folds by the built-in teacher with the heads
of its fold (benchmarks/teacher.py), with --egemaps by openSMILE's functionals and support vectors
that the clips as they are of the other folds taught (benchmarks/egemaps.py). A condition changes
each clip by its own seed, the same for all models. The babble is made of people of librispeech.
Figures: CCC of all clips, the gate off, mean and standard deviation over the repetitions of the
folds; mean confidence; the share that the default gate lets pass as speech.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _conditions import Condition, Sound, conditions
from _data import add_data
from _heldout import fold_of, heldout
from crossval import EGEMAPS, SEEDS, machines
from egemaps import functionals
from numpy.typing import NDArray
from sklearn.multioutput import MultiOutputRegressor

from edgeemo import Session, load
from edgeemo.artifacts.onnx import read_onnx
from edgeemo.cli import exit_status
from edgeemo.compress.data import Clip, open_dataset
from edgeemo.compress.exposure import exposure_of_teacher, seen_clips
from edgeemo.compress.teachers import load_teacher
from edgeemo.compress.teachers.builtin import BuiltinTeacher
from edgeemo.errors import BadInput
from edgeemo.evaluation.metrics import ccc
from edgeemo.io.files import write_text
from edgeemo.speech.segments import only_speech
from edgeemo.speech.vad import EnergyGate
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
        sessions: not trained on its speaker, one for each repetition; none where another judges.
        folds: that its speaker is held out of, one for each repetition of the folds.
    """

    samples: Sound
    label: NDArray[Any]
    sessions: tuple[Session, ...] = ()
    folds: tuple[int, ...] = ()


Row = dict[str, Any]
Judge = Callable[[Sequence[Judged], Sequence[Sound]], Row]


def student(clips: Sequence[Judged], sounds: Sequence[Sound]) -> Row:
    """What the clips' own sessions say of the changed sounds."""
    pairs = list(zip(clips, sounds, strict=True))
    said: list[list[Emotion]] = [
        [clip.sessions[seed].predict(sound, SAMPLE_RATE, gate=None) for clip, sound in pairs]
        for seed in range(len(clips[0].sessions))
    ]
    spoken = [len(only_speech(x, SAMPLE_RATE, EnergyGate(SAMPLE_RATE))) > 0 for x in sounds]
    tables = [np.array([[e.arousal, e.dominance, e.valence] for e in one]) for one in said]
    return _agreement(tables, clips) | {
        "confidence": round(float(np.mean([e.confidence for one in said for e in one])), 3),
        "speech": round(float(np.mean(spoken)), 3),
    }


def teacher(name: str, data: Path) -> Judge:
    """A teacher's estimates, clipped to 0..1 as a student's are.

    Raises:
        BadInput: one of the clips taught it.
    """
    model = load_teacher(name)
    if seen_clips(exposure_of_teacher(model), _rated(data)).clips():
        raise _known(f"--teacher {name}", "benchmarks/teacher.py by --teacher-folds")

    def judge(clips: Sequence[Judged], sounds: Sequence[Sound]) -> Row:
        said = model.label(sounds).dimensions
        assert said is not None
        return _agreement([np.clip(said, 0, 1)], clips)

    return judge


def teacher_of_folds(folder: Path) -> Judge:
    """The built-in teacher, each clip by the files of its folds."""

    @functools.cache
    def model(seed: int, number: int) -> BuiltinTeacher:
        file = read_onnx(folder / f"fold-{seed}-{number}.onnx")
        return BuiltinTeacher(file.data, TEACHER, file.card.licence)

    def said(seed: int, number: int, sounds: Sequence[Sound]) -> Table:
        found = model(seed, number).label(sounds).dimensions
        assert found is not None
        return found

    return functools.partial(_by_fold, said)


def support_vectors(clips: Sequence[Judged]) -> Judge:
    """eGeMAPS functionals and SVRs, each clip by those that the other folds' clips as they are
    taught."""
    labels = np.array([clip.label for clip in clips])
    clean = functionals((clip.samples, SAMPLE_RATE) for clip in clips)

    @functools.cache
    def model(seed: int, number: int) -> MultiOutputRegressor:
        known = np.array([clip.folds[seed] != number for clip in clips])
        return machines().fit(clean[known], labels[known])

    def said(seed: int, number: int, sounds: Sequence[Sound]) -> Table:
        found: Table = model(seed, number).predict(functionals((x, SAMPLE_RATE) for x in sounds))
        return found

    return functools.partial(_by_fold, said)


def _by_fold(
    said: Callable[[int, int, Sequence[Sound]], Table],
    clips: Sequence[Judged],
    sounds: Sequence[Sound],
) -> Row:
    """Each sound by whom nobody of its fold taught: said(seed, number of the fold, its sounds)."""
    tables = []
    for seed in range(len(clips[0].folds)):
        values = np.full((len(clips), len(DIMENSIONS)), np.nan)
        of = np.array([clip.folds[seed] for clip in clips])
        for number in sorted(set(of.tolist())):
            mine = np.flatnonzero(of == number)
            values[mine] = np.clip(said(seed, number, [sounds[int(i)] for i in mine]), 0, 1)
        tables.append(values)
    return _agreement(tables, clips)


def talkers(data: Path) -> list[list[Sound]]:
    """Clips of each person who has several, for the babble."""
    people: dict[str, list[Any]] = {}
    for clip in open_dataset(data / "speech" / BEHIND).clips:
        people.setdefault(clip.speaker, []).append(clip)
    return [[c.samples() for c in clips] for clips in people.values() if len(clips) >= LEAST_CLIPS]


def measure(
    judges: dict[str, Judge],
    clips: Sequence[Judged],
    changes: Sequence[Condition],
    only: Sequence[str] = (),
) -> list[Row]:
    """A row for each condition, with every judge's figures.

    Args:
        judges: by name.
        clips: that are changed.
        changes: all conditions: the seed of one is its number among them.
        only: names of those that are measured; all without.
    """
    rows = []
    for number, condition in enumerate(changes):
        if only and condition.name not in only:
            continue
        sounds = [
            condition.change(clip.samples, np.random.default_rng([number, i]))
            for i, clip in enumerate(clips)
        ]
        row: Row = {"condition": condition.name}
        row |= {name: judge(clips, sounds) for name, judge in judges.items()}
        rows.append(row)
        print(condition.name, *(f"{n} {row[n]}" for n in judges), sep="; ", flush=True)
    return rows


def of_folds(data: Path, crossval: Path, seeds: int) -> list[Judged]:
    """EmoTale's clips with the models of the folds that held each out."""
    each = [heldout(data, crossval, seed=seed) for seed in range(seeds)]
    return [
        Judged(same[0].samples(), same[0].label, tuple(a.session for a in same))
        for same in zip(*each, strict=True)
    ]


def dealt(data: Path, seeds: int) -> list[Judged]:
    """EmoTale's clips with their folds."""
    clips = _rated(data)
    of = [fold_of(clips, seed) for seed in range(seeds)]
    return [
        Judged(c.samples(), np.array(c.dimensions), folds=tuple(fold[c.group] for fold in of))
        for c in clips
    ]


def of_model(data: Path, model: str) -> list[Judged]:
    """EmoTale's clips with one model, if it was not taught by any of them.

    Raises:
        BadInput: its card names the corpus.
    """
    session = load(model)
    if any(RATED in source.name.lower() for source in (*session.card.data, *session.card.teachers)):
        raise _known(model, "benchmarks/crossval.py by --crossval")
    return [Judged(c.samples(), np.array(c.dimensions), (session,)) for c in _rated(data)]


def _known(who: str, folder: str) -> BadInput:
    """The error of a judge that the clips taught, and whose folder stands in for it."""
    told = f"{who}: {RATED} taught it, so no figure on {RATED} would count"
    return BadInput(f"{told}; give the folder of {folder}")


def _rated(data: Path) -> list[Clip]:
    clips = open_dataset(data / "speech" / RATED).clips
    return [clip for clip in clips if clip.dimensions is not None]


def _agreement(tables: Sequence[Table], clips: Sequence[Judged]) -> Row:
    """CCC of arousal, dominance, valence: mean and standard deviation over the repetitions."""
    labels = np.array([c.label for c in clips])
    each = np.array(
        [[ccc(table[:, d], labels[:, d]) for d in range(len(DIMENSIONS))] for table in tables]
    )
    row: Row = {"ccc": each.mean(0).round(3).tolist()}
    return row | ({"sd": each.std(0).round(3).tolist()} if len(each) > 1 else {})


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_data(parser, *(f"speech/{name}" for name in (RATED, BEHIND)))
    whom = parser.add_mutually_exclusive_group(required=True)
    whom.add_argument("--crossval", type=Path, help="folder of benchmarks/crossval.py")
    whom.add_argument("--model", help="one that EmoTale did not teach")
    whom.add_argument("--teacher-folds", type=Path, help="folder of benchmarks/teacher.py")
    whom.add_argument("--egemaps", action="store_true", help="beside opensmile; see egemaps.py")
    parser.add_argument("--seeds", type=int, help=f"repetitions of the folds, default {SEEDS}")
    parser.add_argument("--teacher", help="beside it, if EmoTale did not teach it")
    args = parser.parse_args()
    if args.seeds is not None and args.model:
        parser.error("--seeds: a --model has no folds; leave it out")
    args.seeds = SEEDS if args.seeds is None else args.seeds
    if args.seeds < 1:
        parser.error(f"--seeds {args.seeds}: expected 1 or more")
    if args.egemaps and importlib.util.find_spec("opensmile") is None:
        parser.error("--egemaps needs opensmile, which is not here; see benchmarks/egemaps.py")
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
    judges: dict[str, Judge] = {}
    if args.teacher:
        judges[args.teacher] = teacher(args.teacher, args.data)
    if args.model:
        clips, words = of_model(args.data, args.model), f"--model {args.model}{beside}"
        return clips, {args.model: student} | judges, words
    seeds = "" if args.seeds == SEEDS else f" --seeds {args.seeds}"
    if args.crossval:
        name = args.crossval.name
        clips = of_folds(args.data, args.crossval, args.seeds)
        words = f"--crossval runs/crossval/{name}{seeds}{beside}"
        return clips, {name: student} | judges, words
    clips = dealt(args.data, args.seeds)
    if args.egemaps:
        return clips, {EGEMAPS: support_vectors(clips)} | judges, f"--egemaps{seeds}{beside}"
    folds = {TEACHER: teacher_of_folds(args.teacher_folds)}
    return clips, folds | judges, f"--teacher-folds runs/teacher{seeds}{beside}"


def beside(before: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """The rows with the figures of models that were measured before under the same conditions."""
    last = {row["condition"]: row for row in before}
    return [last.get(row["condition"], {}) | row for row in rows]


if __name__ == "__main__":
    sys.exit(exit_status(main))
