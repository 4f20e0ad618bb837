"""The two convolutions with gradients of their own against torch's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeemo.compress.students.fast_gradients import OneChannelConv, TemporalDepthwise


def both(ours: nn.Conv2d, theirs: nn.Conv2d, x: torch.Tensor) -> list[list[torch.Tensor]]:
    """Result, gradient of the weights and of the input, of each."""
    theirs.load_state_dict(ours.state_dict())
    found = []
    for module in (ours, theirs):
        given = x.clone().requires_grad_(x.shape[1] > 1)
        result = module(given)
        torch.autograd.backward(result, torch.cos(torch.arange(result.numel()).view_as(result)))
        grads = [g for g in (module.weight.grad, given.grad) if g is not None]
        found.append([result.detach(), *grads])
    return found


@pytest.mark.parametrize("dilation", [1, 2, 8])
def test_depthwise_over_time(dilation: int) -> None:
    torch.manual_seed(dilation)
    x = torch.randn(3, 6, 50, 2)
    theirs = nn.Conv2d(6, 6, (5, 1), dilation=(dilation, 1), groups=6, bias=False)
    for a, b in zip(*both(TemporalDepthwise(6, 5, dilation), theirs, x), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [((3, 5), (2, 2), (0, 2)), ((3, 3), (2, 2), (1, 1)), ((3, 3), (2, 1), (0, 0))],
)
def test_first_layer(
    kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> None:
    torch.manual_seed(1)
    ours = OneChannelConv(4, kernel, stride, padding)
    theirs = nn.Conv2d(1, 4, kernel, stride, padding, bias=False)
    for a, b in zip(*both(ours, theirs, torch.randn(3, 1, 21, 16)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    assert ours(torch.randn(3, 1, 21, 16)).is_contiguous(memory_format=torch.channels_last)


def test_a_watching_tool_meets_the_ordinary_convolution() -> None:
    seen: list[str] = []

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            seen.append(func.__name__)
            return func(*args, **(kwargs or {}))

    with Watch():
        TemporalDepthwise(6, 5, 2)(torch.randn(1, 6, 30, 1))
        OneChannelConv(4, (3, 3), (2, 2), (1, 1))(torch.randn(1, 1, 8, 8))
    assert seen.count("conv2d") == 2
