"""Ranges that a student has learned, brought into the table that every writer reads.

Training names activations by the student's modules, the table by the tensors of the float graph.
Two are one if they hold the same values for the same clip.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from edgeemo.compress.students import Student
from edgeemo.compress.students.activations import activations, same_values

from .int8 import ActivationRecorder
from .ranges import Range, RangeTable

RULE = "learned"
"""What a card calls the rule behind such ranges."""


def learned_table(
    watch: ActivationRecorder,
    student: Student,
    clip: NDArray[np.float32],
    learned: Mapping[str, tuple[float, float]],
    observed: RangeTable,
) -> RangeTable:
    """The observed table with learned ranges in the place of those that training has found.

    Args:
        watch: the student's float graph.
        student: whose activations have the names in `learned`.
        clip: a real one, with the batch axis; features that stand for others would make
            activations alike that are not.
        learned: smallest and largest value, from `Run.ranges`.
        observed: for activations that training does not round, as those inside a gate.
    """
    ours = {
        n: v.numpy()
        for n, v in activations(student, torch.from_numpy(clip)).items()
        if n in learned
    }
    found = dict(observed.ranges)
    for tensor, values in watch.run(clip).items():
        same = (n for n, v in ours.items() if v.size == values.size > 1 and same_values(values, v))
        name = next(same, None)
        if name is not None and tensor in found:
            low, high = learned[name]
            found[tensor] = Range(min(low, 0.0), max(high, 0.0))
    return replace(observed, rule=RULE, ranges=found)
