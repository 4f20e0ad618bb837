"""Quantization-aware training: a student is trained with the rounding of its int8 file in it.

NNCF puts a quantizer before each layer. What those of the activations learn is written down by the
student's own names (`edgeemo.compress.students.activations`), so that every format can take it.
The scale of a weight is not learned: it follows the largest weight of its channel, as in the
writers.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from edgeemo.errors import BadData, BadRecipe

from ..recipes import QatConfig
from ..students.activations import activations, same_values
from ..students.base import Student
from . import int4
from ._nncf import load_nncf, plain_state, quiet
from .base import Ranges, Splits, Training, compression_loss, sample_inputs
from .batchnorm import batchnorm_pairs, fold_batchnorm
from .prune import mask_weights

LEVEL = 64
"""Weights are rounded to -64..64 steps: the grid of the ONNX writer. The 8-bit one of TFLite is
finer."""


class Unwrapped(NamedTuple):
    """What comes out: the student with its new weights, and the ranges that belong to them."""

    student: Student
    ranges: Ranges


def run(student: Student, data: Splits, config: QatConfig, training: Training) -> Student:
    """Train a student on with quantizers in it.

    Args:
        student: trained; it is not changed. Where the recipe prunes weights, its smallest weights
            are 0 and stay so.
        data: labelled rows; first ranges are read from some of `data.train`.
        config: of the training.
        training: what the stages share; the epochs are recorded, and the learned ranges.

    Returns:
        The student with its new weights and without quantizers, in evaluation mode.

    Raises:
        BadRecipe: the student does other things to a batch of padded clips than to a whole clip.
        BadData: a range became empty or is not finite: the learning rate is too high.
        MissingExtra: NNCF is not installed.
    """
    if config.weights == "int4":
        return int4.run(student, data, config, training)
    inputs, pruning = sample_inputs(data.train), training.recipe.prune
    start = student
    if pruning is not None and pruning.kind == "weights":
        start = mask_weights(student, pruning, inputs, fold=True)
    loss = compression_loss(training.recipe)
    start = with_quantizers(start, inputs)
    fitted = training.fit("qat", start, data.all_train, data.valid, config, loss)
    training.record("qat", fitted)
    plain, training.ranges = without_quantizers(fitted.student, student, inputs[0])
    return plain


def with_quantizers(student: Student, clips: Sequence[Tensor]) -> Student:
    """A copy of a student that rounds as its int8 file will, to be trained.

    Batch norm is folded into the convolutions, as the writers do it.

    Args:
        student: trained; NNCF's masks of pruned weights may be on it.
        clips: inputs that first ranges are read from, each with the batch axis.

    Raises:
        BadRecipe: the student does other things to a batch of padded clips than to a whole clip,
            so that its quantizers would hit the wrong values.
        MissingExtra: NNCF is not installed.
    """
    nncf = load_nncf()
    minmax = nncf.quantization.range_estimator.RangeEstimatorParametersSet.MINMAX
    tensors = nncf.quantization.advanced_parameters.QuantizationParameters(per_channel=False)
    how = nncf.AdvancedQuantizationParameters(
        overflow_fix=nncf.OverflowFix.DISABLE,  # _follow sees to that
        activations_range_estimator_params=minmax,
        activations_quantization_params=tensors,
        # Training does both jobs better.
        disable_bias_correction=True,
        disable_channel_alignment=True,
    )
    with quiet():
        made: Student = nncf.quantize(
            fold_batchnorm(student, clips[0]),
            nncf.Dataset(list(clips)),
            subset_size=len(clips),
            preset=nncf.QuantizationPreset.MIXED,
            advanced_parameters=how,
        )
    for quantizer in _quantizers(made, "Symmetric"):
        quantizer.disable_gradients()
        quantizer.register_forward_pre_hook(_follow)
    for quantizer in _quantizers(made, "Asymmetric"):
        # A step of the optimizer must be small beside the range, and a softmax over time spans a
        # hundredth of what a layer spans.
        for parameter in quantizer.parameters():
            parameter.lr_scale = float(quantizer.input_range.detach().abs())
    _check_masks(made, clips[0])
    return made


def without_quantizers(trained: Student, student: Student, clip: Tensor) -> Unwrapped:
    """Take weights and ranges out of a student that has been trained with rounding.

    Args:
        trained: from `with_quantizers`, then trained.
        student: what that was made from; it is not changed.
        clip: an input, to find out which activation each range belongs to.

    Raises:
        BadData: a range became empty or is not finite: the learning rate is too high.
    """
    plain = _unfolded(trained, student, clip)
    probe = copy.deepcopy(trained).cpu().eval()
    values = activations(plain, clip)
    found: Ranges = {}
    for quantizer, seen in _inputs(probe, clip):
        low, high = (float(v) for v in quantizer.get_input_low_input_high())
        same = (
            n
            for n, v in values.items()
            if v.shape == seen.shape and same_values(v.numpy(), seen.numpy())
        )
        name = next(same, None)
        if not high > low or not high - low < float("inf"):
            raise BadData(f"the range of {name} became {low:g} to {high:g}; lower qat.lr")
        if name is None:
            raise BadRecipe(f"{student.name}: a quantizer stands where no activation has a name")
        found[name] = low, high
    return Unwrapped(plain, found)


def _unfolded(trained: Student, student: Student, clip: Tensor) -> Student:
    """The trained weights in a student as it is registered: its batch norms change nothing."""
    plain = copy.deepcopy(student).cpu().eval()
    state = dict(plain.state_dict())
    weights = plain_state(trained)
    state |= {k: v.cpu() for k, v in weights.items() if k in state}
    for conv, norm in batchnorm_pairs(student, clip):
        eps: Any = plain.get_submodule(norm).eps
        state[f"{norm}.weight"] = torch.ones_like(state[f"{norm}.weight"])
        state[f"{norm}.running_mean"] = torch.zeros_like(state[f"{norm}.running_mean"])
        state[f"{norm}.running_var"] = torch.full_like(state[f"{norm}.running_var"], 1 - eps)
        state[f"{norm}.bias"] = weights[f"{conv}.bias"].cpu()
        if f"{conv}.bias" in state:
            state[f"{conv}.bias"] = torch.zeros_like(state[f"{conv}.bias"])
    plain.load_state_dict(state)
    return plain


def _quantizers(student: Student, kind: str) -> Iterator[Any]:
    """NNCF's quantizers: "Symmetric" ones are of weights, "Asymmetric" ones of activations."""
    for module in student.modules():
        if type(module).__name__ == f"{kind}Quantizer":
            yield module


