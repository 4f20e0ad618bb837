"""Options of `edgeemo live` that send estimates elsewhere, and the views behind them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgeemo.cli._options import add_output
from edgeemo.live.lsl import LISTENS

if TYPE_CHECKING:
    from edgeemo.artifacts.card import Card
    from edgeemo.live.engine import View


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    group = parser.add_argument_group("where estimates go, too")
    add = group.add_argument
    add("--csv", type=Path, metavar="F", help="a table with a line an estimate")
    add_output(group, "for other programs, an utterance a cue; written at the end")
    add(
        "--osc",
        metavar="[HOST:]PORT",
        help="Open Sound Control by UDP, to a program of this machine unless HOST is given; "
        "nothing is listened for",
    )
    add(
        "--lsl",
        action="store_true",
        help="a stream of the Lab Streaming Layer for programs of this machine (extra lsl); "
        f"{LISTENS}",
    )


def output_views(args: argparse.Namespace, cards: Callable[[], tuple[Card, ...]]) -> Iterator[View]:
    """The views that were asked for; each refuses at once what could not work.

    Args:
        args: of the command.
        cards: of the models, once they are loaded.
    """
    if args.csv is not None or args.output:
        from edgeemo.live.outputs import CsvFile, CueFiles
        from edgeemo.results.writers import Origin

        if args.csv is not None:
            yield CsvFile(args.csv, (args.wav, args.video, args.profile))
        if args.output:
            yield CueFiles(args.output, lambda: Origin(args.video or args.wav, cards()))
    if args.osc is not None:
        from edgeemo.live.osc import Osc

        yield Osc(args.osc)
    if args.lsl:
        from edgeemo.live.lsl import Lsl

        yield Lsl(cards)
