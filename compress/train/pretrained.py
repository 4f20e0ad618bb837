"""The first weights of a student, where they are not drawn at random."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgeemo.artifacts.models import resolve
from edgeemo.errors import BadArtifact, one_line

from ..students.base import Student
from .onnx_weights import load_onnx_weights, neutralize_batchnorm
from .tfjs import read_tfjs

_HEADS = ("adv.", "classes.")
"""Layers that a start need not share."""


def load_pretrained(student: Student, source: str | Path) -> None:
    """Give a student the weights of a file, as far as names and shapes are the same.

    Args:
        student: fresh; changed in place.
        source: a student.pt, or a table of weights that `student.from_published` can read, of torch
            or of TensorFlow.js (its .json file); an ONNX file that `edgeemo export` wrote or the
            name of a shipped model, whose shape must be the student's.

    Raises:
        BadArtifact: the file cannot be read, holds no weight of such a student, or is a student.pt
            in which a layer that is no head has another shape.
    """
    path = Path(source)
    if not path.suffix:
        path = resolve(source, "onnx")
    if path.suffix == ".onnx":
        load_onnx_weights(student, path)
        return
    try:
        state, is_student = _state(student, path)
    except BadArtifact:
        raise
    except Exception as error:  # torch raises a dozen kinds on damaged files
        raise BadArtifact(f"{path}: cannot initialize {student.name} ({one_line(error)})") from None
    own = student.state_dict()
    fits = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    if not any(own[key].ndim > 1 and not key.startswith(_HEADS) for key in fits):
        raise BadArtifact(f"{path}: holds no layer of {student.name}")
    for key in sorted(own.keys() & state.keys() - fits.keys()) if is_student else ():
        if own[key].ndim > 1 and not key.startswith(_HEADS):
            raise BadArtifact(
                f"{path}: layer {key} has the shape {list(state[key].shape)}, that of "
                f"{student.name} {list(own[key].shape)}; give $.student.options as the start has"
            )
    norms = {key for key in own if key.endswith("running_var")}
    if norms and norms.isdisjoint(fits):
        neutralize_batchnorm(student)  # they are part of the published weights
    student.load_state_dict(student.state_dict() | fits)


def _state(student: Student, path: Path) -> tuple[Mapping[str, Tensor], bool]:
    """Weights of the file by the names that they have in the student; whether it is a student's."""
    if path.suffix == ".json":
        return student.from_published(read_tfjs(path)), False
    # weights_only refuses everything but tensors and plain values.
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if "state" in content:
        return content["state"], True
    return student.from_published(content), False
