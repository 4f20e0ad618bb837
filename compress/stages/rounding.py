"""Weights and biases that lose little when a writer rounds the weights of each layer.

Rounded each to the nearest step, the weights of a layer shift the means of its outputs (what comes
in is rectified, so its mean is large) and turn its outputs by as much as chance has it. Here each
weight takes over what is left of the errors before it, as far as the inputs that both see go
together, and a bias takes what is left of the mean. A file of 7-bit weights then differs from its
student by half as much, and fewer clips with two nearly equal classes change sides.

Sources: Frantar, Ashkboos, Hoefler, Alistarh, GPTQ, arXiv 2210.17323; for the means Nagel, van
Baalen, Blankevoort, Welling, Data-free quantization, arXiv 1906.04721, section 4.2.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..students.base import Student
from .batchnorm import batchnorm_pairs

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)

_DAMP = 0.01
"""Share of the mean variance that is added to each input's, so that the inverse stays tame."""

_COLUMNS = 2048
"""Positions of a clip, evenly drawn, that a layer's inputs are read from."""


@torch.no_grad()
def rounded(student: Student, clips: Sequence[NDArray[np.float32]], largest: int) -> Student:
    """A copy whose weights stand on the steps that a writer gives them.

    Args:
        student: in evaluation mode, on the CPU.
        clips: its inputs without the batch axis, those that ranges are read from.
        largest: `Writer.largest_weight`.
    """
    made = copy.deepcopy(student).eval()
    layers = {name: m for name, m in made.named_modules() if isinstance(m, LAYERS)}
    seen: dict[str, list[Tensor]] = {name: [] for name in layers}

    def watch(name: str) -> Any:
        def hook(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
            seen[name].append(inputs_of(layer, given[0]))

        return hook

    hooks = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers.items()]
    inputs = [torch.from_numpy(np.ascontiguousarray(clip))[None] for clip in clips]
    for clip in inputs:
        made(clip, None)
    for hook in hooks:
        hook.remove()
    modules, norms = dict(made.named_modules()), dict(batchnorm_pairs(made, inputs[0]))
    for name, layer in layers.items():
        if not seen[name]:  # a path that a whole clip does not take
            continue
        shift = _round(layer, torch.cat(seen.pop(name), 1).double(), largest)
        shift_back(layer, modules.get(norms.get(name, "")), shift)
    return made


def shift_back(layer: Any, norm: nn.Module | None, shift: Tensor) -> None:
    """Take a shift of a layer's means out of its bias, or of the batch norm behind it.

    Args:
        layer: of LAYERS; it or `norm` is changed.
        norm: what follows the layer.
        shift: [outputs].
    """
    if isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d)) and norm.running_mean is not None:
        norm.running_mean.add_(shift)
    elif layer.bias is not None:
        layer.bias.sub_(shift)


def inputs_of(layer: nn.Module, x: Tensor) -> Tensor:
    """What each group of a layer's channels is a linear map of: [groups, positions, inputs].

    Args:
        layer: of LAYERS.
        x: its input.
    """
    if isinstance(layer, nn.Linear):
        columns = x.reshape(1, -1, x.shape[-1])
    else:
        assert isinstance(layer, (nn.Conv1d, nn.Conv2d))
        assert not isinstance(layer.padding, str)
        x = x[..., None] if isinstance(layer, nn.Conv1d) else x
        unfolded = F.unfold(
            x,
            _pair(layer.kernel_size, 1),
            dilation=_pair(layer.dilation, 1),
            padding=_pair(layer.padding, 0),
            stride=_pair(layer.stride, 1),
        )
        parts = unfolded.unflatten(1, (layer.groups, -1))  # [B, groups, inputs, positions]
        columns = parts.permute(1, 0, 3, 2).flatten(1, 2)
    some: Tensor = columns[:, :: columns.shape[1] // _COLUMNS + 1]
    return some


def _pair(of: tuple[int, ...], missing: int) -> tuple[int, int]:
    """Of a kernel with one axis, with what the second would have."""
    return of[0], of[1] if len(of) > 1 else missing


def _round(layer: Any, x: Tensor, largest: int) -> Tensor:
    """Round a layer's weights; gives what that adds to the mean of each output channel.

    Args:
        layer: changed in place.
        x: float64 [groups, positions, inputs].
        largest: see `rounded`.
    """
    wanted = (
        layer.weight.flatten(1).double().unflatten(0, (len(x), -1))
    )  # [groups, outputs, inputs]
    mean = x.mean(1, keepdim=True)
    centred = x - mean
    found = on_steps(wanted, centred.transpose(1, 2) @ centred / x.shape[1], largest)
    layer.weight.copy_(found.flatten(0, 1).view_as(layer.weight))
    shift: Tensor = (found - wanted) @ mean.transpose(1, 2)
    return shift.flatten().float()


def on_steps(weight: Tensor, covariance: Tensor, largest: int, cut: float = 1.0) -> Tensor:
    """GPTQ for groups of channels side by side.

    Args:
        weight: float64 [groups, outputs, inputs].
        covariance: of the inputs, [groups, inputs, inputs].
        largest: see `rounded`.
        cut: share of a channel's largest weight that becomes `largest` steps; beyond it ends.
    """
    steps = cut * weight.abs().amax(2, keepdim=True) / largest
    steps = torch.where(steps > 0, steps, torch.ones_like(steps))
    variance = covariance.diagonal(dim1=1, dim2=2)
    damp = _DAMP * variance.mean(1).clamp(min=1e-12)
    covariance = covariance + torch.diag_embed(damp[:, None].expand_as(variance))
    inverse = torch.linalg.inv(covariance)
    factor = torch.linalg.cholesky((inverse + inverse.mT) / 2, upper=True)
    # The largest weight of a channel tells the writer its step, so it stays where it is.
    ends = weight.abs() >= weight.abs().amax(2, keepdim=True)
    signs, left = weight.sign() * largest, weight.clone()
    found = torch.empty_like(weight)
    for i in range(weight.shape[2]):
        near = torch.round(left[..., i : i + 1] / steps).clamp(-largest, largest)
        found[..., i : i + 1] = steps * torch.where(
            ends[..., i : i + 1], signs[..., i : i + 1], near
        )
        error = (left[..., i : i + 1] - found[..., i : i + 1]) / factor[:, i : i + 1, i : i + 1]
        left[..., i:] -= error * factor[:, i : i + 1, i:]
    return found
