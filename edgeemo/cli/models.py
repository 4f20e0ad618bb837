"""`edgeemo models`: what is shipped, and the command to use it."""

from __future__ import annotations

import argparse
import json
from typing import Any

from edgeemo.artifacts.card import Card
from edgeemo.artifacts.licences import verdict_of
from edgeemo.artifacts.models import Model, shipped
from edgeemo.io import schema

HELP = "List the models that are shipped with edgeemo, with licence, cost and measured figures."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("--json", action="store_true", help="one JSON object a model")


def run(args: argparse.Namespace) -> int:
    """Print all models."""
    models = shipped()
    if args.json:
        for model in models:
            print(json.dumps(row(model), ensure_ascii=False))
        return 0
    if not models:
        print("no model is shipped with this edgeemo; make one: edgeemo distill, edgeemo export")
    print("\n\n".join(_text(model) for model in models))
    return 0


def row(model: Model) -> dict[str, Any]:
    """What `--json` prints for a model."""
    card = model.card
    return {
        "name": model.name,
        "task": card.task,
        "path": str(model.path),
        "formats": [model.format],
        "bytes": model.bytes,
        "parameters": card.parameters,
        "macs_per_second": card.macs_per_second,
        "licence": card.licence,
        "allowed": verdict_of(card).allowed,
        "metrics": schema.write(card.metrics),
        "command": model.command,
    }


def _text(model: Model) -> str:
    card = model.card
    return "\n".join(
        [
            f"{model.name}  ({card.task}, {model.format}, {card.quantization.kind})",
            f"  {model.bytes / 1000:.1f} KB, {card.parameters} parameters, {card.work}",
            f"  licence: {card.licence}",
            f"  {verdict_of(card)}",
            *figure_lines(card),
            f"  use: {model.command}",
        ]
    )


def figure_lines(card: Card) -> list[str]:
    """A line for each figure of a card, with what people and the level alone reach."""
    lines = []
    for metric in card.metrics:
        spread = "" if metric.spread is None else f" ± {metric.spread:.3f}"
        human = "" if metric.human_ceiling is None else f", one human {metric.human_ceiling:.3f}"
        base = "" if metric.baseline is None else f", level alone {metric.baseline:.3f}"
        lines.append(
            f"  {metric.measure} {metric.of}: {metric.value:.3f}{spread}{human}{base} "
            f"({metric.test_set})"
        )
    return lines
