"""Backends: each runs one kind of artifact. Another module than this never names a runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.card import Card
from edgeemo.errors import BadArtifact, BadInput

if TYPE_CHECKING:
    from edgeemo.artifacts.onnx import OnnxFile
    from edgeemo.artifacts.tflite import TfliteFile

BACKENDS: Mapping[str, str] = {"c": ".tflite", "onnx": ".onnx", "tflite": ".tflite"}
"""Name of each backend and the ending of the files that it runs."""


class Backend(Protocol):
    """A loaded artifact.

    Attributes:
        name: key of BACKENDS.
        card: what the file says about itself, checked.
        streams: whether it can go on frame by frame, which `step_model` then does.
    """

    name: str
    card: Card
    streams: bool

    def run(self, values: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Outputs by name, each [1, labels], finite.

        Args:
            values: float32, of the card's `shape`.

        Raises:
            BadArtifact: the file gives something else than its card promises.
        """
        ...

    def step_model(self) -> StepModel:
        """A new state of the model's own, where `streams`."""
        ...


class StepModel(Protocol):
    """One state of a causal model: frames in, the estimate for all of them at any time.

    Attributes:
        stride: frames for each of the model's tokens.
    """

    stride: int

    def push(self, features: NDArray[np.float32]) -> None:
        """Take frames, [n, bands]."""

    def outputs(self) -> dict[str, NDArray[np.float32]]:
        """What `Backend.run` gives for all frames since the last reset, the same bits."""
        ...

    def reset(self) -> None:
        """Forget all frames."""


def open_backend(
    path: Path, backend: str | None = None, file: OnnxFile | TfliteFile | None = None
) -> Backend:
    """Load an artifact.

    Args:
        path: the file.
        backend: key of BACKENDS, or None to choose by the file: an int8 TFLite file of speech
            runs on `c` if it can.
        file: its content, where it was read before.

    Raises:
        BadArtifact: no such file, or it is truncated, foreign or hostile.
        BadInput: no backend of that name.
        MissingExtra: the backend's package is not installed.
    """
    if backend is not None and backend not in BACKENDS:
        raise BadInput(f"no backend {backend!r}; there is: {', '.join(BACKENDS)}")
    fitting = [name for name, ending in BACKENDS.items() if path.suffix == ending]
    if not fitting or (backend is not None and backend not in fitting):
        known = " or ".join(dict.fromkeys(BACKENDS.values()))
        endings = known if backend is None else BACKENDS[backend]
        raise BadArtifact(f"{path}: expected a file that ends in {endings}")
    # Imported here: importing edgeemo is to cost little more than importing numpy.
    from edgeemo.artifacts.reading import read_model
    from edgeemo.artifacts.tflite import TfliteFile

    file = read_model(path) if file is None else file
    if isinstance(file, TfliteFile):
        return _open_tflite(path, backend, file)
    from edgeemo.backends.onnx import OnnxBackend

    return OnnxBackend(path, file)


def _open_tflite(path: Path, backend: str | None, file: TfliteFile) -> Backend:
    if backend == "c" or (backend is None and file.card.task == "speech"):
        from edgeemo.artifacts.engine_compiler import CannotRun
        from edgeemo.backends.c import CBackend

        try:
            return CBackend(path, file)
        except CannotRun:
            if backend == "c":
                raise
    from edgeemo.backends.tflite import TfliteBackend

    return TfliteBackend(path, file)
