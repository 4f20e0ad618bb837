"""`edgeemo calibrate`: a speaker's profile, from calm speech or from labelled clips."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgeemo.artifacts.models import DEFAULT
from edgeemo.cli._labels import add_label_scale
from edgeemo.errors import BadInput, counted, told_of
from edgeemo.io.files import check_output
from edgeemo.session import Session, load
from edgeemo.types import DIMENSIONS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgeemo.compress.data.labels import Scale, Triple

HELP = (
    "Make a speaker's profile: the level of at least 30 s of calm speech, in sound files or spoken "
    "into the microphone, or with --labels a correction fitted to annotated clips of that person, "
    "which is refused if it does not help on clips held back from the fit. "
    "The result is one small file for --profile of `predict` and `live`; delete it and it is "
    "forgotten. It stays on this machine."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="sound files or folders with calm speech of one person (default: the microphone)",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="CSV",
        help="a table of annotated clips: path, arousal, dominance, valence (0..1)",
    )
    add_label_scale(parser)
    parser.add_argument(
        "--model", default=DEFAULT, metavar="M", help="model of --labels (default: %(default)s)"
    )
    parser.add_argument("--backend", help="what runs the model (default: by its ending)")
    parser.add_argument("--device", metavar="D", help="number or name of the microphone")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("profile.json"),
        metavar="F",
        help="file to write (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Make the file.

    Raises:
        BadInput: clips or labels that cannot be used, or both sound files and --labels.
    """
    from edgeemo.evaluation.held_back import held_back
    from edgeemo.speech.profile import from_calm, from_labels

    check_output(args.output, inputs=[*args.paths, args.labels])
    skipped = 0
    if args.labels is not None:
        if args.paths:
            raise BadInput("give sound files or --labels, not both")
        session = load(args.model, args.backend)
        scale = (args.label_scale[0], args.label_scale[1])
        clips, labels, skipped = _labelled(args.labels, session, scale)
        profile = from_labels(session, clips, labels)
        found = held_back(session, clips, labels)
        print(found)
        if not found.helps:
            raise BadInput(
                f"{args.output}: not written, because the head does not help on clips that it was "
                "not fitted to; give more clips of calm and of excited speech, or use the model "
                "as it is"
            )
    else:
        profile = from_calm(_files(args.paths) if args.paths else _spoken(args.device))
    profile.save(args.output)
    gain = f"gain {profile.gain_db:+.1f} dB"
    change = gain if profile.kind == "calm" else f"a head for {profile.model}"
    source = f"{profile.seconds:.0f} s in {counted(profile.clips, 'clip')}"
    print(f"{args.output}: {change}, from {source}")
    return int(skipped > 0)


def _files(paths: list[str]) -> Iterator[NDArray[np.float32]]:
    from edgeemo.audio import read_audio
    from edgeemo.inputs import files

    for file in files(paths, ("sound",)):
        if file.error:
            raise BadInput(f"{file.path}: {file.error}")
        yield read_audio(file.path)


def _labelled(
    table: Path, session: Session, scale: Scale
) -> tuple[list[NDArray[np.float32]], list[Triple], int]:
    """Clips and labels of a table, and how many of its clips could not be read."""
    from edgeemo.audio import read_audio
    from edgeemo.compress.data.labels import check_scale, ratings_of_row
    from edgeemo.compress.data.tables import read_table, relative_path

    check_scale(scale)
    clips, labels, seen, skipped = [], [], dict[str, str](), 0
    for row in read_table(table, ("path",)):
        path = relative_path(row, row.text("path") or "", table.parent)
        if path in seen:
            raise row.fault(f"path {path!r} stands in {seen[path]} already; remove one")
        seen[path] = row.where
        rating = ratings_of_row(row, scale)
        if rating is None:
            raise row.fault(f"no label; expected {', '.join(DIMENSIONS)}")
        try:
            clips.append(read_audio(table.parent / path, session.card.features.sample_rate))
        except BadInput as error:
            print("edgeemo: skipped", told_of(path, error), file=sys.stderr)
            skipped += 1
            continue
        labels.append(rating)
    return clips, labels, skipped


def _spoken(device: str | None) -> list[NDArray[np.float32]]:
    """Speech from the microphone until there is enough; kept in memory only."""
    import numpy as np

    from edgeemo.devices import microphone
    from edgeemo.speech.profile import LEAST_SECONDS
    from edgeemo.speech.vad import EnergyGate

    gate, blocks, seconds, shown = EnergyGate(), [], 0.0, 0
    print("Speak calmly, as you usually do; Ctrl-C stops.", file=sys.stderr)
    with microphone(device) as sound:
        for block in sound:
            blocks.append(block)
            seconds += float(gate.push(block).sum()) * gate.block / 16000
            if int(seconds) > shown:
                shown = int(seconds)
                print(f"\r{shown} of {LEAST_SECONDS:g} s of speech", end="", file=sys.stderr)
            if seconds >= LEAST_SECONDS:
                break
    print(file=sys.stderr)
    return [np.concatenate(blocks)]
