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
from .onnx_weights import load_onnx_weights, neutralize_batchnorm, other_shape
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
            or an ONNX file in which a layer (of a student.pt: that is no head) has another shape.
    """
    path = Path(source)
    if not path.suffix:
        path = resolve(source, "onnx")
    if not path.is_file():
        raise BadArtifact(
            f"{path}: no such file, seen from {Path.cwd()}; give the student.pt of a run, an "
            "exported .onnx file, weights as others published them, or the name of a shipped model"
        )
    if path.suffix == ".onnx":
        load_onnx_weights(student, path)
        return
    try:
        state, is_student = _state(student, path)
    except BadArtifact:
        raise
    except Exception as error:  # torch raises a dozen kinds on damaged files
        raise BadArtifact(
            f"{path}: cannot initialize {student.name} ({one_line(error)}); "
            "give the student.pt of a run, an exported .onnx file, or the name of a shipped model"
        ) from None
    own = student.state_dict()
    fits = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    kernels = [k for k, v in own.items() if v.ndim > 1 and not k.startswith(_HEADS) and k in state]
    none = fits.keys().isdisjoint(kernels)
    for key in kernels if is_student or none else ():
        if key not in fits:
            raise other_shape(path, student, key, state[key].shape, own[key].shape)
    if none:
        raise BadArtifact(f"{path}: holds no layer of {student.name}")
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
