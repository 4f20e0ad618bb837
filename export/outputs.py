"""The outputs of an artifact: the dimensions; classes and sounds where something taught them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgeemo.compress.students import Student
from edgeemo.compress.students.base import StudentOutput


class Outputs(nn.Module):
    """The student with the outputs of an artifact: adv [1, dimensions], probs and sounds [1, 8].

    Args:
        student: in evaluation mode.
        temperature: what class logits are divided by before the softmax.
    """

    def __init__(self, student: Student, temperature: float) -> None:
        super().__init__()
        self.student, self.temperature = student, temperature

    @property
    def names(self) -> list[str]:
        """Names of the outputs, in order."""
        return output_names(self.student)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Features of a clip, or a face, to the outputs."""
        return outputs_of(self.student, self.student(features, None), self.temperature)


def output_names(student: Student) -> list[str]:
    """Outputs of a student's artifact: "adv"; "probs" and "sounds" if something taught them."""
    names = ["adv", "probs"] if student.gives_classes else ["adv"]
    return names if student.sounds is None else [*names, "sounds"]


def outputs_of(student: Student, found: StudentOutput, temperature: float) -> tuple[Tensor, ...]:
    """What an artifact says, in the order of `output_names`: [B, dimensions], [B, 8] and [B, 8].

    Args:
        student: whose output it is.
        found: for a batch of B clips.
        temperature: what class logits are divided by before the softmax.
    """
    probs = torch.softmax(found.logits / temperature, dim=-1)
    given = (found.dimensions, probs) if student.gives_classes else (found.dimensions,)
    return given if found.sounds is None else (*given, found.sounds)
