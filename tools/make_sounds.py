"""Teach the student of a finished run to tell speech and sounds, as the recipe table [sounds] does.

    python tools/make_sounds.py --run RUN --data DATA --music MUSIC
    edgeemo export RUN --int8 --format onnx --format tflite

For any student that can tell sounds (wav2small-stream and its like), however long ago it was
trained: it learns from DATA/speech, DATA/voices/emogator and MUSIC (made by tools/music_clips.py),
and all its other layers stay as they are. Facts and licence of the run then name what taught it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from edgeemo.artifacts.card import Source
from edgeemo.artifacts.licences import weights_licence
from edgeemo.compress.data import Clip, DataSet, open_dataset
from edgeemo.compress.data.corpus_info import attribution_of
from edgeemo.compress.exposure import exposure_of
from edgeemo.compress.recipes import SoundsConfig
from edgeemo.compress.run import Run, RunSummary
from edgeemo.compress.stages.sounds import some, tokens_of, with_sounds
from edgeemo.compress.students import Student, save_student
from edgeemo.compress.students.cost import macs_per_second, parameters
from edgeemo.errors import EdgeemoError


def make(run: Run, clips: Sequence[Clip], config: SoundsConfig) -> None:
    """Teach, and write student and facts.

    Args:
        run: finished; layers for sounds that it has already are replaced.
        clips: of speech, sounds and music.
        config: how.
    """
    facts, student = run.facts(), run.student()
    student.sounds = None
    chosen = some(clips, facts.seed)
    made = with_sounds(student, tokens_of(student, chosen, facts.seed), config, facts.seed)
    save_student(made, run.folder / "student.pt")
    run.finish(told(facts, made, chosen))


def told(facts: RunSummary, student: Student, clips: Sequence[Clip]) -> RunSummary:
    """The facts of a run whose student was taught by further clips."""
    corpora = {source.name: source for source in facts.data}
    for name, licence in DataSet("sounds", tuple(clips)).licences.items():
        corpora.setdefault(name, Source(name, licence))
    data = tuple(corpora[name] for name in sorted(corpora))
    texts = [attribution_of(source.name, source.licence) for source in data]
    seen = facts.trained_on
    return replace(
        facts,
        sounds=True,
        data=data,
        licence=weights_licence((*data, *facts.teachers)),
        attributions=tuple(dict.fromkeys((*facts.attributions, *texts))),
        trained_on=None if seen is None else seen.joined(exposure_of(clips)),
        parameters=parameters(student),
        macs_per_second=round(macs_per_second(student)),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Teach; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of a finished run")
    parser.add_argument("--data", type=Path, required=True, help="holds speech/ and voices/")
    parser.add_argument("--music", type=Path, required=True, help="made by tools/music_clips.py")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    try:
        places = (args.data / "speech", args.data / "voices" / "emogator", args.music)
        clips = [clip for place in places for clip in open_dataset(place).clips]
        make(Run(args.run), clips, SoundsConfig())
    except EdgeemoError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{args.run}: tells speech and sounds; write its files with: edgeemo export {args.run}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
