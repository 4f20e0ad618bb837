"""`edgeemo label`: a teacher's labels for corpora that are too large for one run of `distill`."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

from edgeemo.cli._labels import add_label_scale
from edgeemo.cli._progress import progress_on_stderr
from edgeemo.errors import BadInput, counted, require

HELP = (
    "Label tars or folders with a teacher, each by itself, so that any number of jobs may share "
    "the work; then pack the labels, for `edgeemo distill --labels`."
)

_UNIT = ("tar or slice", "tars or slices")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    add = parser.add_argument
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", type=Path, metavar="D", help="tar, folder of tars, or a corpus")
    what.add_argument("--pack", type=Path, metavar="LABELS", help="labels that are to be packed")
    add("--out", type=Path, metavar="DIR", required=True, help="folder of the labels, or packed")
    add("--recipe", metavar="R", help="name or .toml file (default: demo)")
    add("--teacher", metavar="T", help="name, file or folder; overrides the recipe's")
    add("--part", metavar="K/N", default="1/1", help="label only every Nth tar, from the Kth on")
    add_label_scale(parser)
    add("--device", default="cpu", help="of torch (default: %(default)s)")
    add(
        "--decoders",
        type=int,
        default=0,
        metavar="N",
        help="processes that decode while the teacher runs on a GPU (default: one thread)",
    )
    add(
        "--precision",
        choices=["float32", "bfloat16"],
        default="float32",
        help="of a teacher over wav2vec2 or WavLM; bfloat16 is faster on a GPU and changes labels",
    )
    add(
        "--batch-seconds",
        type=float,
        metavar="S",
        help="most seconds of sound in a batch of such a teacher (default: 60)",
    )
    add("--json", action="store_true", help="the result as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Label or pack, and print what came out."""
    require("torch", "train")
    require("pyarrow", "train")
    return _pack(args) if args.pack else _label(args)


def _label(args: argparse.Namespace) -> int:
    from edgeemo.compress.labels.units import UnitLabeller, label_part
    from edgeemo.compress.pipeline import new_student
    from edgeemo.compress.recipes import load_recipe
    from edgeemo.compress.teachers.own import teacher_of
    from edgeemo.compress.teachers.tuning import tuned

    part = _part(args.part)
    if not 0 <= args.decoders <= 1024:
        raise BadInput(f"--decoders {args.decoders}; expected 0 to 1024")
    recipe = load_recipe(args.recipe or "demo")
    if args.teacher:
        recipe = replace(recipe, teacher=replace(recipe.teacher, name=args.teacher))
    spec = new_student(recipe).spec
    teacher = teacher_of(recipe, args.device)
    teacher = tuned(teacher, args.precision, args.batch_seconds)
    labeller = UnitLabeller(teacher, spec, recipe, args.out, args.decoders)
    scale = (args.label_scale[0], args.label_scale[1])
    with progress_on_stderr() as show:
        made = label_part(labeller, args.data, part, scale, show)
    rows = sum(unit.rows for unit in made.units)
    skipped = sum(unit.skipped for unit in made.units)
    found = {
        "labels": str(labeller.folder),
        "part": f"{made.part}/{made.parts}",
        "units": len(made.units),
        "left_out": [unit.name for unit in made.left_out],
        "rows": rows,
        "skipped": skipped,
    }
    units = counted(len(made.units), *_UNIT)
    text = f"{labeller.folder}: {counted(rows, 'row')} of {units}, part {args.part}"
    if skipped or made.left_out:
        text += (
            f"; could not be labelled: {counted(skipped, 'row')}; left out: "
            f"{counted(len(made.left_out), *_UNIT)}; see the warnings above"
        )
    print(json.dumps(found, ensure_ascii=False) if args.json else text)
    return 1 if skipped or made.left_out else 0


def _pack(args: argparse.Namespace) -> int:
    from edgeemo.compress.labels.packing import pack
    from edgeemo.compress.pipeline import new_student
    from edgeemo.compress.recipes import load_recipe

    recipe = load_recipe(args.recipe) if args.recipe else None
    if recipe is not None and args.teacher:
        recipe = replace(recipe, teacher=replace(recipe.teacher, name=args.teacher))
    spec = new_student(recipe).spec if recipe else None
    with progress_on_stderr() as show:
        index = pack(args.pack, args.out, recipe, spec, show)
    rows = sum(file.rows for file in index.files)
    found = {
        "packed": str(args.out),
        "rows": rows,
        "groups": index.groups,
        "files": len(index.files),
        "skipped": index.skipped,
    }
    text = (
        f"{args.out}: {counted(rows, 'row')} of {counted(index.groups, 'person', 'people')} in "
        f"{counted(len(index.files), 'file')}\n"
        f"Next: edgeemo distill --labels {shlex.quote(str(args.out))}"
    )
    print(json.dumps(found, ensure_ascii=False) if args.json else text)
    return 0


def _part(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})/(\d{1,5})", text, re.ASCII)
    if match is None:
        raise BadInput(f"--part {text!r:.40}; expected K/N, for example 1/4")
    return int(match[1]), int(match[2])
