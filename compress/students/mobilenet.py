"""MobileNetV3-small and MobileNetV4-conv-small: the layers, and students that read log-mel.

Shapes after arXiv 1905.02244 and arXiv 2404.10518, in our own code. By default every activation
is ReLU6, because int8 runtimes are slow or leave int8 on hard-swish; `paper=1` gives the papers'.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeemo.features import SPECS
from edgeemo.types import CLASSES

from .base import Student, StudentOutput, register_student, time_mask, unwatched
from .fast_gradients import OneChannelConv

STRIDE = 32
"""Frames from one token to the next: five layers of stride 2."""


def round8(channels: float) -> int:
    """A multiple of 8, at most a tenth below what was asked."""
    found = max(8, int(channels + 4) // 8 * 8)
    return found if found >= 0.9 * channels else found + 8


def _halved(lengths: Tensor | None, stride: int) -> Tensor | None:
    with unwatched():
        return lengths if lengths is None or stride == 1 else (lengths + 1) // 2


def _masked(x: Tensor, lengths: Tensor | None) -> Tensor:
    with unwatched():
        return x if lengths is None else x * time_mask(lengths, x.shape[2])[:, None, :, None]


def _mean(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Mean over time and bands without the padding: [B, C, 1, 1]."""
    frames = x.shape[2]
    mean = _masked(x, lengths).mean((2, 3), keepdim=True)  # one MEAN in the converters' graphs
    if lengths is None:
        return mean
    with unwatched():
        return mean * (frames / lengths).view(-1, 1, 1, 1)


class Conv(nn.Module):
    """Convolution, batch norm, activation; padding behind a clip counts as zero."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        act: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.stride, self.kernel = stride, kernel
        self.ahead: tuple[int, int, int, int] | None = None  # padding made before the convolution
        half = kernel // 2
        self.conv: nn.Conv2d
        if in_channels == 1:
            self.conv = OneChannelConv(
                out_channels, (kernel, kernel), (stride, stride), (half, half)
            )
        else:
            self.conv = nn.Conv2d(
                in_channels, out_channels, kernel, stride, half, groups=groups, bias=False
            )
        self.norm = nn.BatchNorm2d(out_channels)
        self.act = act or nn.Identity()

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The layer's result, and how much of each row is clip.

        Args:
            x: [B, in, T, bands].
            lengths: [B], int64, frames of each clip; None: every clip fills its row.

        Returns:
            [B, out, T', bands'], and the new lengths.
        """
        # A kernel of one frame cannot see the padding beside a clip.
        x = _masked(x, lengths) if self.kernel > 1 else x
        x = F.pad(x, self.ahead) if self.ahead else x
        found: Tensor = self.act(self.norm(self.conv(x)))
        return found, _halved(lengths, self.stride)


