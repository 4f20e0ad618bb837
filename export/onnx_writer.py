"""Writer of ONNX artifacts."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from edgeemo.backends._onnx_file import CARD_KEY, check, digest
from edgeemo.card import Quantization, to_json
from edgeemo.compress.students import Student
from edgeemo.export.graph import frontend_graph, join, shrink, student_graph
from edgeemo.export.int8 import WEIGHT_BITS, quantize
from edgeemo.export.writer import Int8, Trained


class OnnxWriter:
    """Float or int8 ONNX with the card in its metadata, under the key "edgeemo.card"."""

    format = "onnx"
    ending = ".onnx"

    def write(self, trained: Trained, int8: Int8 | None = None) -> bytes:
        """The file; see `edgeemo.export.writer.Writer`."""
        model = float_graph(trained.student, trained.card.calibration.class_temperature)
        kind = Quantization()
        if int8 is not None:
            model = quantize(model, int8)
            rule = int8.ranges.rule + (", biases corrected" if int8.shifts else "")
            kind = Quantization("int8", rule, WEIGHT_BITS, ("heads",) if int8.float_head else ())
        if trained.waveform:
            model = join(frontend_graph(trained.student), model)
        return _sealed(model, trained, kind)


@lru_cache(maxsize=2)
def float_graph(student: Student, temperature: float) -> Any:
    """The student's float graph; traced once, because several candidates start from it."""
    return student_graph(student, temperature)


def _sealed(model: Any, trained: Trained, kind: Quantization) -> bytes:
    copy = type(model)()
    copy.CopyFrom(model)
    shrink(copy)
    card = replace(
        trained.card,
        input="samples" if trained.waveform else "features",
        quantization=kind,
        digest=digest(copy.SerializeToString(deterministic=True)),
    )
    entry = copy.metadata_props.add()
    entry.key, entry.value = CARD_KEY, to_json(card)
    data: bytes = copy.SerializeToString(deterministic=True)
    # What the runtime would refuse on loading must not be written.
    check(data)
    return data
