"""Staying as one was: the loss of a student that is changed and shall say what it said before.

The student as it was is the teacher, on the very features that a step has augmented. Labels do not
count: a student that learned from them now would differ from what was tested and calibrated.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from ..students.base import Student, StudentOutput
from .batches import Batch, Batches

WEIGHTS = {"embedding": 1.0, "mse": 300.0, "kl": 3.0}
"""Beside the error of the embedding, in shares of its variance, what the outputs say counts most:
a tenth of it lost more valence on people whom nothing had met (docs/experiments/notebook.md)."""

_LEAST = 0.05
"""Added to a channel's deviation, as a share of the mean one: channels that hardly vary."""


class Likeness(torch.nn.Module):
    """What `Objective` is for labels, for a student that is there already.

    Args:
        student: as it was; it is not changed.
    """

    dropout = False
    """It would hide a change that is smaller than itself."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.before = copy.deepcopy(student).eval().requires_grad_(False)

    def init_projections(self, student: Student, rows: Batches) -> None:
        """There are none.

        Args:
            student: see `Objective`.
            rows: see `Objective`.
        """

    def forward(
        self, output: StudentOutput, batch: Batch, weights: Mapping[str, float]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum, and each loss by name (detached, before its weight).

        Args:
            output: of the student for the batch.
            batch: features.
            weights: of the losses on labels; none counts.
        """
        with torch.no_grad():
            wanted: StudentOutput = self.before(batch.features, batch.lengths)
        terms = {
            "embedding": _apart(output.embedding, wanted.embedding),
            "mse": F.mse_loss(output.dimensions, wanted.dimensions),
            "kl": F.kl_div(
                output.logits.log_softmax(1), wanted.logits.softmax(1), reduction="batchmean"
            ),
        }
        total = torch.stack([WEIGHTS[name] * value for name, value in terms.items()]).sum()
        return total, {name: value.detach() for name, value in terms.items()}


def _apart(ours: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared error of [N, channels] in shares of each channel's variance."""
    deviation = wanted.std(0, unbiased=False)
    return (((ours - wanted) / (deviation + _LEAST * deviation.mean() + 1e-8)) ** 2).mean()
