"""TensorFlow Lite Micro as judge: does an int8 file run there, in how much memory, to what end?

The package tflite-micro is the interpreter of microcontrollers, compiled for the host: the same
kernels and the same arena, 64-bit pointers apart, which make the structures in it larger.
"""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import BadArtifact, require
from edgeemo.export.tflite_pack import unpack


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
        runtime = require("tflite_micro.runtime", "export")
        graph = unpack(model).subgraphs[0]
        self.inputs = [graph.tensors[i].name.decode() for i in graph.inputs]
        self.outputs = [graph.tensors[i].name.decode() for i in graph.outputs]
        with _stderr() as said:
            try:
                self._runner: Any = runtime.Interpreter.from_bytes(model)
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
        """Memory that the model took."""
        with _stderr() as said:
            self._runner.print_allocations()
            text = said()
        found = re.findall(r"Arena allocation (head|tail) (\d+) bytes", text)
        if len(found) < 2:
            raise BadArtifact(f"TensorFlow Lite Micro tells no arena: {text[:200]!r}")
        sizes = {name: int(size) for name, size in found}
        return Arena(sizes["head"], sizes["tail"])


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
