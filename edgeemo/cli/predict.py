"""`edgeemo predict`: arousal, dominance, valence and classes of sound, pictures and video."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from edgeemo.artifacts.models import DEFAULT, FACE_DEFAULT
from edgeemo.backends import BACKENDS
from edgeemo.cli._options import add_gate, add_output, add_profile
from edgeemo.cli._predictor import Options, Predictor, Row
from edgeemo.cli._rows import LOW, Progress, Table, json_line
from edgeemo.cli._sounds import HELD_SECONDS
from edgeemo.errors import BadInput, printable
from edgeemo.faces import DETECTORS
from edgeemo.faces.detectors import DEFAULT as DETECTOR
from edgeemo.inputs import Input, files
from edgeemo.io.files import check_output
from edgeemo.results.tables import Csv
from edgeemo.results.writers import CueFiles, Origin, check
from edgeemo.sound.opening import STDIN

if TYPE_CHECKING:
    from edgeemo.results.overlay import Overlay

HELP = (
    "Estimate how speech in sound files, and faces in pictures and video, would be perceived. "
    "Folders are searched. A picture gives a line for each face, a video one for each face and "
    "second and one for the voice. Sound may be of any length. A file that cannot be used is "
    "reported in its line, the rest goes on, and the exit status is 1. "
    f"A ? marks a confidence below {LOW:g}."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    add = parser.add_argument
    add(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a file of sound, a picture, a video, a folder, or - for standard input",
    )
    add(
        "--model",
        metavar="M",
        help="name of a shipped model or path of a file (default: "
        f"{DEFAULT} for sound, {FACE_DEFAULT} for faces)",
    )
    add("--backend", choices=sorted(BACKENDS), help="what runs the model (default: by its ending)")
    add(
        "--detector",
        choices=list(DETECTORS),
        default=DETECTOR,
        help="what finds faces; none: each picture is a face already (default: %(default)s)",
    )
    add_profile(parser)
    add_gate(parser)
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument(
        "--windows", type=float, metavar="SECONDS", help="of sound: an estimate for each such time"
    )
    parts.add_argument(
        "--segments", action="store_true", help="of sound: an estimate for each stretch of speech"
    )
    add("--channel", type=int, metavar="N", help="of sound: this channel alone, from 1")
    add("--jobs", type=int, default=1, metavar="N", help="processes that read (default: 1)")
    add("--json", action="store_true", help="one JSON object a line")
    add("--csv", type=Path, metavar="F", help="write a table with a line an estimate to F, too")
    add_output(
        parser,
        "write one recording's estimates for other programs, too (sound by --segments, if there is "
        "no --windows)",
    )
    add(
        "--overlay",
        type=Path,
        metavar="F.mp4",
        help="draw the faces, and a timeline below, on one video, too; needs ffmpeg",
    )


def run(args: argparse.Namespace) -> int:
    """Predict every file; 1 if one could not be used.

    Raises:
        BadInput: --jobs or --windows out of range, or an output that cannot be written.
    """
    if args.jobs < 1:
        raise BadInput(f"--jobs is {args.jobs}; expected 1 or more")
    if args.windows is not None and not 0 < args.windows <= HELD_SECONDS:
        raise BadInput(
            f"--windows is {args.windows:g}; expected more than 0 and at most {HELD_SECONDS:g} s"
        )
    if args.csv is not None:
        check_output(args.csv)
    check(args.output)
    options = Options(
        args.model,
        args.backend,
        args.detector,
        args.profile,
        args.gate,
        args.windows,
        args.segments or bool((args.output or args.overlay) and args.windows is None),
        args.channel,
        getattr(args, "debug", False),
    )
    return Output(args, options).run()


class Output:
    """Where rows go, and what is told beside them."""

    def __init__(self, args: argparse.Namespace, options: Options) -> None:
        self._args, self._options = args, options
        self._progress = Progress(0)
        self._overlay = None if args.overlay is None else _overlay(args)
        watch = None if self._overlay is None else self._overlay.see
        self._predictor = Predictor(options, self._sound, watch)
        self._parts = options.windows is not None or options.segments

    def _sound(self, seconds: float, promised: float | None) -> None:
        self._progress.sound(seconds, promised)

    def run(self) -> int:
        """Read all files, show all rows."""
        given = [*files(self._args.paths, self._predictor.kinds)]
        if self._args.csv is not None:
            read = [self._options.model, self._options.profile, *(file.path for file in given)]
            check_output(self._args.csv, inputs=read)
        if self._args.output:
            _check_one_recording(given)
        self._progress = Progress(len(given))
        table = None if self._args.json else Table()
        failed = False
        with ExitStack() as stack:
            stack.callback(self._progress.clear)
            outputs = [*self._outputs(given)]
            for output in outputs:
                stack.enter_context(output)
            for row in self._rows(given):
                failed |= "error" in row
                self._progress.clear()
                for output in outputs:
                    output.write(row)
                self._notes(row)
                if table is None:
                    print(json_line(row))
                else:
                    print(table.line(row | {"part": self._parts}))
                # A reader at the other end of a pipe sees each line when it is done.
                sys.stdout.flush()
        return int(failed)

    def _outputs(self, given: list[Input]) -> Iterator[Csv | CueFiles | Overlay]:
        if self._args.csv is not None:
            yield Csv(self._args.csv)
        if self._args.output:
            path = given[0].path
            media = None if path == STDIN else Path(path)
            yield CueFiles(self._args.output, lambda: Origin(media, self._predictor.cards))
        if self._overlay is not None:
            yield self._overlay

    def _rows(self, given: list[Input]) -> Iterator[Row]:
        if self._args.jobs == 1 or len(given) < 2:
            for file in given:
                self._progress.file(file.path)
                yield from self._predictor.rows(file)
            return
        from edgeemo.cli._workers import rows_of

        for file, rows in rows_of(given, self._options, min(self._args.jobs, len(given))):
            self._progress.file(file.path)
            yield from rows

    def _notes(self, row: Row) -> None:
        """What a user should know of a file: in JSON it is in the row."""
        if not self._args.json:
            for note in row.get("notes", ()):
                print(f"edgeemo: {printable(row['path'])}: {printable(note)}", file=sys.stderr)


def _check_one_recording(given: list[Input]) -> None:
    if len(given) != 1:
        raise BadInput(f"--output tells of one recording; {len(given)} files were given")
    if given[0].kind == "picture":
        raise BadInput(
            f"{printable(given[0].path)}: a picture has no time; --output takes sound or a video"
        )


def _overlay(args: argparse.Namespace) -> Overlay:
    from edgeemo.results.overlay import Overlay

    given = [*files(args.paths, ("video",))]
    if len(given) != 1 or given[0].kind != "video":
        what = printable(given[0].path) if len(given) == 1 else f"{len(given)} files"
        raise BadInput(f"--overlay draws on one video, not on {what}")
    return Overlay(args.overlay, Path(given[0].path))
