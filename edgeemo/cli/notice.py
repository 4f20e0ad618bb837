"""`edgeemo notice`: the text that a product which contains a model must include."""

from __future__ import annotations

import argparse
import textwrap

from edgeemo.artifacts.card import Card
from edgeemo.artifacts.licences import MIT, verdict_of
from edgeemo.artifacts.models import card_of, resolve
from edgeemo.errors import BadInput

HELP = "Print the text that a product which contains a model must include: who must be named."

_WIDTH = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("model", metavar="MODEL", help="name of a shipped model, or a file")


def run(args: argparse.Namespace) -> int:
    """Print the notice.

    Raises:
        BadInput: the model may not be part of a product.
    """
    print(text(card_of(resolve(args.model))))
    return 0


def text(card: Card) -> str:
    """The notice of a model.

    Raises:
        BadInput: its sources do not allow that it is sold, or it is not known whether they do.
    """
    found = verdict_of(card)
    if found.allowed != "may be sold":
        raise BadInput(
            f"{card.name}: {found}; no product may contain it. "
            "`edgeemo models` tells which model may be sold"
        )
    lines = [
        f"This product contains {card.name}, a model that estimates how speech or faces are "
        f"perceived (edgeemo, digest {card.digest[:12]}). Licence of the weights: {card.licence}.",
        "It was made with:",
        *(f"- {line}" for line in card.attributions),
    ]
    if any("MIT" in line for line in card.attributions):
        lines += ["", "MIT License", "", *MIT]
    return "\n".join(textwrap.fill(line, _WIDTH, subsequent_indent="  " * line.startswith("- "))
                     for line in lines)  # fmt: skip
