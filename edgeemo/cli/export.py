"""`edgeemo export`: turn a finished run into one small file that has been checked."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from edgeemo.cli._options import OldName
from edgeemo.errors import BadInput, printable
from edgeemo.io.files import check_output

if TYPE_CHECKING:
    from edgeemo.export import ExportResult

HELP = (
    "Write the student of a run as one file with its card inside. The file is run on held-out "
    "clips first, and refused if it differs from the trained student by more than the limits."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument(
        "run_folder",
        nargs="?",
        type=Path,
        metavar="RUN",
        help="folder left by `edgeemo distill` (default: the last one under runs/); for the format "
        "c also an int8 .tflite file or the name of a shipped model, with --waveform an .onnx "
        "file or such a name",
    )
    parser.add_argument("--int8", action="store_true", help="8-bit weights and activations")
    parser.add_argument(
        "--int4",
        action="store_true",
        help="the same with 4-bit weights in convolutions across channels",
    )
    parser.add_argument(
        "--format",
        default="onnx",
        metavar="F",
        help="formats, with commas between them (default: %(default)s)",
    )
    parser.add_argument(
        "-o", "--out", type=Path, metavar="DIR", help="folder for the files (default: RUN/export)"
    )
    parser.add_argument(
        "--waveform", action="store_true", help="one file that takes 16 kHz samples"
    )
    parser.add_argument(
        "--step", action="store_true", help="step models: states are inputs and outputs"
    )
    parser.add_argument(
        "--hop", dest="step", nargs=0, default=argparse.SUPPRESS, action=OldName, new="--step"
    )
    parser.add_argument(
        "--front-end",
        choices=("float", "fixed"),
        default="float",
        help="of the format c: fixed computes features and gate in integers, for processors "
        "without an FPU (default: %(default)s)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="write nothing: tell bytes, memory and work in each format of the student that "
        "--recipe describes, before it is trained",
    )
    parser.add_argument(
        "--recipe", metavar="NAME|FILE", help="of --dry-run, as in `edgeemo distill --recipe`"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a file")


def run(args: argparse.Namespace) -> int:
    """Export, and print the table of each file.

    Raises:
        BadInput: --front-end without the format c, --dry-run without --recipe or the reverse.
    """
    if args.dry_run or args.recipe:
        return _dry_run(args)
    from edgeemo.artifacts.models import shipped
    from edgeemo.compress.run import last_run, named_run
    from edgeemo.export.job import check_formats, export, row, text

    formats = [name.strip() for name in args.format.split(",") if name.strip()]
    if args.out is not None:
        check_output(args.out, folder=True)
    if args.front_end != "float" and formats != ["c"]:
        raise BadInput(f"--front-end {args.front_end} is of --format c; leave it out")
    check_formats(formats)  # before the last run is looked for: its message would mislead
    if args.run_folder is not None:
        args.run_folder = named_run(args.run_folder)
    folder = args.run_folder or last_run().folder
    if not folder.is_dir():
        if formats == ["c"]:
            return _write_folder(args)
        if args.waveform:
            return _write_waveform(args, formats)
        if folder.is_file() or str(folder) in {model.name for model in shipped()}:
            raise BadInput(
                f"{printable(folder)}: a model, not the folder of a run; of a model there are only "
                "--format c, alone, and --waveform"
            )
    results: list[ExportResult] = export(
        folder,
        formats,
        args.int8,
        args.out,
        args.waveform,
        args.step,
        front_end=args.front_end,
        int4=args.int4,
        log=logging.getLogger("edgeemo").info,
    )
    for result in results:
        print(json.dumps(row(result)) if args.json else text(result))
    return 0


def _dry_run(args: argparse.Namespace) -> int:
    """What a student will cost."""
    if not (args.dry_run and args.recipe):
        raise BadInput("--dry-run and --recipe go together, and tell what is not trained yet")
    if args.run_folder or args.out or args.waveform or args.step:
        raise BadInput("--dry-run writes nothing; with it go --recipe, --front-end and --json only")
    from edgeemo.compress.recipes import load_recipe
    from edgeemo.export.dry_run import dry_run, text

    found = dry_run(load_recipe(args.recipe), args.front_end)
    print(json.dumps(found) if args.json else text(found, args.front_end))
    return 0


def _write_waveform(args: argparse.Namespace, formats: list[str]) -> int:
    """A file that takes samples, from one that was exported before."""
    from edgeemo.artifacts.models import resolve
    from edgeemo.export.waveform import add_front_end

    if formats != ["onnx"] or args.step or args.int4:
        raise BadInput("--waveform of a file or a shipped model: only --format onnx, nothing else")
    file = add_front_end(resolve(str(args.run_folder), "onnx"), args.out or Path())
    size = file.stat().st_size
    row = {"path": str(file), "format": "onnx", "bytes": size}
    print(json.dumps(row) if args.json else f"{file}: {size} bytes, takes samples")
    return 0


def _write_folder(args: argparse.Namespace) -> int:
    """A C folder from a file that was exported before."""
    from edgeemo.artifacts.models import resolve
    from edgeemo.export import c_writer

    for option in ("int4", "step", "waveform"):
        if getattr(args, option):
            raise BadInput(
                f"--{option}: not for a C folder of a file or a shipped model, which keeps the "
                "file's weights; give the folder of a run"
            )
    artifact = resolve(str(args.run_folder), "c")
    path = (args.out or Path()) / f"{artifact.stem}-c"
    folder = c_writer.write_folder(artifact, path, args.front_end)
    print(json.dumps(c_writer.row(folder)) if args.json else c_writer.text(folder))
    return 0
