"""Quantization-aware training for weights of four bits, as `edgeemo export --int4` stores them.

Fifteen steps change what a layer gives. The student begins with those that `rounding_int4.py` finds
and is trained on with steps in it, to say what it said before them; that is all it is taught.
Other layers and the activations lose so little in int8 that export alone rounds them. What comes
out stands on its steps, and export leaves it there.

Source of the gradient: Bengio, Leonard, Courville, arXiv 1308.3432 (straight-through estimator).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..recipes import EarlyStoppingConfig, QatConfig
from ..students.base import Student
from .base import Splits, Training, sample_inputs
from .rounding_int4 import LARGEST, int4_layers, rounded_int4

OTHERS = 127
"""Steps of the other layers at the beginning; they are free to leave them."""

CLIPS = 256
"""That the first steps are found on: with 64, twice as much of valence is lost on unseen people."""


class Steps(nn.Module):
    """Weights [outputs, ...] on fifteen steps a channel; gradients pass as if they were not."""

    def forward(self, weight: Tensor) -> Tensor:
        """The largest weight of each channel tells the step, as it does in the writers."""
        wide = weight.detach().flatten(1)
        step = (wide.abs().amax(1, keepdim=True) / LARGEST).clamp(min=1e-12)
        found = (torch.round(wide / step) * step).view_as(weight)
        return weight + (found - weight).detach()


def run(student: Student, data: Splits, config: QatConfig, training: Training) -> Student:
    """Train a student on with few steps in its convolutions.

    Args:
        student: trained; it is not changed, and teaches what it says.
        data: rows whose labels do not count.
        config: of the training.
        training: what the stages share; the epochs are recorded.

    Returns:
        The student of the last epoch, in evaluation mode, whose `int4_layers` stand on steps.
    """
    clips = sample_inputs(data.train, CLIPS)
    names = int4_layers(student, clips[0])
    made = rounded_int4(student, [clip[0].numpy() for clip in clips], OTHERS)
    for name in names:
        parametrize.register_parametrization(made.get_submodule(name), "weight", Steps())
    last = EarlyStoppingConfig("last")
    fitted = training.fit(
        "qat", made, data.all_train, data.valid, config, stopping=last, before=student
    )
    training.record("qat", fitted)
    return _plain(fitted.student, student, names)


@torch.no_grad()
def _plain(trained: Student, student: Student, names: list[str]) -> Student:
    """The student with its new weights, in its own layers."""
    weights = trained.state_dict().items()
    state = {k.replace(".parametrizations.weight.original", ".weight"): v for k, v in weights}
    state |= {f"{name}.weight": Steps()(state[f"{name}.weight"]) for name in names}
    plain = copy.deepcopy(student).cpu().eval()
    plain.load_state_dict(state)
    plain.folded = trained.folded
    return plain
