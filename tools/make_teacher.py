"""Make the built-in teacher of speech.

    python tools/make_teacher.py --whisper model.bin --data CORPORA

1. Its backbone: two layers of Whisper tiny.en, weights rounded to int8, and the principal
   directions of its tokens on the speech of edgeemo-teachers (edgeemo.export.builtin_teacher).
2. The backbone labels all clips, and as many augmented copies as the recipe asks for.
3. Heads are trained on the mean of its tokens over time (edgeemo.compress.teachers.heads).
4. One ONNX file with a card. Its metrics, on unseen speakers, are those of benchmarks/crossval.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from edgeemo.artifacts import teachers_package
from edgeemo.artifacts.card import Metric
from edgeemo.cli import exit_status
from edgeemo.compress.data import open_dataset
from edgeemo.compress.recipes import load_recipe
from edgeemo.compress.teachers.builtin import FILE
from edgeemo.compress.teachers.heads import HeadsSettings, fit_heads
from edgeemo.export.builtin_teacher import head_rows, make_backbone, teacher_file
from edgeemo.io.files import write_bytes


def make(args: argparse.Namespace) -> None:
    """Label, train the heads on all speakers, write the file."""
    # First, so that a wrong value is told at once.
    metrics, recipe = _metrics(args.metrics), load_recipe(args.recipe)
    data, backbone = open_dataset(args.data), make_backbone(args.whisper)
    examples = head_rows(backbone, data, recipe, args.cache)
    heads = fit_heads(examples, HeadsSettings())
    heads.round()
    artifact = teacher_file(backbone, heads, data, metrics)
    out = args.out or teachers_package.need(FILE)
    write_bytes(out, artifact)
    print(f"{out}: {len(artifact)} bytes, {len(examples)} examples")


def _metrics(path: Path | None) -> tuple[Metric, ...]:
    if path is None:
        return ()
    result = json.loads(path.read_text(encoding="utf-8"))
    return tuple(Metric(**metric) for metric in result["metrics"]["teacher"])


def main(argv: Sequence[str] | None = None) -> int:
    """Make the file; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--whisper", type=Path, required=True, help="CTranslate2 model.bin")
    parser.add_argument("--data", type=Path, required=True, help="folder of corpora")
    parser.add_argument("--recipe", default="wav2small-stream", help="tells the augmented copies")
    parser.add_argument("--cache", type=Path, default=Path("runs/labels"))
    parser.add_argument("--metrics", type=Path, help="result of benchmarks/crossval.py")
    parser.add_argument("-o", "--out", type=Path, help="default: the shipped file")
    args = parser.parse_args(argv)
    return exit_status(lambda: make(args))


if __name__ == "__main__":
    sys.exit(main())
