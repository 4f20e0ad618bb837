"""What a recipe's student will cost in each format, told before anything is trained.

The student is made as training makes it, but for its weights, and written by the writers
themselves: sizes depend on the layers alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgeemo.artifacts import onnx, tflite
from edgeemo.artifacts.card import Calibration
from edgeemo.artifacts.confidence import DESCRIBED, Confidence
from edgeemo.compress.evaluation.summary import window_of
from edgeemo.compress.pipeline import STAGES, new_student
from edgeemo.compress.recipes import Recipe
from edgeemo.compress.stages.channels import remove_channels
from edgeemo.compress.students import Student
from edgeemo.compress.students.cost import (
    activation_bytes,
    input_shape,
    macs_per_second,
    parameters,
)
from edgeemo.errors import BadArtifact, BadInput
from edgeemo.features import FeatureSpec
from edgeemo.types import CLASSES

from .c_writer import FRONT_ENDS, write_folder
from .cards import make_card
from .int8 import ActivationRecorder
from .onnx_writer import OnnxWriter, card_behind, float_graph
from .tflite_writer import TfliteWriter
from .writer import ExportInput, QuantConfig

_FRAMES = 128


def dry_run(recipe: Recipe, front_end: str = "float") -> dict[str, Any]:
    """Sizes, memory and work of a recipe's student.

    Args:
        recipe: of which no step is run.
        front_end: of the C folder; see `edgeemo.export.c_writer.write_folder`.

    Returns:
        "name", "each" (what work and memory are for: "second" of sound, "picture"), "parameters",
        "macs_per_second", "activation_bytes" (least RAM of a runtime, in int8); "onnx" and
        "tflite", each with the bytes in "float" and "int8" but for the card; and "c":
        "network_and_tables" (bytes of flash), "memory" (bytes of RAM on 32 bits) and, where the
        tools are there, what `edgeemo.export.c_writer.measure` gives; or "why_not", one line.

    Raises:
        BadRecipe: no such student or option.
    """
    student = untrained(recipe)
    trained = ExportInput(student, _card(recipe.name, student))
    clips = [clip.numpy() for clip in _noise(student)]
    how = QuantConfig(ActivationRecorder(float_graph(student, 1.0)).observe(clips).table("minmax"))
    found: dict[str, Any] = {
        "name": recipe.name,
        "each": "second" if isinstance(student.spec, FeatureSpec) else "picture",
        "parameters": parameters(student),
        "macs_per_second": round(macs_per_second(student)),
        "activation_bytes": activation_bytes(student),
    }
    for writer in (OnnxWriter(), TfliteWriter()):
        plain, small = writer.write(trained), writer.write(trained, how)
        found[writer.format] = {"float": _bytes(plain), "int8": _bytes(small)}
    return found | {"c": _folder(small, front_end)}


def untrained(recipe: Recipe) -> Student:
    """The student with the layers that the recipe's stages leave, and weights of no use.

    Args:
        recipe: of which no step is run.

    Raises:
        BadRecipe: no such student or option.
    """
    student = new_student(recipe)
    for name, stage in STAGES.items():
        config = getattr(recipe, stage.table)
        if name == "embedding" and config is not None and config.embedding:
            student = student.with_channels(range(config.embedding), config.hidden)
        if name == "prune" and config is not None and config.kind == "channels":
            # Which channels go depends on the weights, how many does not.
            student = remove_channels(student.eval(), config.share, _noise(student)[:1])
    return settled(student, _noise(student))


def settled(student: Student, clips: Sequence[Tensor]) -> Student:
    """The student, in evaluation mode, whose norms have seen their input, as training leaves them.

    Norms without figures would fold to nothing when the student is written.

    Args:
        student: fresh; it is changed.
        clips: what it takes, each with the batch axis.
    """
    if isinstance(student.spec, FeatureSpec):
        frames = torch.cat([clip[0] for clip in clips])
        student.normalize_from(frames.mean(0), frames.std(0))
    with torch.no_grad():
        student.train()
        for clip in clips:
            student(torch.cat([clip, clip * 1.1]), None)
    return student.eval()


def _bytes(data: bytes) -> int:
    """Of a file but for its card, which tells of the training."""
    if data[4:8] == b"TFL3":
        return len(tflite.check(data).model)
    return len(data) - len(card_behind(b"", onnx.check(data).card))


def _noise(student: Student) -> list[Tensor]:
    source = torch.Generator().manual_seed(1)
    return [torch.randn(input_shape(student, _FRAMES), generator=source) for _ in range(2)]


def _card(name: str, student: Student) -> Any:
    """With a confidence of no use, because a C folder holds the regression."""
    inputs = len(student.dimensions) + len(CLASSES) + DESCRIBED
    none = Confidence("none", (0.0,) * inputs, (1.0,) * inputs, (0.0,) * (2 * inputs), 0, "", 0, 0)
    speech = isinstance(student.spec, FeatureSpec)
    return make_card(
        name,
        student.spec,
        student.dimensions,
        window=window_of(student),
        teachers=(),
        data=(),
        licence="none: not trained",
        metrics=(),
        calibration=Calibration(confidence=none if speech else None),
        parameters=parameters(student),
        macs_per_second=round(macs_per_second(student)),
    )


def _folder(tflite: bytes, front_end: str) -> Mapping[str, Any]:
    """Of the C folder, which is written and measured as `edgeemo export` does it."""
    with tempfile.TemporaryDirectory() as name:
        artifact = Path(name) / "student.tflite"
        artifact.write_bytes(tflite)
        try:
            folder = write_folder(artifact, Path(name) / "student-c", front_end)
        except (BadInput, BadArtifact) as error:
            return {"why_not": str(error).removeprefix(f"{artifact}: ")}
    return {"network_and_tables": folder.flash, "memory": folder.memory, **folder.costs}


def text(found: Mapping[str, Any], front_end: str = "float") -> str:
    """What `edgeemo export --dry-run` prints.

    Args:
        found: as `dry_run` gives it.
        front_end: likewise.
    """
    lines = [
        f"{found['name']}, not trained: {found['parameters']:,} parameters, "
        f"{found['macs_per_second'] / 1e6:.2f} M MAC a {found['each']}, "
        f"{found['activation_bytes']:,} bytes of activations in int8"
    ]
    for name in ("onnx", "tflite"):
        kinds = ", ".join(f"{size:,} in {kind}" for kind, size in sorted(found[name].items()))
        lines.append(f"  {name}: bytes without the card: {kinds}")
    c = found["c"]
    if "why_not" in c:
        return "\n".join([*lines, f"  c: none: {c['why_not']}"])
    lines.append(
        f"  c: {c['network_and_tables']:,} bytes of flash for network and tables, "
        f"{c['memory']:,} of RAM for the stream"
    )
    if "second" in c:
        lines.append(
            f"     on a {FRONT_ENDS[front_end][1]} {c['second']:,} instructions a second of sound, "
            f"{c['flash']:,} bytes of flash and {c['stack']:,} of stack in all"
        )
    return "\n".join(lines)