class _Squeeze(nn.Module):
    """Squeeze and excite: channels are weighed by what the whole clip holds."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = round8(channels / 4)
        self.down, self.up = nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        weight = self.up(F.relu(self.down(_mean(x, lengths))))
        return x * F.relu6(weight + 3) / 6


class Block(nn.Module):
    """Inverted bottleneck: wide inside, narrow between blocks, a shortcut where shapes allow.

    Args:
        in_channels: channels that come in.
        out_channels: channels that go out.
        wide: channels between.
        start: kernel of a depthwise convolution before the widening, 0 for none.
        middle: kernel of the one after it, 0 for none.
        stride: of the middle one, or of the first if there is no middle one.
        squeeze: with squeeze and excite.
        act: activation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        wide: int,
        start: int,
        middle: int,
        stride: int,
        squeeze: bool,
        act: nn.Module,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if start:
            layers.append(
                Conv(in_channels, in_channels, start, 1 if middle else stride, in_channels)
            )
        if wide != in_channels:
            layers.append(Conv(in_channels, wide, act=act))
        if middle:
            layers.append(Conv(wide, wide, middle, stride, wide, act=act))
        if squeeze:
            layers.append(_Squeeze(wide))
        layers.append(Conv(wide, out_channels))
        self.layers = nn.ModuleList(layers)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The block's result, and how much of each row is clip.

        Args:
            x: [B, in, T, bands].
            lengths: [B], int64, frames of each clip; None: every clip fills its row.

        Returns:
            [B, out, T', bands'], and the new lengths.
        """
        y = x
        for layer in self.layers:
            if isinstance(layer, _Squeeze):
                y = layer(y, lengths)
            else:
                y, lengths = layer(y, lengths)
        return (x + y if self.shortcut else y), lengths


class _MobileNet(Student):
    """What both have in common: picture in, layers, mean over the clip, a wide map, heads."""

    mean: Tensor
    sd: Tensor

    def __init__(self, layers: Sequence[nn.Module], tokens: int, head: int, act: nn.Module) -> None:
        super().__init__()
        self.options = {}
        self.spec = SPECS["logmel40"]
        self.stride = STRIDE
        self.layers = nn.ModuleList(layers)
        self.receptive = _receptive(self.layers)
        self.wide = nn.Linear(tokens, head)
        self.act = act
        self.drop = nn.Dropout(0.1)
        self.adv, self.classes = nn.Linear(head, 3), nn.Linear(head, len(CLASSES))
        nn.init.constant_(self.adv.bias, 0.5)
        self.register_buffer("mean", torch.zeros(self.spec.bands))
        self.register_buffer("sd", torch.ones(self.spec.bands))

    def normalize_from(self, mean: Tensor, sd: Tensor) -> None:
        """See Student.normalise_from."""
        self.mean.copy_(mean)
        self.sd.copy_(sd)

    @property
    def head_layers(self) -> tuple[nn.Linear, ...]:
        """See Student.head_layers."""
        return (self.wide,)

    @property
    def head_act(self) -> nn.Module:
        """See Student.head_act."""
        return self.act

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> StudentOutput:
        """See Student.forward."""
        x = ((features - self.mean) / self.sd)[:, None]
        left = lengths
        for layer in self.layers:
            x, left = layer(x, left)
        tokens = x.mean(3).transpose(1, 2)
        pooled = _mean(x, left).flatten(1)
        wide = self.drop(self.act(self.wide(pooled)))
        if left is None:
            left = torch.full((len(x),), tokens.shape[1], device=x.device)
        return StudentOutput(self.adv(wide), self.classes(wide), pooled, tokens, left)


def pad_as_same(layers: nn.Module) -> None:
    """Pad convolutions of stride 2 on an even size as TFLite's SAME does: more behind than ahead.

    The converters then fold the padding into the convolution. The other way it becomes an
    operator with a tensor of its own.
    """
    for module in layers.modules():
        if isinstance(module, Conv) and module.stride == 2:
            total = module.kernel - 2
            module.conv.padding = (0, 0)
            module.ahead = (total // 2, total - total // 2) * 2


def _receptive(layers: nn.ModuleList) -> int:
    """Frames that one token sees; squeeze and excite, which sees all, is not counted."""
    frames, step = 1, 1
    for module in layers.modules():
        if isinstance(module, Conv):
            frames += (module.kernel - 1) * step
            step *= module.stride
    return frames


# Kernel, channels between, channels out, squeeze, hard-swish, stride.
_V3_SMALL = (
    (3, 16, 16, True, False, 2),
    (3, 72, 24, False, False, 2),
    (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1),
    (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
    (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1),
    (5, 576, 96, True, True, 1),
)


def v3_small(channels: int, width: float, paper: bool) -> tuple[list[nn.Module], int]:
    """Layers of MobileNetV3-small.

    Args:
        channels: of the picture.
        width: factor on all channels.
        paper: with the paper's activations in place of ReLU6.

    Returns:
        The layers, and the channels that the last one gives.
    """
    relu = nn.ReLU() if paper else nn.ReLU6()
    swish = nn.Hardswish() if paper else nn.ReLU6()
    in_channels = round8(16 * max(1.0, width))
    layers: list[nn.Module] = [Conv(channels, in_channels, 3, 2, act=swish)]
    for kernel, wide, out, squeeze, swishes, stride in _V3_SMALL:
        out_channels = round8(out * width)
        layers.append(
            Block(
                in_channels,
                out_channels,
                round8(wide * width),
                0,
                kernel,
                stride,
                squeeze,
                swish if swishes else relu,
            )
        )
        in_channels = out_channels
    last = round8(576 * width)
    layers.append(Conv(in_channels, last, act=swish))
    return layers, last


@register_student("mobilenetv3-small")
class MobileNetV3Small(_MobileNet):
    """MobileNetV3-small.

    Args:
        width: factor on all channels; below 1 the first and the last layer stay whole.
        paper: 1 for ReLU and hard-swish as in the paper, 0 for ReLU6 everywhere.
    """

    def __init__(self, width: float = 1.0, paper: int = 0) -> None:
        layers, last = v3_small(1, width, bool(paper))
        act = nn.Hardswish() if paper else nn.ReLU6()
        super().__init__(layers, last, round8(1024 * max(1.0, width)), act)


# Kernel before and after the widening, factor of the widening, channels out, stride.
_V4_SMALL = (
    (5, 5, 3.0, 96, 2),
    (0, 3, 2.0, 96, 1),
    (0, 3, 2.0, 96, 1),
    (0, 3, 2.0, 96, 1),
    (0, 3, 2.0, 96, 1),
    (3, 0, 4.0, 96, 1),
    (3, 3, 6.0, 128, 2),
    (5, 5, 4.0, 128, 1),
    (0, 5, 4.0, 128, 1),
    (0, 5, 3.0, 128, 1),
    (0, 3, 4.0, 128, 1),
    (0, 3, 4.0, 128, 1),
)


def v4_small(channels: int, width: float, paper: bool) -> tuple[list[nn.Module], int]:
    """Layers of MobileNetV4-conv-small.

    Args:
        channels: of the picture.
        width: factor on all channels.
        paper: with the paper's activations in place of ReLU6.

    Returns:
        The layers, and the channels that the last one gives.
    """
    act = nn.ReLU() if paper else nn.ReLU6()

    def c(wanted: float) -> int:
        return round8(wanted * width)

    first = round8(32 * max(1.0, width))
    layers: list[nn.Module] = [
        Conv(channels, first, 3, 2, act=act),
        Conv(first, c(32), 3, 2, act=act),
        Conv(c(32), c(32), act=act),
        Conv(c(32), c(96), 3, 2, act=act),
        Conv(c(96), c(64), act=act),
    ]
    in_channels = c(64)
    for start, middle, factor, out, stride in _V4_SMALL:
        wide = round8(in_channels * factor)
        layers.append(Block(in_channels, c(out), wide, start, middle, stride, False, act))
        in_channels = c(out)
    last = round8(960 * width)
    layers.append(Conv(in_channels, last, act=act))
    return layers, last


@register_student("mobilenetv4-conv-small")
class MobileNetV4ConvSmall(_MobileNet):
    """MobileNetV4-conv-small.

    Args:
        width: factor on all channels; below 1 the first and the last layer stay whole.
        paper: 1 for ReLU as in the paper, 0 for ReLU6.
    """

    def __init__(self, width: float = 1.0, paper: int = 0) -> None:
        layers, last = v4_small(1, width, bool(paper))
        act = nn.ReLU() if paper else nn.ReLU6()
        super().__init__(layers, last, round8(1280 * max(1.0, width)), act)
