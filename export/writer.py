"""What a writer of artifacts takes and gives: the same for ONNX and for formats to come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from edgeemo.artifacts.card import Card
from edgeemo.compress.students import Student

from .ranges import RangeTable


@dataclass(frozen=True)
class QuantConfig:
    """How to quantize.

    Attributes:
        ranges: the one table of activation ranges, by the name of the activation.
        float_head: leave the last linear layers (the heads) in float.
        int4: four bits for convolutions whose weights stand on steps of `rounded_int4`.
    """

    ranges: RangeTable
    float_head: bool = False
    int4: bool = False


@dataclass(frozen=True)
class ExportInput:
    """What is written.

    Attributes:
        student: in evaluation mode.
        card: complete but for `input`, `quantization` and `digest`, which the writer sets.
        waveform: take samples, with the front end inside the file.
        step: one step of a causal student, with its states as inputs and outputs.
        learned: ranges of activations that training with the rounding of int8 has found.
    """

    student: Student
    card: Card
    waveform: bool = False
    step: bool = False
    learned: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def with_card(self, card: Card) -> ExportInput:
        """The same student under another card."""
        return replace(self, card=card)


class Writer(Protocol):
    """Writes one format.

    Attributes:
        format: its name on the command line.
        ending: of its files, with the dot.
        float_heads: whether an int8 file may keep its heads in float.
        largest_weight: integer that the largest weight of an output channel becomes in int8.
    """

    format: str
    ending: str
    float_heads: bool
    largest_weight: int

    def write(self, trained: ExportInput, int8: QuantConfig | None = None) -> bytes:
        """The artifact: whole, with its card inside. The same input gives the same bytes.

        Args:
            trained: student and card.
            int8: how to quantize, or None for float.

        Raises:
            BadArtifact: the student uses something that the format or the runtime lacks.
        """
        ...
