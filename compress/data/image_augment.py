"""Augmentation of pictures at each training step: what a camera and a crop may do to a face.

All pictures of a batch are turned, moved and resized in one warp, so a step costs little.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from edgeemo.vision.images import ImageSpec

from ..recipes import ImageAugmentConfig


def normalize(x: Tensor, spec: ImageSpec) -> Tensor:
    """As `edgeemo.vision.images.normalize`, for a batch.

    Args:
        x: float32 [B, size, size, channels], 0..255.
        spec: of the pictures.
    """
    factor = torch.tensor([1 / (255 * std) for std in spec.std], device=x.device)
    shift = torch.tensor(
        [mean / std for mean, std in zip(spec.mean, spec.std, strict=True)], device=x.device
    )
    return x * factor - shift


def augment_images(
    x: Tensor, spec: ImageSpec, config: ImageAugmentConfig, generator: torch.Generator
) -> Tensor:
    """Augment pictures at random.

    Args:
        x: float32 [B, size, size, channels], 0..255.
        spec: of the pictures.
        config: probabilities and ranges.
        generator: of the random numbers, on the CPU.

    Returns:
        Of the same shape, normalized.
    """
    draw = _Draw(len(x), generator, x.device)
    y = _warp(x.permute(0, 3, 1, 2), config, draw) / 255
    y = _light(y, config, draw)
    y = _darken(y, config, draw)
    y = _defocus(y, config, draw)
    y = _soften(y, config, draw)
    y = _coarsen(y.clamp(0, 1), config, draw)
    y = _erase(y.clamp(0, 1), config, draw)
    return normalize(255 * y.permute(0, 2, 3, 1), spec)


class _Draw:
    """Random numbers for each picture of a batch, [B, 1, 1, 1]."""

    def __init__(self, batch: int, generator: torch.Generator, device: torch.device) -> None:
        self.batch, self.generator, self.device = batch, generator, device

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        found = torch.rand(self.batch, 1, 1, 1, generator=self.generator)
        return (low + (high - low) * found).to(self.device)

    def chance(self, p: float) -> Tensor:
        """1 with probability p, else 0."""
        return (self.uniform() < p).float()

    def normal(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.generator).to(self.device)


def _warp(x: Tensor, config: ImageAugmentConfig, draw: _Draw) -> Tensor:
    """Mirror, turn, stretch, zoom and move; what comes in from outside repeats the border."""
    angle = draw.uniform(-config.turn_degrees, config.turn_degrees) * (torch.pi / 180)
    zoom = 1 / (1 + draw.uniform(-config.zoom, config.zoom))
    stretch = 1 + draw.uniform(-config.stretch, config.stretch)
    mirror = 1 - 2 * draw.chance(config.mirror_p)
    # Coordinates run from -1 to 1 over the picture, so a share of the side is twice as much.
    right, down = (2 * draw.uniform(-config.shift, config.shift) for _ in range(2))
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    first = torch.cat([cos * mirror * stretch, -sin, right], 3)
    second = torch.cat([sin * mirror, cos / stretch, down], 3)
    grid = F.affine_grid(torch.cat([first, second], 2)[:, 0], list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, "bilinear", "border", align_corners=False)


def _light(y: Tensor, config: ImageAugmentConfig, draw: _Draw) -> Tensor:
    """Exposure (a power), contrast, brightness, and light from one side."""
    y = y.clamp(min=1e-4) ** torch.exp(draw.uniform(-config.light, config.light))
    mean = y.mean((1, 2, 3), keepdim=True)
    y = (y - mean) * torch.exp(draw.uniform(-config.light, config.light)) + mean
    y = y + draw.uniform(-config.light, config.light) / 3
    ramp = torch.linspace(-1, 1, y.shape[3], device=y.device)
    for direction in (ramp.view(1, 1, 1, -1), ramp.view(1, 1, -1, 1)):
        y = y + direction * draw.uniform(-config.side, config.side) * draw.chance(0.3)
    if y.shape[1] == 3 and config.tint > 0:  # corpora of gray pictures have no color
        channels = torch.cat([draw.uniform(-config.tint, config.tint) for _ in range(3)], 1)
        y = y * torch.exp(channels)
    return y


def _soften(y: Tensor, config: ImageAugmentConfig, draw: _Draw) -> Tensor:
    blurred = F.avg_pool2d(F.pad(y, (1, 1, 1, 1), mode="replicate"), 3, 1)
    y = torch.lerp(y, blurred, draw.chance(config.blur_p))
    if config.noise_p > 0:
        y = y + draw.normal(y) * (config.noise * draw.uniform() * draw.chance(config.noise_p))
    return y


def _darken(y: Tensor, config: ImageAugmentConfig, draw: _Draw) -> Tensor:
    """Less light on the whole picture; the camera's noise comes on top of what is left."""
    if config.dark_p == 0:
        return y
    return y * torch.where(draw.chance(config.dark_p) > 0, draw.uniform(config.dark), 1.0)