@torch.no_grad()
def _follow(quantizer: Any, given: tuple[Tensor, ...]) -> None:
    """Set a weight quantizer to the largest weight of each channel."""
    with torch._C.DisableTorchFunction():
        weight = given[0].detach().abs()
        axes = [i for i, n in enumerate(quantizer.scale.shape) if n == 1 or weight.ndim == 1]
        largest = weight.amax(axes, keepdim=True).clamp(min=1e-12)
        quantizer.scale.data.copy_(largest.view_as(quantizer.scale))
        quantizer.level_low, quantizer.level_high = -LEVEL, LEVEL


@torch.no_grad()
def _check_masks(made: Student, clip: Tensor) -> None:
    whole = made(clip, None).dimensions
    apart = (whole - made(clip, torch.tensor([clip.shape[1]])).dimensions).abs().max()
    # Outputs of a student that has learned little may be large; so are their steps of int8 then.
    if apart > 2e-2 * max(1.0, float(whole.abs().max())):
        raise BadRecipe(
            f"$.qat: {made.name} computes padded clips in another way than whole ones; hide its "
            "masks with edgeemo.compress.students.base.unwatched"
        )


@contextmanager
def _watched(quantizers: Sequence[Any]) -> Iterator[dict[int, Tensor]]:
    seen: dict[int, Tensor] = {}
    hooks = [
        q.register_forward_pre_hook(lambda module, given, i=i: seen.update({i: given[0]}))
        for i, q in enumerate(quantizers)
    ]
    yield seen
    for hook in hooks:
        hook.remove()


def _inputs(probe: Student, clip: Tensor) -> list[tuple[Any, Tensor]]:
    """Each quantizer of an activation, and what it would round if nothing before it had."""
    found = list(_quantizers(probe, "Asymmetric"))
    for quantizer in (*found, *_quantizers(probe, "Symmetric")):
        quantizer.disable_quantization()
    with _watched(found) as seen, torch.no_grad():
        probe(clip, None)
    return [(q, seen[i]) for i, q in enumerate(found)]
