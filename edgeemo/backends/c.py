"""Backend `c`: int8 TFLite artifacts on edgeemo's own engine; numpy is all it needs.

The same C code as on a microcontroller, with the same bits. A causal model goes on frame by frame.
"""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeemo import _native
from edgeemo.artifacts.card import Card
from edgeemo.artifacts.engine_blob import Blob, compile_graph
from edgeemo.artifacts.engine_compiler import CannotRun
from edgeemo.artifacts.tflite import TfliteFile
from edgeemo.artifacts.tflite_graph import Graph, read_graph
from edgeemo.errors import BadArtifact, BadInput

_BLOCK = 64
"""Rows of the input that go through the layers together: what lies in the first cache. Larger and
smaller blocks give the same bits."""


class CBackend:
    """An int8 TFLite artifact in the C engine.

    Threads that run it at once wait for each other; a step model belongs to one thread.

    Attributes:
        name: "c".
        card: the card of the file, checked.
        streams: whether the model is causal.
        blob: the network as the engine takes it.
        in_card_order: whether its outputs lie in the order of the card.
    """

    name = "c"

    def __init__(self, path: Path, file: TfliteFile) -> None:
        """Compile what was read from `path`.

        Raises:
            BadArtifact: it does not do what its card says; CannotRun if it is only not for this
                engine.
        """
        self.card: Card = file.card
        self._path = path
        if self.card.hop:
            raise CannotRun(f"{path}: a step model; the c backend streams files for whole clips")
        try:
            self._graph: Graph = read_graph(file.model)
            self._blob: Blob = compile_graph(self._graph)
        except CannotRun as error:
            raise CannotRun(f"{path}: {error}") from None
        except BadArtifact as error:
            raise BadArtifact(f"{path}: {error}") from None
        self.streams: bool = self._blob.streamable
        self.blob: bytes = self._blob.data
        self._names = self._output_slices()
        places = [place.start for place in self._names.values()]
        self.in_card_order: bool = places == sorted(places)
        self._lock = threading.Lock()
        self._whole = _Engine(self._blob, path, self._names, _BLOCK)

    def run(self, values: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Outputs by name; see `edgeemo.backends.Backend`.

        Raises:
            BadInput: fewer frames than the model needs for an estimate.
        """
        with self._lock:
            engine = self._whole
            if not self.streams and values.shape[1] != engine.block:
                blob = compile_graph(self._graph, rows=values.shape[1])
                engine = self._whole = _Engine(blob, self._path, self._names, values.shape[1])
            engine.reset()
            engine.push(values[0])
            return engine.outputs()

    def step_model(self) -> _Engine:
        """A state of its own; see `edgeemo.backends.StepModel`.

        Raises:
            BadInput: the model needs a whole clip at once.
        """
        if not self.streams:
            raise BadInput(f"{self._path}: {self.card.name} needs a whole clip at once")
        return _Engine(self._blob, self._path, self._names, _BLOCK)

    def _output_slices(self) -> dict[str, slice]:
        """Where each output of the card lies among the engine's values."""
        at, slices = 0, {}
        for number in self._graph.outputs:
            tensor = self._graph.tensors[number]
            slices[tensor.name] = slice(at, at + tensor.shape[-1])
            at += tensor.shape[-1]
        for output in self.card.outputs:
            place = slices.get(output.name, slice(0, 0))
            if place.stop - place.start != len(output.labels):
                raise BadArtifact(
                    f"{self._path}: outputs {list(slices)}; the card promises {output.name} with "
                    f"{len(output.labels)} values"
                )
        return {output.name: slices[output.name] for output in self.card.outputs}


class _Engine:
    """One state of the engine; see `edgeemo.backends.StepModel`."""

    def __init__(self, blob: Blob, path: Path, names: dict[str, slice], block: int) -> None:
        self.block = block if blob.streamable else blob.rows
        try:
            self._model = _native.Model(blob.data, self.block)
        except ValueError as error:
            raise BadArtifact(f"{path}: {error}") from None
        info = self._model.info()
        self._row, self.stride = info["columns"] * info["channels"], info["stride"]
        self._values = np.zeros(info["values"], np.float32)
        self._names = names

    def push(self, features: NDArray[np.float32]) -> None:
        """Take frames, [n, bands].

        Raises:
            BadInput: frames of another width, days of sound without a reset, or another thread is
                inside.
        """
        rows = np.ascontiguousarray(features, np.float32)
        if rows.size != len(rows) * self._row:
            raise BadInput(f"frames of the shape {rows.shape}; expected [n, {self._row}]")
        try:
            status = self._model.push(rows)
        except RuntimeError as error:  # another thread is inside
            raise BadInput(str(error)) from None
        if status < 0:
            raise BadInput(_native.model_status_text(status))

    def outputs(self) -> dict[str, NDArray[np.float32]]:
        """The estimate for everything since the last reset, each [1, labels].

        Raises:
            BadInput: fewer frames than one token.
        """
        if self._model.outputs(self._values) < 0:
            raise BadInput(f"too few frames for an estimate; at least {self.stride} are needed")
        return {name: self._values[np.newaxis, place].copy() for name, place in self._names.items()}

    def reset(self) -> None:
        """Forget all frames."""
        self._model.reset()
