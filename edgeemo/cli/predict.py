"""`edgeemo predict`: arousal, dominance, valence and classes of sound files."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgeemo.backends import BACKENDS
from edgeemo.baseline import Baseline, load_baseline
from edgeemo.errors import BadInput
from edgeemo.models import DEFAULT
from edgeemo.session import Session, load

HELP = (
    "Estimate how speech in sound files would be perceived. Folders are searched for sound. "
    "A file that cannot be used is reported in its line, the rest goes on, and the exit status "
    "is 1."
)

Row = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a sound file or a folder")
    parser.add_argument(
        "--model", default=DEFAULT, metavar="M",
        help="name of a shipped model or path of a file (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--backend", choices=sorted(BACKENDS), help="what runs the model (default: by its ending)"
    )
    parser.add_argument(
        "--baseline", metavar="F", help="of the person who speaks; made by `edgeemo calibrate`"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a file")


def run(args: argparse.Namespace) -> int:
    """Predict every file; 1 if one could not be used."""
    session = load(args.model, args.backend)
    baseline = None if args.baseline is None else load_baseline(args.baseline)
    failed = False
    table = None if args.json else _Table()
    for path, error in files(args.paths):
        row = {"path": path, "error": error} if error else predict_file(session, path, baseline)
        failed |= "error" in row
        print(json.dumps(row, ensure_ascii=False) if table is None else table.line(row))
        # A reader at the other end of a pipe sees each file when it is done.
        sys.stdout.flush()
    return int(failed)


def predict_file(session: Session, path: str, baseline: Baseline | None = None) -> Row:
    """The line of one file: its estimate, or the error that it gave."""
    from edgeemo.audio import read_audio

    try:
        spec = session.card.features
        samples = read_audio(path, spec.sample_rate)
        found = asdict(session.predict(samples, spec.sample_rate, baseline=baseline))
    except BadInput as error:
        return {"path": path, "error": str(error)}
    row: Row = {"path": path}
    for key in ("arousal", "dominance", "valence", "classes", "confidence", "start", "end"):
        row[key] = _rounded(found[key])
    return row


def files(paths: list[str]) -> Iterator[tuple[str, str]]:
    """Path and error ("" if none) of each file: folders are walked in sorted order.

    A file that is named is tried whatever its ending; in folders only sound is taken.
    """
    from edgeemo.audio import SUFFIXES

    for given in paths:
        folder = Path(given)
        if not folder.is_dir():
            yield given, ""
            continue
        found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        for path in found:
            yield str(path), ""
        if not found:
            yield given, f"no sound in this folder; looked for {', '.join(SUFFIXES)}"


class _Table:
    """Lines for people: a head first, then a line a file."""

    def __init__(self) -> None:
        self._started = False

    def line(self, row: Row) -> str:
        head = "" if self._started else "arousal  dominance  valence  class            file\n"
        self._started = True
        if "error" in row:
            return f"{head}{'-':>7}  {'-':>9}  {'-':>7}  {'-':<15}  {row['path']}: {row['error']}"
        values = [_cell(row[name]) for name in ("arousal", "dominance", "valence")]
        best = max(row["classes"], key=row["classes"].get, default="")
        label = f"{best} {row['confidence']:.2f}" if best else "-"
        return f"{head}{values[0]:>7}  {values[1]:>9}  {values[2]:>7}  {label:<15}  {row['path']}"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _rounded(value: Any) -> Any:
    """Four digits: the models are not better than two, and lines stay readable."""
    if isinstance(value, dict):
        return {key: _rounded(v) for key, v in value.items()}
    return round(value, 4) if isinstance(value, float) else value
