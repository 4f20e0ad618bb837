"""`edgeemo evaluate`: a model against labels."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from edgeemo._files import write_text
from edgeemo.errors import BadData, BadInput
from edgeemo.evaluation import Figure, Judged, figures, to_csv, to_svg
from edgeemo.models import DEFAULT
from edgeemo.session import Session, load

if TYPE_CHECKING:
    from edgeemo.compress.data import Clip, DataSet

HELP = (
    "Compare a model with labels: CCC of arousal, dominance, valence with annotators' means, UAR "
    "of the classes, over all clips and by speaker. Say of a figure whether the model was trained "
    "on these speakers."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument(
        "path", metavar="PATH", help="a folder with labels.csv, or a corpus as it is distributed"
    )
    parser.add_argument("--model", default=DEFAULT, metavar="M",
                        help="name or file (default: %(default)s)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object a measure")
    parser.add_argument("--csv", type=Path, metavar="F", help="write a line a clip to F")
    parser.add_argument("--plot", type=Path, metavar="F.svg", help="draw estimates over labels")


def run(args: argparse.Namespace) -> int:
    """Evaluate; 1 if a clip could not be used."""
    from edgeemo.compress.data import open_dataset

    if args.plot is not None and args.plot.suffix != ".svg":
        raise BadInput(f"{args.plot}: pictures are written as SVG; name a file that ends in .svg")
    session = load(args.model)
    data = open_dataset(args.path)
    rows = list(judge(session, data))
    found = figures(rows)
    if not found:
        raise BadData(
            f"{args.path}: nothing to compare with: fewer than 2 usable clips have arousal, "
            "dominance and valence or a class"
        )
    if args.csv is not None:
        write_text(args.csv, to_csv(rows))
    if args.plot is not None:
        write_text(args.plot, to_svg(rows))
    for line in _json(found, session, data) if args.json else _text(found, session, data):
        print(line)
    skipped = len(data) - len(rows)
    if skipped:
        print(f"edgeemo: {skipped} of {len(data)} clips were skipped", file=sys.stderr)
    return int(skipped > 0)


def judge(session: Session, data: DataSet) -> Iterator[Judged]:
    """Estimates of all clips that can be read and are long enough."""
    from edgeemo.compress.data import RATE, readable

    for clip, samples in readable(data):
        try:
            estimate = session.predict(samples, RATE)
        except BadInput as error:
            print(f"edgeemo: skipped {clip.id}: {error}", file=sys.stderr)
            continue
        yield Judged(clip.id, clip.speaker, estimate, clip.adv, _truth(clip))


def _truth(clip: Clip) -> str | None:
    """The class with the most votes; None for no votes or a tie."""
    votes = clip.votes or {}
    best = [name for name, share in votes.items() if share == max(votes.values())]
    return best[0] if len(best) == 1 else None


def _json(found: list[Figure], session: Session, data: DataSet) -> Iterator[str]:
    for figure in found:
        yield json.dumps({"model": session.card.name, "data": data.name} | asdict(figure))


def _text(found: list[Figure], session: Session, data: DataSet) -> Iterator[str]:
    yield f"{session.card.name} on {data.name}: {len(data)} clips, {len(data.speakers)} speakers"
    yield f"{'':16}{'all clips':>10}{'speakers':>10}{'mean':>8}{'sd':>8}{'worst':>8}"
    for f in found:
        each = [f"{v:8.3f}" if v is not None else f"{'-':>8}" for v in (f.mean, f.spread, f.worst)]
        yield f"{f.measure.upper()} {f.of:<12}{f.value:10.3f}{f.speakers:10d}{''.join(each)}"
