"""A student whose norms have seen their input, as training leaves them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edgeemo.compress.students import Student
from edgeemo.features import FeatureSpec


def settled(student: Student, clips: Sequence[Tensor]) -> Student:
    """The student, in evaluation mode; clips: what it takes, each with the batch axis."""
    if isinstance(student.spec, FeatureSpec):
        frames = torch.cat([clip[0] for clip in clips])
        student.normalize_from(frames.mean(0), frames.std(0))
    with torch.no_grad():
        student.train()
        for clip in clips:
            student(torch.cat([clip, clip * 1.1]), None)
    return student.eval()
