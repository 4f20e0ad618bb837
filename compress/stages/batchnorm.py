"""Batch norm folded into the convolutions before it, as in every file that is exported."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from ..students.base import Student

_CONVS = (nn.Conv1d, nn.Conv2d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def fold_batchnorm(student: Student, clip: Tensor) -> Student:
    """A copy with each batch norm inside the convolution before it.

    Args:
        student: trained; it is not changed.
        clip: an input with the batch axis, to trace it with.
    """
    folded = copy.deepcopy(student).cpu().eval()
    modules = dict(folded.named_modules())
    for conv_name, norm_name in batchnorm_pairs(student, clip):
        conv, norm = modules[conv_name], modules[norm_name]
        assert isinstance(conv, _CONVS)
        assert isinstance(norm, _NORMS)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight,
            conv.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )
        parent, _, own = norm_name.rpartition(".")
        setattr(modules[parent], own, nn.Identity())
    return folded


def batchnorm_pairs(student: Student, clip: Tensor) -> list[tuple[str, str]]:
    """Names of convolutions and of the batch norms that read them.

    Args:
        student: it is not changed.
        clip: an input with the batch axis, to trace it with.
    """
    producer: dict[int, str] = {}
    pairs: list[tuple[str, str]] = []
    kept: list[Tensor] = []  # a tensor that is gone could leave its id to another

    def watch(name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(module: nn.Module, given: tuple[Any, ...], result: Any) -> None:
            if isinstance(module, _CONVS):
                producer[id(result)] = name
                kept.append(result)
            elif id(given[0]) in producer:
                pairs.append((producer[id(given[0])], name))

        return hook

    probe = copy.deepcopy(student).cpu().eval()
    for name, module in probe.named_modules():
        if isinstance(module, (*_CONVS, *_NORMS)):
            module.register_forward_hook(watch(name))
    with torch.no_grad():
        probe(clip, None)
    return pairs
