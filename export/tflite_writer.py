"""Writer of TFLite artifacts."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from edgeemo.artifacts.card import Card, Quantization
from edgeemo.artifacts.tflite import check, digest
from edgeemo.compress.students import Student
from edgeemo.errors import BadInput

from .card_zip import zip_of_card
from .int8 import INT4_BITS, ActivationRecorder
from .onnx_writer import float_graph
from .streaming import Step
from .tflite_graph import check_operators, step_model, student_model
from .tflite_int8 import LARGEST_WEIGHT, WEIGHT_BITS, match_tensors, quantize
from .tflite_pack import pack, unpack
from .tflm import Micro
from .writer import ExportInput, QuantConfig


class TfliteWriter:
    """Float or full-integer TFLite: a flatbuffer, and behind it a ZIP with card and labels."""

    format = "tflite"
    ending = ".tflite"
    float_heads = False
    largest_weight = LARGEST_WEIGHT

    def write(self, trained: ExportInput, int8: QuantConfig | None = None) -> bytes:
        """See `edgeemo.export.writer.Writer.write`."""
        if trained.waveform:
            raise BadInput("a TFLite file takes features; --waveform is for the format onnx")
        temperature = trained.card.calibration.class_temperature
        data, twins, hop = _float_model(trained.student, temperature, trained.step)
        model, kind = unpack(data), Quantization()
        if int8 is not None:
            model = quantize(model, int8, twins)
            bits = INT4_BITS if int8.int4 else WEIGHT_BITS
            kind = Quantization("int8", int8.ranges.rule, bits)
        check_operators(model)
        flat = pack(model)
        # A microcontroller that cannot run it is told of now, and the memory that it needs.
        arena = Micro(flat).arena().total if int8 is not None else None
        card = replace(trained.card, quantization=kind, hop=hop, arena_bytes=arena)
        return with_card(flat, card)


@lru_cache(maxsize=4)
def _float_model(
    student: Student, temperature: float, as_step: bool
) -> tuple[bytes, dict[str, str], int]:
    """The float model with its names, its twins in the ONNX graph, and frames of a step."""
    step = Step(student, temperature).eval() if as_step else None
    model = student_model(student, temperature) if step is None else step_model(step)
    twins = match_tensors(model, ActivationRecorder(float_graph(student, temperature)), step)
    return pack(model, names=True), twins, 0 if step is None else step.hop


def with_card(model: bytes, card: Card) -> bytes:
    """A file: the flatbuffer and the ZIP, the card's digest set.

    TFLite's tools look for lists of labels there; they take entries that are not compressed.

    Args:
        model: bytes of the flatbuffer.
        card: complete but for the digest.

    Raises:
        BadArtifact: the runtime would refuse the file.
    """
    card = replace(card, digest=digest(model), embedding=0)
    labels = {f"{output.name}.txt": "\n".join(output.labels) for output in card.outputs}
    data = model + zip_of_card(card, len(model), labels)
    # What the runtime would refuse on loading must not be written.
    check(data)
    return data
