"""`edgeemo models`: what is shipped, and the command to use it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from edgeemo.artifacts.card import Card
from edgeemo.artifacts.licences import verdict_of
from edgeemo.artifacts.models import Model, shipped
from edgeemo.artifacts.reading import read_model
from edgeemo.errors import BadArtifact, counted
from edgeemo.io import schema

HELP = (
    "List the models that are shipped with edgeemo, or show the card of any file that `edgeemo "
    "export` wrote: licence, cost, measured figures, who taught it, what it is not for."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="ONNX or TFLite")
    parser.add_argument("--json", action="store_true", help="one JSON object a model")


def run(args: argparse.Namespace) -> int:
    """Print all models, or the cards of some files."""
    models = [model_of(path) for path in args.files] or shipped()
    if args.json:
        for model in models:
            more = {"card": schema.write(model.card)} if args.files else {}
            print(json.dumps(row(model) | more, ensure_ascii=False))
        return 0
    if not models:
        print("no model is shipped with this edgeemo; make one: edgeemo distill, edgeemo export")
    text = _card_text if args.files else _text
    print("\n\n".join(text(model) for model in models))
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
            f"{model.name}  ({card.task}, {model.format}, {card.quantization.precision})",
            f"  {model.bytes / 1000:.1f} KB, {card.parameters} parameters, {card.work}",
            f"  licence: {card.licence}",
            f"  {verdict_of(card)}",
            *figure_lines(card),
            f"  use: {model.command}",
        ]
    )


def model_of(path: Path) -> Model:
    """A file that was not shipped.

    Args:
        path: ONNX or TFLite, with a card.

    Raises:
        BadArtifact: no such file, or none of `edgeemo export`.
    """
    if path.suffix not in (".onnx", ".tflite"):
        raise BadArtifact(f"{path}: expected a file that ends in .onnx or .tflite")
    card = read_model(path).card
    return Model(str(path), path, path.suffix[1:], path.stat().st_size, card)


def _card_text(model: Model) -> str:
    card = model.card
    lines = [_text(model)]
    lines += [f"  teacher: {s.name} ({s.licence})" for s in card.teachers]
    lines += [f"  data: {s.name} ({s.licence})" for s in card.data]
    taught = card.trained_on
    if taught is None:
        lines.append("  who taught it: not on its card")
    else:
        few = "" if taught.speaker_hashes.whole else " or more"
        speakers = counted(len(taught.speaker_hashes.by), "speaker")
        lines.append(
            f"  who taught it: {speakers}{few} by hash, corpora: "
            f"{', '.join(taught.corpora) or 'none'}"
        )
        lines += [f"  not known what taught: {name}" for name in taught.unknown]
    lines += [f"  outputs: {o.name}: {', '.join(o.labels)}" for o in card.outputs]
    if card.embedding:
        lines.append(f"  embedding: {card.embedding} numbers")
    lines += [f"  digest: {card.digest}", f"  recipe: {card.recipe or 'not known'}"]
    lines += [f"  for: {card.intended_use}", f"  not for: {card.misuse}"]
    lines.append(f"  not validated for: {', '.join(card.not_validated_for)}")
    return "\n".join(lines)


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
