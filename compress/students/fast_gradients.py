"""Two convolutions whose gradients cost on a CPU what they should.

Both give the numbers of nn.Conv2d, hold its weights under its names, and are its ordinary selves
for whoever watches or exports them. What they save is measured in docs/design.md.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _plain() -> bool:
    """Whether a convolution must be the one that torch and tools around it know."""
    return torch._C._len_torch_function_stack() > 0 or not torch.is_grad_enabled()


class OneChannelConv(nn.Conv2d):
    """nn.Conv2d on [B, 1, H, W], without dilation: the first layer, on features or a grey picture.

    A tensor of one channel has no order in memory. torch then takes the order in which everything
    behind it is slow; this gives channels last.
    """

    def __init__(
        self,
        out_channels: int,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int],
    ) -> None:
        super().__init__(1, out_channels, kernel, stride, padding, bias=False)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if _plain() or input.requires_grad:
            plain: Tensor = super()._conv_forward(input, weight, bias)
            return plain
        high, wide = (int(p) for p in self.padding)
        padded = F.pad(input[:, 0], (wide, wide, high, high))
        seen = padded.unfold(1, weight.shape[2], self.stride[0])
        seen = seen.unfold(2, weight.shape[3], self.stride[1])  # [B, H', W', kernel]
        found: Tensor = seen.flatten(3) @ weight.flatten(1).T
        return found.permute(0, 3, 1, 2)


class TemporalDepthwise(nn.Conv2d):
    """Depthwise nn.Conv2d on [B, C, T, bands] with a kernel (k, 1), unpadded, of stride 1."""

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__(
            channels, channels, (kernel, 1), dilation=(dilation, 1), groups=channels, bias=False
        )

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if _plain():
            plain: Tensor = super()._conv_forward(input, weight, bias)
            return plain
        found: Tensor = _OverTime.apply(input, weight, self.dilation[0])  # type: ignore[no-untyped-call]
        return found


class _OverTime(torch.autograd.Function):
    """x [B, C, T, bands], weight [C, 1, k, 1]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.dilation = dilation
        return F.conv2d(x, weight, dilation=(dilation, 1), groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        to_x, to_weight = torch.zeros_like(x), torch.empty_like(weight)
        for tap in range(weight.shape[2]):
            seen = slice(tap * ctx.dilation, tap * ctx.dilation + grad.shape[2])
            to_weight[:, 0, tap, 0] = (x[:, :, seen] * grad).sum((0, 2, 3))
            to_x[:, :, seen].addcmul_(grad, weight[:, :, tap])
        return to_x, to_weight, None
