"""Writer of ONNX artifacts."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from edgeemo.artifacts.card import Card, Quantization, to_json
from edgeemo.artifacts.onnx import CARD_KEY, check, digest
from edgeemo.artifacts.onnx_embedding import find_embedding
from edgeemo.compress.students import Student
from edgeemo.errors import BadInput
from edgeemo.features import FeatureSpec

from .graph import frontend_graph, join, onnx, shrink, step_graph, student_graph
from .int8 import WEIGHT_BITS, quantize
from .match_tensors import step_ranges
from .streaming import Step
from .writer import ExportInput, QuantConfig


class OnnxWriter:
    """Float or int8 ONNX with the card in its metadata, under the key "edgeemo.card"."""

    format = "onnx"
    ending = ".onnx"

    float_heads = True

    def write(self, trained: ExportInput, int8: QuantConfig | None = None) -> bytes:
        """See `edgeemo.export.writer.Writer`.

        Raises:
            BadInput: a student of faces with a waveform.
        """
        temperature = trained.card.calibration.class_temperature
        model = float_graph(trained.student, temperature)
        hop = 0
        if trained.step:
            step, whole = Step(trained.student, temperature), model
            model, hop = step_graph(step), step.hop
            if int8 is not None:
                int8 = replace(int8, ranges=step_ranges(model, step, whole, int8.ranges))
        kind = Quantization()
        if int8 is not None:
            model = quantize(model, int8)
            rule = int8.ranges.rule + (", biases corrected" if int8.bias_correction else "")
            kind = Quantization("int8", rule, WEIGHT_BITS, ("heads",) if int8.float_head else ())
        if trained.waveform:
            spec = trained.student.spec
            if not isinstance(spec, FeatureSpec):
                raise BadInput("faces have no waveform; leave --waveform out")
            model = join(frontend_graph(spec), model)
        given = "samples" if trained.waveform else trained.card.input
        return with_card(model, replace(trained.card, input=given, quantization=kind, hop=hop))


@lru_cache(maxsize=2)
def float_graph(student: Student, temperature: float) -> Any:
    """The student's float graph; traced once, because several candidates start from it.

    Args:
        student: in evaluation mode, on the CPU.
        temperature: what class logits are divided by before the softmax.
    """
    return student_graph(student, temperature)


def with_card(model: Any, card: Card) -> bytes:
    """A file: the model made small, and the card, whose digest and embedding are set here.

    Args:
        model: an ONNX model; it is not changed.
        card: complete but for the two.
    """
    copy = type(model)()
    copy.CopyFrom(model)
    shrink(copy)
    plain = copy.SerializeToString(deterministic=True)
    found = None if card.hop else find_embedding(plain)
    return _with_entry(
        copy, replace(card, digest=digest(plain), embedding=found[1] if found else 0)
    )


def replace_card(data: bytes, card: Card) -> bytes:
    """A file with another card, all else the same: its digest stays.

    Args:
        data: an ONNX file with a card.
        card: complete but for the embedding, which is set here; its digest is that of the file.

    Raises:
        BadArtifact: the card does not fit the file.
    """
    copy = onnx.load_from_string(data)
    del copy.metadata_props[:]
    found = None if card.hop else find_embedding(data)
    return _with_entry(copy, replace(card, embedding=found[1] if found else 0))


def _with_entry(model: Any, card: Card) -> bytes:
    entry = model.metadata_props.add()
    entry.key, entry.value = CARD_KEY, to_json(card)
    data: bytes = model.SerializeToString(deterministic=True)
    # What the runtime would refuse on loading must not be written.
    check(data)
    return data
