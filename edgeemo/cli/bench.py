"""`edgeemo bench`: what the models cost on this machine, beside the peers that are installed."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from typing import Any

from edgeemo.artifacts.card import Card
from edgeemo.artifacts.models import DEFAULT, FACE_DEFAULT, shipped
from edgeemo.cli.models import figure_lines
from edgeemo.evaluation.bench import PEERS, PROTOCOL, Row, measure
from edgeemo.io import schema
from edgeemo.session import load

HELP = (
    "Measure on this machine what a model costs: time from samples or a picture to the estimate, "
    "time to load, peak memory; beside the same model on onnxruntime and LiteRT, and behind "
    "librosa's front end, as far as they are installed. Bytes, multiply-accumulates and accuracy "
    "are those of the file and its card. Some minutes."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument(
        "--model", metavar="M", help="name or file (default: the shipped ones of speech and faces)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a model and peer")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    for name, peer in PEERS.items():
        if not peer.installed:
            print(f"edgeemo: {name} is not installed and left out", file=sys.stderr)
    there = {model.name for model in shipped()}
    defaults = [name for name in (DEFAULT, FACE_DEFAULT) if name in there]
    for model in [args.model] if args.model else defaults:
        card = load(model).card
        print(f"edgeemo: measuring {card.name}, a minute or more", file=sys.stderr, flush=True)
        rows = measure(model)
        if args.json:
            for row in rows:
                print(json.dumps(_line(card, row)), flush=True)
        else:
            print(_table(card, rows), flush=True)
    if not args.json:
        print(f"{PROTOCOL}; {_machine()}")
    return 0


def _line(card: Card, row: Row) -> dict[str, Any]:
    """What `--json` prints: the row, and what the card tells."""
    return {
        "model": card.name,
        "task": card.task,
        **asdict(row),
        "parameters": card.parameters,
        "macs_per_second": card.macs_per_second,
        "metrics": schema.write(card.metrics),
        "protocol": PROTOCOL,
        "machine": _machine(),
    }


def _table(card: Card, rows: list[Row]) -> str:
    head = f"  {'':20}{'KB':>8}{'ms':>8}{'best':>8}{'load ms':>9}{'peak MB':>9}{'time':>8}"
    lines = [
        f"  {r.peer:20}{r.bytes / 1000:8.1f}{r.ms:8.2f}{r.best_ms:8.2f}{r.load_ms:9.0f}"
        f"{r.peak_mb:9.1f}{r.ratio:7.2f}x"
        for r in rows
    ]
    title = f"{card.name}  ({card.task}, {card.quantization.precision}): {card.work}"
    return "\n".join([title, *figure_lines(card), head, *lines, ""])


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores"
