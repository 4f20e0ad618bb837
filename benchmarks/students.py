"""The students of speech side by side: agreement with annotators, bytes, work and time.

    python benchmarks/students.py --data DATA runs/crossval/wav2small-stream runs/crossval/NAME ...

Each folder is one that benchmarks/crossval.py left of a recipe; rows of other students stay. Judged
are the int8 ONNX files of the first repetition, by EmoTale's clips of the two speakers that each
was not trained on: clean, and behind six voices at 5 dB as benchmarks/robustness.py mixes them.
Bytes and work are those of the first fold's file; time is what `edgeemo bench` measures of it in
onnxruntime, over that of the default model's ONNX file right after.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _conditions import Condition, conditions
from _data import add_data
from _figures import result
from _heldout import exported
from robustness import BEHIND, RATED, measure, of_folds, student, talkers

from edgeemo.artifacts.models import DEFAULT
from edgeemo.artifacts.onnx import read_onnx
from edgeemo.cli import exit_status
from edgeemo.errors import BadInput
from edgeemo.io.files import write_text

RESULT = Path(__file__).parent / "results" / "students.json"
UNDER = ("clean", "babble 5 dB")


def judged(data: Path, folder: Path, changes: Sequence[Condition]) -> dict[str, list[float]]:
    """CCC of arousal, dominance and valence under each of UNDER, by the files of the folds."""
    rows = measure({"file": student}, of_folds(data, folder, seeds=1), changes, UNDER)
    return {row["condition"]: row["file"]["ccc"] for row in rows}


def cost(file: Path) -> dict[str, Any]:
    """Bytes, parameters, work, and time of a file."""
    card = read_onnx(file).card
    return {
        "bytes": file.stat().st_size,
        "parameters": card.parameters,
        "macs_per_second": card.macs_per_second,
        "time": round(milliseconds(str(file)) / milliseconds(DEFAULT), 2),
    }


def milliseconds(model: str) -> float:
    """From samples to the estimate, in onnxruntime."""
    command = [sys.executable, "-m", "edgeemo", "bench", "--json", "--model", model]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    (row,) = (r for r in map(json.loads, printed.splitlines()) if r["peer"] == "onnxruntime")
    return float(row["ms"])


def _history(folder: Path) -> list[str]:
    """A line for each pass that taught the backbone."""
    file = folder / "backbone" / "metrics.jsonl"
    if not file.is_file():
        raise BadInput(f"{file}: no such file; make it with benchmarks/crossval.py")
    return file.read_text(encoding="utf-8").splitlines()


def main() -> None:
    """Judge, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_data(parser, *(f"speech/{name}" for name in (RATED, BEHIND)))
    parser.add_argument("folders", nargs="+", type=Path, help="of benchmarks/crossval.py")
    args = parser.parse_args()
    files = {folder: exported(folder / "run-0-0") for folder in args.folders}
    histories = {folder: _history(folder) for folder in files}
    every = conditions(talkers(args.data))
    found = (result(RESULT.name) or {"students": {}})["students"]
    for folder, file in files.items():
        found[folder.name] = {
            "ccc": judged(args.data, folder, every),
            "passes": len(histories[folder]),
            **cost(file),
        }
        print(folder.name, json.dumps(found[folder.name], indent=1), flush=True)
    command = "python benchmarks/students.py --data DATA runs/crossval/*"
    write_text(RESULT, json.dumps({"command": command, "students": found}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(exit_status(main))
