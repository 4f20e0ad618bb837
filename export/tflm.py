"""TensorFlow Lite Micro as judge: does an int8 file run there, in how much memory, to what end?

The package tflite-micro is the interpreter of microcontrollers, compiled for the host: the same
kernels and the same arena, 64-bit pointers apart, which make the structures in it larger.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.step_model import MEAN, NEXT, STATE, TOKEN, ArtifactStepModel
from edgeemo.artifacts.tflite import read_tflite
from edgeemo.errors import BadArtifact, require

from .tflite_pack import unpack

MOST_ARENA = 1 << 25
"""Bytes that a model may take here: far more than a microcontroller has."""


@dataclass(frozen=True)
class Arena:
    """Working memory of a model.

    Attributes:
        tensors: bytes of activations (the head of the arena).
        structures: bytes of what describes them (its tail), with 64-bit pointers.
    """

    tensors: int
    structures: int

    @property
    def total(self) -> int:
        """Bytes of both."""
        return self.tensors + self.structures


class Micro:
    """A flatbuffer in TensorFlow Lite Micro.

    Args:
        model: the flatbuffer alone, without card; inputs have the shapes that it was written for.

    Raises:
        BadArtifact: an operator or a shape that TensorFlow Lite Micro lacks.
        MissingExtra: tflite-micro is not installed.
    """

    def __init__(self, model: bytes) -> None:
        runtime = require("tflite_micro", "export").runtime
        graph = unpack(model).subgraphs[0]
        self.inputs = [graph.tensors[i].name.decode() for i in graph.inputs]
        self.outputs = [graph.tensors[i].name.decode() for i in graph.outputs]
        with _stderr() as said:
            try:
                # By default ten times the file, which is little where layers are small.
                self._runner: Any = runtime.Interpreter.from_bytes(model, arena_size=MOST_ARENA)
            except RuntimeError as error:
                reason = " ".join(said().split())[:300] or str(error)
                raise BadArtifact(f"TensorFlow Lite Micro refuses the model: {reason}") from None

    def run(self, given: dict[str, NDArray[np.int8]]) -> dict[str, NDArray[np.int8]]:
        """Outputs by name; all of them the file's own integers.

        Raises:
            BadArtifact: it cannot be run.
        """
        try:
            for at, name in enumerate(self.inputs):
                self._runner.set_input(given[name], at)
            self._runner.invoke()
        except (RuntimeError, ValueError) as error:
            raise BadArtifact(f"TensorFlow Lite Micro cannot run the model: {error}") from None
        return {n: np.array(self._runner.get_output(i)) for i, n in enumerate(self.outputs)}

    def arena(self) -> Arena:
        """Memory that the model took.

        Raises:
            BadArtifact: the runtime does not tell.
        """
        with _stderr() as said:
            self._runner.print_allocations()
            text = said()
        found = re.findall(r"Arena allocation (head|tail) (\d+) bytes", text)
        if len(found) < 2:
            raise BadArtifact(f"TensorFlow Lite Micro tells no arena: {text[:200]!r}")
        sizes = {name: int(size) for name, size in found}
        return Arena(sizes["head"], sizes["tail"])


class MicroBackend:
    """An int8 file in TensorFlow Lite Micro, behind the same interface as the runtime's backends.

    Args:
        path: of a file written by TfliteWriter.

    Attributes:
        name: "tflm".
        card: the card of the file, checked.
        streams: whether it is a step model.
    """

    name = "tflm"

    def __init__(self, path: Path) -> None:
        checked = read_tflite(path)
        self.card = checked.card
        self.streams = self.card.hop > 0
        self._micro = Micro(checked.model)
        graph = unpack(checked.model).subgraphs[0]
        self._tensors = {
            graph.tensors[i].name.decode(): graph.tensors[i]
            for i in [*graph.inputs, *graph.outputs]
        }

    def arena(self) -> Arena:
        """Memory that the model takes."""
        return self._micro.arena()

    def run(self, values: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Outputs by name. A whole-clip file takes the frames that it was written for, no others.

        Raises:
            BadArtifact: another number of frames, or it cannot be run.
        """
        if self.streams:
            whole = self.step_model()
            whole.push(values[0])
            return whole.outputs()
        found = self._micro.run({self.card.input: self._stored(self.card.input, values)})
        return {o.name: self._floats(o.name, found[o.name]) for o in self.card.outputs}

    def step_model(self) -> ArtifactStepModel:
        """A stream of its own, for step models."""
        start = {
            n: self._stored(n, np.zeros(self._tensors[n].shape, np.float32))
            for n in self._micro.inputs
            if n.startswith(STATE)
        }
        shape = self.card.features.bands, int(self._tensors[MEAN].shape[-1])
        return ArtifactStepModel(self._step, start, self.card.hop, shape)

    def _step(
        self,
        features: NDArray[np.float32],
        mean: NDArray[np.float32],
        states: Mapping[str, NDArray[Any]],
    ) -> tuple[dict[str, NDArray[np.float32]], Mapping[str, NDArray[Any]]]:
        given = {
            self.card.input: self._stored(self.card.input, features),
            MEAN: self._stored(MEAN, mean),
            **states,
        }
        found = self._micro.run(given)
        names = [*(o.name for o in self.card.outputs), TOKEN]
        after = {n: found[n.replace(STATE, NEXT)] for n in states}
        return {n: self._floats(n, found[n]) for n in names}, after

    def _stored(self, name: str, values: NDArray[np.float32]) -> NDArray[np.int8]:
        tensor = self._tensors[name]
        scale, zero = tensor.quantization.scale[0], tensor.quantization.zeroPoint[0]
        if values.size != np.prod(tensor.shape):
            raise BadArtifact(f"{name} has {values.shape}; the file is for {list(tensor.shape)}")
        whole = np.clip(np.rint(values / np.float32(scale)) + zero, -128, 127)
        return np.asarray(whole, np.int8).reshape(tensor.shape)

    def _floats(self, name: str, values: NDArray[np.int8]) -> NDArray[np.float32]:
        found = self._tensors[name].quantization
        scaled = (values.astype(np.float32) - found.zeroPoint[0]) * np.float32(found.scale[0])
        return np.asarray(scaled, np.float32)

    def step_of(self, name: str) -> float:
        """What one integer of an output is worth."""
        return float(self._tensors[name].quantization.scale[0])


class _stderr:
    """What C code writes to stdout and stderr meanwhile; calling the value gives it."""

    def __enter__(self) -> Any:
        self._file = tempfile.TemporaryFile()
        self._kept = [os.dup(1), os.dup(2)]
        for number in (1, 2):
            os.dup2(self._file.fileno(), number)
        return self._text

    def __exit__(self, *error: object) -> None:
        for number, kept in zip((1, 2), self._kept, strict=True):
            os.dup2(kept, number)
            os.close(kept)
        self._file.close()

    def _text(self) -> str:
        self._file.seek(0)
        return self._file.read().decode("utf-8", "replace")
