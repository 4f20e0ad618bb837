"""Augmentation of pictures at each training step: what a camera and a crop may do to a face.

All pictures of a batch are turned, moved and resized in one warp, so a step costs little.
"""

from __future__ import annotations

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
    y = _soften(y, config, draw)
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
        y = y + draw.normal(y) * (0.05 * draw.uniform() * draw.chance(config.noise_p))
    return y


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