def _defocus(y: Tensor, config: ImageAugmentConfig, draw: _Draw) -> Tensor:
    """A Gaussian blur, round or, half of the time, along a line: out of focus, or moved."""
    picked = _picked(config.focus_p, draw)
    if not len(picked):
        return y
    size = y.shape[2]
    sigma = draw.uniform(0.005, max(0.006, config.focus))[picked] * size
    thin = torch.where(draw.chance(0.5)[picked] > 0, 0.25, 1.0)
    angle = draw.uniform(0, torch.pi)[picked]
    reach = math.ceil(2.5 * config.focus * size)
    at = torch.arange(-reach, reach + 1, device=y.device, dtype=y.dtype)
    down, right = at.view(1, 1, -1, 1), at.view(1, 1, 1, -1)
    along = (right * torch.cos(angle) + down * torch.sin(angle)) / sigma
    across = (down * torch.cos(angle) - right * torch.sin(angle)) / (sigma * thin)
    kernel = torch.exp(-(along**2 + across**2) / 2)
    kernel = kernel / kernel.sum((2, 3), keepdim=True)
    channels = y.shape[1]
    x = F.pad(y[picked], (reach,) * 4, mode="replicate").flatten(0, 1)[None]
    kernel = kernel.repeat_interleave(channels, 0)
    blurred = F.conv2d(x, kernel, groups=len(kernel))[0].unflatten(0, (-1, channels))
    return y.index_copy(0, picked, blurred)


def _coarsen(y: Tensor, config: ImageAugmentConfig, draw: _Draw) -> Tensor:
    """Fewer pixels, of some pictures compressed, and as large again.

    Pictures of a batch that lose pixels lose as many; the next batch loses others.
    """
    picked = _picked(config.coarse_p, draw)
    if not len(picked):
        return y
    size = y.shape[2]
    share = float(torch.rand((), generator=draw.generator))
    side = max(8, round(size * (config.coarse + (1 - config.coarse) * share)))
    x = F.interpolate(y[picked], side, mode="bilinear", antialias=True)
    quality = torch.exp(draw.uniform(*map(math.log, _QUALITY)))[picked]
    x = torch.where(draw.chance(0.5)[picked] > 0, compress(x, quality), x)
    return y.index_copy(0, picked, F.interpolate(x, size, mode="bilinear"))


def _picked(p: float, draw: _Draw) -> Tensor:
    """Numbers of the pictures to change, each with probability p; nothing is drawn where p is 0."""
    if p == 0:
        return torch.zeros(0, dtype=torch.int64, device=draw.device)
    return draw.chance(p).flatten().nonzero().flatten()


_QUALITY = (8.0, 60.0)  # of JPEG; even over their logarithm, as most of the loss is at the low end

# Table K.1 of ITU-T T.81, for luminance.
_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


def compress(y: Tensor, quality: Tensor) -> Tensor:
    """What JPEG leaves of pictures: the cosine transform of blocks of 8 pixels, in whole steps.

    Each channel is taken for luminance, and color is not halved.

    Args:
        y: float32 [B, C, H, W], 0..1.
        quality: [B, 1, 1, 1], 1 to 100 as libjpeg counts it.

    Returns:
        Of the same shape, 0..1.

    Source: ITU-T T.81 (1992); the scale of the steps by quality is libjpeg's.
    """
    high, wide = y.shape[2:]
    x = F.pad(y, (0, -wide % 8, 0, -high % 8), mode="replicate")
    at = torch.arange(8, device=y.device, dtype=y.dtype)
    cosine = torch.cos((2 * at[None] + 1) * at[:, None] * torch.pi / 16) / 2
    cosine[0] /= math.sqrt(2)
    blocks = x.unfold(2, 8, 8).unfold(3, 8, 8)  # [B, C, H/8, W/8, 8, 8]
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    steps = torch.tensor(_STEPS, device=y.device, dtype=y.dtype)
    steps = (steps * scale[..., None, None]).round().clamp(1, 255) / 255
    whole = torch.round(cosine @ (blocks - 0.5) @ cosine.T / steps) * steps
    x = (cosine.T @ whole @ cosine + 0.5).transpose(3, 4).reshape(x.shape)
    return x[:, :, :high, :wide].clamp(0, 1)


def _erase(y: Tensor, config: ImageAugmentConfig, draw: _Draw) -> Tensor:
    """Put a gray rectangle over a part of some pictures."""
    size = y.shape[2]
    at = torch.arange(size, device=y.device) / size
    inside = draw.chance(config.erase_p)
    for axis in ((1, 1, 1, -1), (1, 1, -1, 1)):
        side = draw.uniform(0.1, config.erase_share)
        first = draw.uniform() * (1 - side)
        place = at.view(*axis)
        inside = inside * ((place >= first) & (place < first + side)).float()
    return torch.lerp(y, draw.uniform().expand_as(y), inside.expand_as(y))
