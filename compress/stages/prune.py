"""Pruning: channels or weights are taken away, then the rest is trained to do without."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from ..recipes import PruneConfig
from ..students.base import Student
from ..train.loop import set_memory_format
from ._nncf import HOOKS, load_nncf, plain_state
from .base import Splits, Training, compression_loss, sample_inputs
from .batchnorm import fold_batchnorm
from .channels import remove_channels


def run(student: Student, data: Splits, config: PruneConfig, training: Training) -> Student:
    """Take channels or weights out of a student and train it on.

    Args:
        student: trained; it is not changed.
        data: labelled rows; channels are weighed on some of `data.train`.
        config: what goes, how much of it, and the training afterwards.
        training: what the stages share; the epochs are recorded.

    Returns:
        The smaller student in evaluation mode; pruned weights are 0.

    Raises:
        BadRecipe: at that share no channel goes.
        MissingExtra: weights are to be pruned and NNCF is not installed.
    """
    inputs = sample_inputs(data.train)
    if config.kind == "channels":
        start = remove_channels(student, config.share, inputs)
    else:
        start = mask_weights(student, config, inputs)
    loss = compression_loss(training.recipe)
    fitted = training.fit("prune", start, data.all_train, data.valid, config, loss)
    training.record("prune", fitted)
    return strip_masks(fitted.student, student)


def mask_weights(
    student: Student, config: PruneConfig, inputs: Sequence[Tensor], fold: bool = False
) -> Student:
    """A copy with NNCF's masks on the smallest weights of each layer.

    Weights that a mask has set to 0 are the smallest, so masks made again are the same.

    Args:
        student: trained; it is not changed.
        config: share of the weights.
        inputs: each with the batch axis; the first is traced.
        fold: also put each batch norm into the convolution before it.

    Raises:
        MissingExtra: NNCF is not installed.
    """
    nncf = load_nncf()
    copied = fold_batchnorm(student, inputs[0]) if fold else copy.deepcopy(student).cpu().eval()
    set_memory_format(copied, torch.contiguous_format)
    masked: Student = nncf.prune(
        copied,
        mode=nncf.PruneMode.UNSTRUCTURED_MAGNITUDE_LOCAL,
        ratio=config.share,
        examples_inputs=inputs[0],
    )
    return masked


def strip_masks(trained: Student, like: Student) -> Student:
    """The student without NNCF's masks, what they hide set to 0; itself if it has none.

    Args:
        trained: perhaps with masks.
        like: the same student without them; it is not changed.
    """
    if not any(key.startswith(HOOKS) for key in trained.state_dict()):
        return trained
    plain = copy.deepcopy(like).cpu().eval()
    plain.load_state_dict(plain_state(trained))
    return plain
