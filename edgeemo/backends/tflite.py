"""Backend `tflite`: artifacts on LiteRT (or its older form tflite-runtime), one thread."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.reading import check_outputs
from edgeemo.artifacts.step_model import MEAN, NEXT, STATE, TOKEN
from edgeemo.artifacts.tflite import TfliteFile
from edgeemo.backends.artifact import ArtifactBackend, Floats, States
from edgeemo.errors import BadArtifact, MissingExtra, one_line, require
from edgeemo.quiet import quiet


class TfliteBackend(ArtifactBackend):
    """A TFLite artifact in LiteRT.

    A file is written for one length; the graph is resized when a clip has another. Threads that
    use it at once wait for each other: the runtime has one set of tensors.
    """

    name = "tflite"

    def __init__(self, path: Path, file: TfliteFile, reference: bool = False) -> None:
        """Load what was read from `path`.

        Args:
            path: the file, for messages.
            file: its content, checked.
            reference: run the reference kernels, slow and the same on all machines, in place of
                XNNPACK's.

        Raises:
            BadArtifact: LiteRT refuses it.
            MissingExtra: neither ai-edge-litert nor tflite-runtime is installed.
        """
        super().__init__(path, file.card)
        self._lock = threading.Lock()
        self._runner = _start(file.model, path, reference)
        self._inputs = {d["name"]: d for d in self._runner.get_input_details()}
        self._outputs = {d["name"]: d for d in self._runner.get_output_details()}

    def _whole(self, values: Floats) -> dict[str, Floats]:
        tensor = values if self.card.input == "image" else values[..., np.newaxis]
        with self._lock:
            return self._invoke({self.card.input: tensor}, [o.name for o in self.card.outputs])

    def _initial(self) -> tuple[States, int]:
        states = {n: d for n, d in self._inputs.items() if n.startswith(STATE)}
        # Before the first frame: zeros, which an int8 tensor writes as its zero point.
        start = {
            n: np.full(d["shape"], d["quantization"][1], d["dtype"]) for n, d in states.items()
        }
        return start, int(self._inputs[MEAN]["shape"][-1])

    def _step(
        self, features: Floats, mean: Floats, states: States
    ) -> tuple[dict[str, Floats], States]:
        names = [*(o.name for o in self.card.outputs), TOKEN]
        with self._lock:
            for name, values in states.items():
                self._runner.set_tensor(self._inputs[name]["index"], values)
            inputs = {self.card.input: features[..., np.newaxis], MEAN: mean}
            outputs = self._invoke(inputs, names)
            after = {
                name: self._runner.get_tensor(self._outputs[name.replace(STATE, NEXT)]["index"])
                for name in states
            }
        return outputs, after

    def _invoke(self, inputs: Mapping[str, Floats], names: list[str]) -> dict[str, Floats]:
        """Set inputs, run, and read outputs as floats; the lock is held."""
        try:
            for name, values in inputs.items():
                detail = self._inputs[name]
                if tuple(detail["shape"]) != values.shape:
                    self._runner.resize_tensor_input(detail["index"], values.shape)
                    self._runner.allocate_tensors()
                    detail["shape"] = np.array(values.shape)
                self._runner.set_tensor(detail["index"], _stored(values, detail))
            self._runner.invoke()
        # LiteRT raises these on what its graph cannot do.
        except (RuntimeError, ValueError) as error:
            raise BadArtifact(f"{self._path}: cannot be run: {one_line(error)}") from error
        outputs = {
            n: _floats(self._runner.get_tensor(self._outputs[n]["index"]), self._outputs[n])
            for n in names
        }
        check_outputs(outputs, self.card, self._path)
        return outputs


def _stored(values: NDArray[np.float32], detail: Mapping[str, Any]) -> NDArray[Any]:
    """Floats as a tensor holds them: int8 is round(value / scale) + zero point, saturated."""
    scale, zero = detail["quantization"]
    if detail["dtype"] == np.float32:
        return values
    whole = np.clip(np.rint(values / np.float32(scale)) + zero, -128, 127)
    return np.asarray(whole, np.int8)


def _floats(values: NDArray[Any], detail: Mapping[str, Any]) -> NDArray[np.float32]:
    scale, zero = detail["quantization"]
    if detail["dtype"] == np.float32:
        return np.asarray(values, np.float32)
    return np.asarray((values.astype(np.float32) - zero) * np.float32(scale), np.float32)


def _start(model: bytes, path: Path, reference: bool) -> Any:
    litert = _runtime()
    kind = litert.OpResolverType
    try:
        with quiet():  # it says which of its parts do the work
            runner = litert.Interpreter(
                model_content=model,
                num_threads=1,
                experimental_op_resolver_type=kind.BUILTIN_REF if reference else kind.AUTO,
            )
            runner.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise BadArtifact(f"{path}: LiteRT refuses it: {one_line(error)}") from error
    return runner


def _runtime() -> Any:
    """The module with the Interpreter: ai-edge-litert's, or tflite-runtime's."""
    try:
        return require("ai_edge_litert.interpreter", "tflite")
    except MissingExtra as missing:
        try:
            older = require("tflite_runtime.interpreter", "tflite")
        except MissingExtra:
            raise missing from None
    if int(np.__version__.split(".")[0]) > 1:
        # Its wheels were built for numpy 1: they import beside numpy 2 and then raise SystemError.
        raise MissingExtra(
            "tflite_runtime works with numpy 1 only; install ai-edge-litert with: "
            "pip install 'edgeemo[tflite]'"
        )
    return older
