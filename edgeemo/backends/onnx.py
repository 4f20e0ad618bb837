"""Backend `onnx`: artifacts on onnxruntime, one thread, little memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.card import Card
from edgeemo.artifacts.onnx import read_onnx
from edgeemo.artifacts.reading import check_outputs
from edgeemo.artifacts.step_model import MEAN, NEXT, STATE, TOKEN, ArtifactStepModel
from edgeemo.errors import BadArtifact, BadInput, one_line, require


class OnnxBackend:
    """An ONNX artifact in onnxruntime.

    One thread: the models are so small that handing work to a second one costs more than it
    gives. The memory arena is off, because it keeps the memory of the longest clip for good.

    Attributes:
        name: "onnx".
        card: the card of the file, checked.
        streams: whether it is a one-hop file, `card.hop` above 0.
    """

    name = "onnx"

    def __init__(self, path: Path) -> None:
        """Load `path`.

        Raises:
            BadArtifact: truncated, foreign or hostile, or it does not do what its card says.
            MissingExtra: onnxruntime is not installed.
        """
        checked = read_onnx(path)
        self.card: Card = checked.card
        self.streams = self.card.hop > 0
        self._path = path
        self._session = _start(checked.data, path)
        self._check_signature()

    def run(self, values: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Outputs by name; see `edgeemo.backends.Backend`."""
        if self.streams:
            return self.step_model().of(values[0])
        return self._call({self.card.input: values}, [o.name for o in self.card.outputs])

    def step_model(self) -> ArtifactStepModel:
        """A state of its own; see `edgeemo.backends.StepModel`.

        Raises:
            BadInput: the file is for whole clips.
        """
        if not self.streams:
            raise BadInput(
                f"{self._path}: takes whole clips; `edgeemo export --hop` makes one-hop files"
            )
        shapes = {i.name: i.shape for i in self._session.get_inputs()}
        start = {n: np.zeros(s, np.float32) for n, s in shapes.items() if n.startswith(STATE)}
        return ArtifactStepModel(
            self._step, start, self.card.hop, (self.card.features.bands, shapes[MEAN][-1])
        )

    def _step(
        self,
        features: NDArray[np.float32],
        mean: NDArray[np.float32],
        states: Mapping[str, NDArray[Any]],
    ) -> tuple[dict[str, NDArray[np.float32]], Mapping[str, NDArray[Any]]]:
        after = {name.replace(STATE, NEXT): name for name in states}
        names = [*(o.name for o in self.card.outputs), TOKEN, *after]
        found = self._call({self.card.input: features, MEAN: mean, **states}, names)
        return found, {state: found.pop(name) for name, state in after.items()}

    def _call(
        self, given: Mapping[str, NDArray[Any]], names: list[str]
    ) -> dict[str, NDArray[np.float32]]:
        try:
            arrays = self._session.run(names, dict(given))
        # onnxruntime's errors share no base class but Exception; the call runs nothing else.
        except Exception as error:
            raise BadArtifact(f"{self._path}: cannot be run: {one_line(error)}") from error
        outputs = dict(zip(names, arrays, strict=True))
        check_outputs(outputs, self.card, self._path)
        return outputs

    def _check_signature(self) -> None:
        card = self.card
        found = [(i.name, i.type, list(i.shape)) for i in self._session.get_inputs()]
        if card.hop:
            self._check_step({name for name, _, _ in found[1:]})
            found = found[:1]
        fits = len(found) == 1 and found[0][:2] == (card.input, "tensor(float)")
        # None stands for any length; the file gives such an axis a name.
        if (
            not fits
            or len(found[0][2]) != len(card.shape)
            or any(
                want not in (None, have) for want, have in zip(card.shape, found[0][2], strict=True)
            )
        ):
            wanted = f"{card.input}, float32 {list(card.shape)}"
            raise BadArtifact(f"{self._path}: input {found}; the card promises {wanted}")
        outputs = [(o.name, o.type) for o in self._session.get_outputs()]
        promised = [(o.name, "tensor(float)") for o in card.outputs]
        # A teacher gives features behind what its card promises; nobody asks for them here.
        if outputs[: len(promised)] != promised:
            raise BadArtifact(f"{self._path}: outputs {outputs}; the card promises {promised}")

    def _check_step(self, inputs: set[str]) -> None:
        """A step has a next state for each state, a mean and a token."""
        outputs = {o.name for o in self._session.get_outputs()}
        wanted = {name.replace(STATE, NEXT) for name in inputs if name != MEAN} | {TOKEN}
        if MEAN not in inputs or not wanted <= outputs:
            missing = ", ".join(sorted(wanted - outputs)) or MEAN
            raise BadArtifact(f"{self._path}: the card promises a step; it lacks {missing}")


def _start(data: bytes, path: Path) -> Any:
    ort = require("onnxruntime", "onnx")
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.log_severity_level = 4  # its warnings are about its own choices; faults are raised
    try:
        # The fallback would try the same provider once more and print banners on stdout.
        return ort.InferenceSession(
            data, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:
        raise BadArtifact(f"{path}: onnxruntime refuses it: {one_line(error)}") from error
