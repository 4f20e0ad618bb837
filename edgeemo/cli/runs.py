"""`edgeemo runs`: what was trained, and how it compares."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeemo.errors import require
from edgeemo.io.files import check_output, write_text

if TYPE_CHECKING:
    from edgeemo.compress.evaluation.runs import RunView

HELP = (
    "List the runs of `edgeemo distill`, or compare some: differences of recipe and data, metrics, "
    "costs, and with --json the figures of each epoch. Runs of other data or other test people are "
    "told: their figures say nothing of each other."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    add = parser.add_argument
    add("runs", nargs="*", type=Path, metavar="RUN", help="runs to compare (default: list all)")
    add("--folder", type=Path, default=Path("runs"), help="of all runs (default: %(default)s)")
    add("--json", action="store_true", help="one JSON object a run, with its curves")
    add("--csv", type=Path, metavar="F", help="write a line a run to F: recipe, metrics, costs")
    add(
        "--tensorboard",
        type=Path,
        metavar="DIR",
        help='write the curves as events for TensorBoard (pip install "edgeemo[tensorboard]")',
    )


def run(args: argparse.Namespace) -> int:
    """List or compare."""
    require("torch", "train")
    from edgeemo.compress.evaluation.runs import apart, find_runs, to_csv, view
    from edgeemo.compress.run import named_run

    if args.csv is not None:
        check_output(args.csv)
    given = [named_run(run, args.folder) for run in args.runs]
    views = [view(folder) for folder in given or find_runs(args.folder)]
    told = apart(views) if args.runs else []
    if args.csv is not None:
        write_text(args.csv, to_csv(views))
    if args.tensorboard is not None:
        _events(views, args.tensorboard)
    if args.json:
        for each in views:
            print(json.dumps(asdict(each) | {"apart": told}, ensure_ascii=False))
        return 0
    for line in _compared(views, told) if len(args.runs) > 1 else _listed(views):
        print(line)
    return 0


def _listed(views: Sequence[RunView]) -> Iterator[str]:
    for each in views:
        yield f"{each.name}: {each.state}, {each.recipe.get('student.name')}"
        if each.costs:
            macs = each.costs["macs_per_second"] / 1e6
            yield f"  {each.costs['parameters']:,} parameters, {macs:.2f} M MAC"
        if each.metrics:
            yield f"  on {each.test_set}:"
        for name, value in each.metrics.items():
            yield f"  {value:8.3f}  {name}"


def _compared(views: Sequence[RunView], told: Sequence[str]) -> Iterator[str]:
    from edgeemo.compress.evaluation.runs import differences

    yield from (f"not comparable: {text}" for text in told)
    width = max(12, *(len(v.name) for v in views))

    def row(name: str, values: Sequence[Any]) -> str:
        cells = (f"{_cell(v):>{width}}" for v in values)
        return f"{name:44.44}  {'  '.join(cells)}"

    yield row("", [v.name for v in views])
    for name, values in differences(views).items():
        yield row(name, values)
    for table in ("metrics", "costs"):
        rows = [getattr(v, table) for v in views]
        for name in dict.fromkeys(key for r in rows for key in r):
            yield row(name, [r.get(name) for r in rows])
    yield row("epochs", [len(v.history) for v in views])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = "-" if value is None else str(value)
    return text if len(text) <= 24 else f"...{text[-21:]}"


def _events(views: Sequence[RunView], folder: Path) -> None:
    from edgeemo.compress.evaluation.runs import scalars

    require("tensorboard", "tensorboard")
    writer = require("torch.utils.tensorboard", "tensorboard").SummaryWriter
    for each in views:
        with writer(str(folder / each.name)) as events:
            for name, epoch, value in scalars(each):
                events.add_scalar(name.replace(".", "/"), value, epoch)
