"""Make the weights that may be sold: teacher-open, then wav2small-stream-open, then their figures.

    python tools/open_weights.py --whisper model.bin --data DATA [--out runs/open] [--egemaps ...]

DATA holds voices/emodb, voices/emogator and, for training, speech/librispeech, speech/cremad and
speech/thorsten; the other folders of speech/ are heard by the benchmark alone, at the end. A killed
training goes on. What is ready is not made again: remove it to make it anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnx

from edgeemo.artifacts import teachers_package
from edgeemo.artifacts.card import Metric
from edgeemo.artifacts.onnx import read_onnx
from edgeemo.cli import exit_status
from edgeemo.compress.data import DataSet
from edgeemo.compress.pipeline import distill
from edgeemo.compress.recipes import load_recipe
from edgeemo.compress.run import Run
from edgeemo.compress.teachers import load_teacher
from edgeemo.compress.teachers.builtin import OPEN_FILE
from edgeemo.export import export
from edgeemo.export.builtin_teacher import show_progress
from edgeemo.export.onnx_writer import with_card
from edgeemo.export.open_teacher import make_teacher, open_speech
from edgeemo.io.files import write_bytes

ROOT = Path(__file__).resolve().parents[1]
NAME = "wav2small-stream-open"


def student(data: DataSet, out: Path) -> Run:
    """The finished run of the student."""
    folder = out / NAME
    run = Run(folder) if folder.exists() else Run.begin(folder, load_recipe(NAME), {})
    if not run.finished:
        distill(
            run, data, load_teacher("teacher-open"), cache=out / "labels", progress=show_progress
        )
    return run


def judge(args: argparse.Namespace, *models: str) -> dict[str, tuple[Metric, ...]]:
    """Figures for the cards, of all models that were judged until now.

    Args:
        args: of the command.
        models: for benchmarks/open_weights.py, which judges these.
    """
    command = [sys.executable, str(ROOT / "benchmarks" / "open_weights.py"), *models]
    command += ["--data", str(args.data), "--cache", str(args.out / "labels")]
    subprocess.run(command, check=True)
    found = json.loads((ROOT / "benchmarks" / "results" / "open_weights.json").read_text())
    return {name: tuple(Metric(**m) for m in rows) for name, rows in found["metrics"].items()}


def with_metrics(path: Path, metrics: tuple[Metric, ...]) -> bytes:
    """An ONNX file with other figures on its card."""
    artifact = read_onnx(path)
    model = onnx.load_from_string(artifact.data)
    del model.metadata_props[:]
    return with_card(model, replace(artifact.card, metrics=metrics))


def ship(run: Run, metrics: tuple[Metric, ...]) -> None:
    """The files of the student, with their figures, in edgeemo-teachers, where its teacher lies."""
    run.finish(replace(run.facts(), metrics=metrics))
    for made in export(run.folder, ("onnx", "tflite"), int8=True):
        shutil.copy(made.path, teachers_package.need("zoo") / f"{NAME}{made.path.suffix}")


def main() -> None:
    """Everything, in order."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--whisper", type=Path, required=True, help="CTranslate2 model.bin")
    parser.add_argument("--data", type=Path, required=True, help="holds speech/ and voices/")
    parser.add_argument("--out", type=Path, default=Path("runs/open"))
    parser.add_argument("--egemaps", type=Path, nargs="+", default=[])
    args = parser.parse_args()
    teacher, speech = teachers_package.need(OPEN_FILE), open_speech(args.data)
    if not teacher.exists():
        write_bytes(teacher, make_teacher(args.whisper, speech, args.out / "labels"))
        beside = ["--egemaps", *map(str, args.egemaps)] if args.egemaps else []
        judge(args, "--teacher", "--whisper", str(args.whisper), *beside)
    run = student(speech, args.out)
    (made,) = export(run.folder, ("onnx",), int8=True)
    found = judge(args, "--student", str(made.path))
    # Last, because another card is another file, and what its labels were stored under.
    write_bytes(teacher, with_metrics(teacher, found["teacher-open"]))
    ship(run, found[f"{NAME}, int8"])


if __name__ == "__main__":
    sys.exit(exit_status(main))
