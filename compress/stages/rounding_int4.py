"""Weights of four bits in convolutions across channels, where a student has most of its weights.

With fifteen steps a layer changes what the next ones see. So layers are rounded in the order in
which they are run: each makes good what those before it have left, as far as its inputs tell, and a
channel's largest weights are cut where the channel loses least by it. First layer, depthwise
layers and heads keep the steps of int8: they hold few weights and need them most. What has been
trained in four bits stays as it is.

Sources: GPTQ as in `rounding.py`; targets that count earlier errors: Nagel, Amjad, van Baalen,
Louizos, Blankevoort, Up or down? Adaptive rounding, arXiv 2004.10568 (asymmetric reconstruction).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..students.base import Student
from .batchnorm import batchnorm_pairs
from .rounding import LAYERS, inputs_of, on_steps, shift_back

LARGEST = 7
"""What a channel's largest weight becomes: TFLite's range of weights is symmetric."""

_CUTS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6)
"""Shares of a channel's largest weight at which its steps may end."""

_TRUST = 0.3
"""Share of the mean variance that holds weights back from making good too much: found on RAVDESS
with a student that met none of it."""

_CLIPS = 64
"""From this number on fewer positions are read of each: many clips tell more than many frames."""


@torch.no_grad()
def rounded_int4(student: Student, clips: Sequence[NDArray[np.float32]], largest: int) -> Student:
    """As `rounding.rounded`, with four bits for convolutions across channels but the first layer.

    Args:
        student: in evaluation mode, on the CPU.
        clips: its inputs without the batch axis; the more, the less is lost on others.
        largest: `Writer.largest_weight`, of the other layers.
    """
    made = copy.deepcopy(student).eval()
    inputs = [torch.from_numpy(np.ascontiguousarray(clip))[None] for clip in clips]
    modules, norms = dict(made.named_modules()), dict(batchnorm_pairs(made, inputs[0]))
    few = int4_layers(student, inputs[0])
    for name in layers_in_order(student, inputs[0]):
        layer: Any = modules[name]
        if name in few and on_int4_steps(layer.weight.detach().numpy()):  # trained to stand there
            continue
        old, new = (_seen(s, name, inputs) for s in (student, made))
        steps, cuts = (LARGEST, _CUTS) if name in few else (largest, _CUTS[:1])
        shift_back(layer, modules.get(norms.get(name, "")), _round(layer, old, new, steps, cuts))
    return made


def on_int4_steps(weight: NDArray[np.float32]) -> bool:
    """Whether four bits hold a layer's weights as they are.

    Args:
        weight: [outputs, ...].
    """
    flat = np.abs(weight.reshape(len(weight), -1).astype(np.float64))
    steps = flat * LARGEST / np.maximum(flat.max(axis=1, keepdims=True), 1e-30)
    return bool(np.abs(steps - np.rint(steps)).max() < 1e-3)


def int4_layers(student: Student, clip: Tensor) -> list[str]:
    """Names of the layers that have four bits: convolutions across channels, but for the first.

    First layer, depthwise layers and heads hold few weights and need their eight bits most.

    Args:
        student: in evaluation mode.
        clip: an input with the batch axis.
    """
    found = layers_in_order(student, clip)[1:]
    kinds = ((name, student.get_submodule(name)) for name in found)
    return [n for n, m in kinds if isinstance(m, (nn.Conv1d, nn.Conv2d)) and m.groups == 1]


@torch.no_grad()
def layers_in_order(student: Student, clip: Tensor) -> list[str]:
    """Names of the LAYERS that a whole clip goes through, as it goes.

    Args:
        student: in evaluation mode.
        clip: an input with the batch axis.
    """
    called: dict[str, None] = {}
    hooks = [
        module.register_forward_pre_hook(lambda layer, given, name=name: called.setdefault(name))
        for name, module in student.named_modules()
        if isinstance(module, LAYERS)
    ]
    student(clip, None)
    for hook in hooks:
        hook.remove()
    return list(called)


class _Enough(Exception):
    pass


def _seen(student: Student, name: str, clips: Sequence[Tensor]) -> Tensor:
    """Inputs of a layer, float64 [groups, positions, inputs]."""
    found: list[Tensor] = []

    def watch(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        found.append(inputs_of(layer, given[0])[:, :: -(-len(clips) // _CLIPS)])
        raise _Enough  # what comes behind would be computed in vain

    hook = student.get_submodule(name).register_forward_pre_hook(watch)
    for clip in clips:
        with suppress(_Enough):
            student(clip, None)
    hook.remove()
    return torch.cat(found, 1).double()


def _round(layer: Any, old: Tensor, new: Tensor, largest: int, cuts: Sequence[float]) -> Tensor:
    """Round a layer's weights; gives what that adds to the mean of each output channel.

    Args:
        layer: changed in place.
        old: its inputs in the student, [groups, positions, inputs].
        new: its inputs now.
        largest: integer that a channel's largest weight becomes.
        cuts: of `_CUTS`, from which each channel takes the best.
    """
    weight = layer.weight.flatten(1).double().unflatten(0, (len(new), -1))
    means = [x.mean(1, keepdim=True) for x in (old, new)]
    before, now = old - means[0], new - means[1]
    covariance = now.mT @ now / now.shape[1]
    across = before.mT @ now / now.shape[1]
    variance = covariance.diagonal(dim1=1, dim2=2)
    trust = torch.diag_embed(
        (_TRUST * variance.mean(1).clamp(min=1e-12))[:, None].expand_as(variance)
    )
    wanted = torch.linalg.solve(covariance + trust, (weight @ (across + trust)).mT).mT
    tries = torch.stack([on_steps(wanted, covariance, largest, cut) for cut in cuts])
    lost = (((tries - wanted) @ covariance) * (tries - wanted)).sum(-1, keepdim=True)
    found = tries.gather(0, lost.argmin(0, keepdim=True).expand_as(tries[:1]))[0]
    layer.weight.copy_(found.flatten(0, 1).view_as(layer.weight))
    shift: Tensor = found @ means[1].mT - weight @ means[0].mT
    return shift.flatten().float()
