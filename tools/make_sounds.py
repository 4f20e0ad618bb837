"""Teach the student of a finished run to tell speech and sounds, and its classes bursts.

    python tools/make_sounds.py --run RUN --data DATA --music MUSIC
    edgeemo export RUN --int8 --format onnx,tflite

For any student that can tell sounds (wav2small-stream and its like), however long ago it was
trained: it learns from DATA/speech, DATA/voices/emogator and MUSIC (made by tools/music_clips.py),
and what it says of speech stays. Facts and licence of the run then name what taught it, and the
model's name ends in -sounds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from _bursts import voices_of, with_bursts

from edgeemo.cli import exit_status
from edgeemo.compress.data import Clip, open_dataset
from edgeemo.compress.evaluation.summary import taught_more
from edgeemo.compress.recipes import SoundsConfig
from edgeemo.compress.run import Run
from edgeemo.compress.stages.sounds import some, tokens_of, with_sounds
from edgeemo.compress.students import save_student
from edgeemo.errors import BadInput

SUFFIX = "-sounds"
"""Of the name of a model that tells sounds, which is another one than that without."""


def open_run(folder: Path) -> Run:
    """A finished run whose student can tell sounds.

    Args:
        folder: of the run.

    Raises:
        BadInput: no run, or its student cannot.
        BadArtifact: it is not finished, or damaged.
    """
    run = Run(folder)
    facts = run.facts()
    if not run.student().heard:
        raise BadInput(f"{folder}: {facts.student} cannot tell sounds; wav2small-stream can")
    return run


def make(run: Run, clips: Sequence[Clip], config: SoundsConfig) -> None:
    """Teach, and write student and facts.

    Args:
        run: see `open_run`; layers for sounds that it has already are replaced.
        clips: of speech, sounds and music.
        config: how.
    """
    facts, student = run.facts(), run.student()
    student.sounds = None
    chosen = some(clips, facts.seed)
    made = with_sounds(student, tokens_of(student, chosen, facts.seed), config, facts.seed)
    voices = voices_of(student, clips, facts.seed)
    made = with_bursts(made, voices, facts.seed)
    save_student(made, run.folder / "student.pt")
    facts = taught_more(facts, made, (*chosen, *voices.clips))
    name = facts.name.removesuffix(SUFFIX) + SUFFIX
    run.finish(replace(facts, name=name, sounds=True, options=dict(made.options)))


def teach(args: argparse.Namespace) -> None:
    """What the command does, from its arguments."""
    run = open_run(args.run)  # before the data, which take longer
    places = (args.data / "speech", args.data / "voices" / "emogator", args.music)
    clips = [clip for place in places for clip in open_dataset(place).clips]
    make(run, clips, SoundsConfig())
    print(f"{args.run}: tells speech and sounds; write its files with: edgeemo export {args.run}")


def main(argv: Sequence[str] | None = None) -> int:
    """Teach; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of a finished run")
    parser.add_argument("--data", type=Path, required=True, help="holds speech/ and voices/")
    parser.add_argument("--music", type=Path, required=True, help="made by tools/music_clips.py")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    return exit_status(lambda: teach(args))


if __name__ == "__main__":
    sys.exit(main())
