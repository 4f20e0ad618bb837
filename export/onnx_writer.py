"""Writer of ONNX artifacts."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from edgeemo.artifacts.card import Card, Quantization
from edgeemo.artifacts.onnx import CARD_FIELD, check, digest
from edgeemo.artifacts.onnx_embedding import find_embedding
from edgeemo.compress.students import Student
from edgeemo.errors import BadInput
from edgeemo.features import FeatureSpec

from .card_zip import zip_of_card
from .graph import frontend_graph, join, onnx, shrink, step_graph, student_graph
from .int8 import INT4_BITS, LARGEST_WEIGHT, WEIGHT_BITS, quantize
from .match_tensors import step_ranges
from .onnx_int4 import pack_weights
from .streaming import Step
from .writer import ExportInput, QuantConfig


class OnnxWriter:
    """Float or int8 ONNX, and behind it a ZIP with the card."""

    format = "onnx"
    ending = ".onnx"

    float_heads = True
    largest_weight = LARGEST_WEIGHT

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
            layers = ("heads",) if int8.float_head else ()
            bits = INT4_BITS if int8.int4 else WEIGHT_BITS
            kind = Quantization("int8", int8.ranges.rule, bits, layers)
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
    if card.quantization.precision == "int4":
        pack_weights(copy)
    plain: bytes = copy.SerializeToString(deterministic=True)
    return _checked(plain, replace(card, digest=digest(plain)))


def replace_card(data: bytes, card: Card) -> bytes:
    """A file with another card, all else the same: its digest stays.

    Args:
        data: an ONNX file with a card.
        card: complete but for the embedding, which is set here; its digest is that of the file.

    Raises:
        BadArtifact: the card does not fit the file.
    """
    model = onnx.load_from_string(data)
    del model.metadata_props[:]
    model.DiscardUnknownFields()
    return _checked(model.SerializeToString(deterministic=True), card)


def _checked(plain: bytes, card: Card) -> bytes:
    found = None if card.hop else find_embedding(plain)
    data = card_behind(plain, replace(card, embedding=found[1] if found else 0))
    # What the runtime would refuse on loading must not be written.
    check(data)
    return data


def card_behind(plain: bytes, card: Card) -> bytes:
    """The file of a model and its card, unchecked.

    Args:
        plain: bytes of the model.
        card: complete.
    """
    tag = _varint(CARD_FIELD << 3 | 2)
    length = _varint(len(zip_of_card(card)))
    head = plain + tag + length
    return head + zip_of_card(card, len(head))


def _varint(value: int) -> bytes:
    """A number as protobuf writes it: seven bits a byte, the lowest first."""
    count = max(1, -(-value.bit_length() // 7))
    groups = [value >> 7 * i & 127 | 128 for i in range(count)]
    return bytes([*groups[:-1], groups[-1] & 127])
