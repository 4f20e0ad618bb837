"""Names for what a student computes, and the values themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .base import Student


@torch.no_grad()
def activations(student: Student, features: Tensor) -> dict[str, Tensor]:
    """Everything that a student computes on the way from its input to its outputs.

    A name tells the module, the kind of operation, and its number in that module:
    "shrink.0/relu.0". The input is "features".

    Args:
        student: in evaluation mode.
        features: one input, with the batch axis.

    Returns:
        Float tensors with more than one value, by name, in the order in which they are made.
    """
    recorder = _Recorder(student)
    hooks = recorder.hooks()
    try:
        with recorder:
            student(features, None)
    finally:
        for hook in hooks:
            hook.remove()
    return {"features": features} | recorder.found


def same_values(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> bool:
    """Whether two activations hold the same numbers in the same order, whatever their shapes.

    Args:
        ours: of any shape.
        theirs: of as many values; a difference of 1e-4 of their largest (or of 1) is rounding.
    """
    apart = np.abs(ours.reshape(-1) - theirs.reshape(-1)).max()
    return float(apart) <= rounding(theirs)


def rounding(values: NDArray[np.float32]) -> float:
    """By how much an activation may differ between two graphs that compute the same."""
    return 1e-4 * max(1.0, float(np.abs(values).max()))


class _Recorder(TorchFunctionMode):
    """Keeps the result of each operation."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student
        self.inside: list[str] = []
        self.count: Counter[str] = Counter()
        self.found: dict[str, Tensor] = {}

    def hooks(self) -> list[Any]:
        """Follow which module is running."""
        handles: list[Any] = []
        for name, module in self.student.named_modules():
            handles.append(
                module.register_forward_pre_hook(
                    lambda module, given, name=name: self.inside.append(name)
                )
            )
            handles.append(
                module.register_forward_hook(
                    lambda module, given, result: self.inside.pop() and None
                )
            )
        return handles

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.is_floating_point() and result.numel() > 1:
            kind = f"{self.inside[-1]}/{func.__name__}".removeprefix("/")
            self.found[f"{kind}.{self.count[kind]}"] = result
            self.count[kind] += 1
        return result
