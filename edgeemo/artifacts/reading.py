"""What all formats of model files have in common: how one is read, and held to its card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.card import Card
from edgeemo.errors import BadArtifact
from edgeemo.io.loading import read_bytes

if TYPE_CHECKING:
    from edgeemo.artifacts.onnx import OnnxFile
    from edgeemo.artifacts.tflite import TfliteFile

MAX_BYTES = 64 * 2**20
"""Largest file that is read. The models this is for have some 100 KB."""

T = TypeVar("T")


def read_model(path: Path) -> OnnxFile | TfliteFile:
    """Read and check a model's file.

    Args:
        path: of an ONNX file if it ends in .onnx, else of a TFLite file.

    Raises:
        BadArtifact: see `read_onnx` and `read_tflite`.
    """
    if path.suffix == ".onnx":
        from edgeemo.artifacts.onnx import read_onnx

        return read_onnx(path)
    from edgeemo.artifacts.tflite import read_tflite

    return read_tflite(path)


def checked(path: Path, check: Callable[[bytes], T]) -> T:
    """What `check` makes of a file's bytes; its errors get the file's name.

    Args:
        path: the file.
        check: raises BadArtifact.

    Raises:
        BadArtifact: the file is not there or has more than MAX_BYTES, or that of `check`.
    """
    data = read_bytes(path, BadArtifact, MAX_BYTES)
    try:
        return check(data)
    except BadArtifact as error:
        raise BadArtifact(f"{path}: {error}") from None


def check_outputs(outputs: dict[str, NDArray[np.float32]], card: Card, path: Path) -> None:
    """Refuse outputs that are not what the card promises.

    Args:
        outputs: array by name; all that the card names.
        card: of the model.
        path: the model's file, for messages.

    Raises:
        BadArtifact: an output has another shape than [1, labels], or is not finite.
    """
    for output in card.outputs:
        array = outputs[output.name]
        if array.shape != (1, len(output.labels)) or not np.isfinite(array).all():
            raise BadArtifact(
                f"{path}: output {output.name} has shape {array.shape} or is not finite; "
                f"the card promises {(1, len(output.labels))}"
            )
