"""Backend `onnx`: artifacts on onnxruntime, one thread, little memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgeemo.artifacts.card import Card
from edgeemo.artifacts.onnx import OnnxFile
from edgeemo.artifacts.onnx_embedding import NAME as EMBEDDING
from edgeemo.artifacts.onnx_embedding import find_embedding, with_output
from edgeemo.artifacts.reading import check_outputs
from edgeemo.artifacts.step_model import MEAN, NEXT, STATE, TOKEN
from edgeemo.backends.artifact import ArtifactBackend, Floats, States
from edgeemo.errors import BadArtifact, one_line, require


class OnnxBackend(ArtifactBackend):
    """An ONNX artifact in onnxruntime.

    One thread: the models are so small that handing work to a second one costs more than it
    gives. The memory arena is off, because it keeps the memory of the longest clip for good.
    Several threads may run it at once.
    """

    name = "onnx"

    def __init__(self, path: Path, file: OnnxFile) -> None:
        """Load what was read from `path`.

        Args:
            path: the file, for messages.
            file: its content, checked.

        Raises:
            BadArtifact: onnxruntime refuses it.
            MissingExtra: onnxruntime is not installed.
        """
        super().__init__(path, file.card)
        self._session = _start(file.data, path, file.card)
        self._data = file.data
        self._embedder: Any = None
        self._embedding = ""

    def _whole(self, values: Floats) -> dict[str, Floats]:
        return self._call({self.card.input: values}, [o.name for o in self.card.outputs])

    def embed(self, values: Floats) -> Floats:
        """What the heads see: float32 [1, card.embedding].

        Args:
            values: as `run` takes them.

        Raises:
            BadArtifact: the file has no such value, though its card tells a length.
        """
        if self._embedder is None:
            found = find_embedding(self._data)
            if found is None or found[1] != self.card.embedding:
                raise BadArtifact(
                    f"{self._path}: the card promises an embedding of {self.card.embedding} "
                    f"numbers; the graph has {found[1] if found else 'none'}"
                )
            self._embedding = found[0]
            own = found[0] == EMBEDDING
            data = self._data if own else with_output(self._data, self._embedding)
            self._embedder = _start(data, self._path, self.card)
        (array,) = self._embedder.run([self._embedding], {self.card.input: values})
        return np.asarray(array, np.float32)

    def _initial(self) -> tuple[States, int]:
        shapes = {i.name: i.shape for i in self._session.get_inputs()}
        start = {n: np.zeros(s, np.float32) for n, s in shapes.items() if n.startswith(STATE)}
        return start, shapes[MEAN][-1]

    def _step(
        self, features: Floats, mean: Floats, states: States
    ) -> tuple[dict[str, Floats], States]:
        after = {name.replace(STATE, NEXT): name for name in states}
        names = [*(o.name for o in self.card.outputs), TOKEN, *after]
        outputs = self._call({self.card.input: features, MEAN: mean, **states}, names)
        return outputs, {state: outputs.pop(name) for name, state in after.items()}

    def _call(self, inputs: States, names: list[str]) -> dict[str, Floats]:
        try:
            arrays = self._session.run(names, dict(inputs))
        # onnxruntime's errors share no base class but Exception; the call runs nothing else.
        except Exception as error:
            raise BadArtifact(f"{self._path}: cannot be run: {one_line(error)}") from error
        outputs = dict(zip(names, arrays, strict=True))
        check_outputs(outputs, self.card, self._path)
        return outputs


def _start(data: bytes, path: Path, card: Card) -> Any:
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
        need = "; 4-bit weights need onnxruntime 1.23 or later, this is " + ort.__version__
        why = one_line(error) + (need if card.quantization.precision == "int4" else "")
        raise BadArtifact(f"{path}: onnxruntime refuses it: {why}") from error
