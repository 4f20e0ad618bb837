"""Pictures of faces as a model takes them: what a spec is, and the one preprocessing function.

The crop is cut and resized in integers (floats that hold nothing but integers below 2**24), so the
same picture gives the same bits on every machine, with every backend, and in training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeemo.errors import BadInput, one_line, within

Pixels = NDArray[np.uint8]
"""A picture, RGB [height, width, 3] in 0..255."""

Box = Sequence[float]
"""Left, top, right, bottom in pixels; pixel 0 reaches from 0 to 1. May reach over the border."""

LARGEST = 16_384
"""Pixels on the longer side of a picture that is taken."""

_ONE = 1 << 16  # weights are whole numbers that sum to this: 255 * 2**16 < 2**24
_BLOCK = 16  # rows that are made at once: a large crop then needs little memory


@dataclass(frozen=True)
class ImageSpec:
    """All that defines the picture which a model takes.

    The cut is a square around the center of the box, with a side of (1 + 2 margin) times the
    box's longer side. Beyond the border the outermost pixels are repeated.

    Attributes:
        size: width and height of the model's picture in pixels, 16 to 512.
        channels: 1 (grey: 77 R + 150 G + 29 B, over 256) or 3 (red, green, blue).
        mean: subtracted from each channel, in units of 0..1.
        std: each channel is divided by it, in units of 0..1.
        resize: "triangle": each pixel is a weighted mean whose weights fall linearly to 0, over one
            pixel of the larger of the two grids. Enlarging this is bilinear interpolation; making
            smaller it uses every pixel, so that nothing flickers.
        margin: added around a face box on each side, as a share of its longer side, 0 to 1.
            A box reaches from forehead to chin, as pictures of FER2013 do; see `edgeemo.faces`.

    Raises:
        BadInput: a value is of the wrong type or out of range; the message names it.
    """

    size: int = 96
    channels: Literal[1, 3] = 1
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.25,)
    resize: Literal["triangle"] = "triangle"
    margin: float = 0.0

    def __post_init__(self) -> None:
        """Check all fields; a spec made in Python is held to the same rules as one of a card."""
        if (
            isinstance(self.size, bool)
            or not isinstance(self.size, int)
            or self.size not in range(16, 513)
        ):
            raise BadInput(f"size is {self.size!r}; expected 16 to 512 pixels")
        if isinstance(self.channels, bool) or self.channels not in (1, 3):
            raise BadInput(f"channels is {self.channels!r}; expected 1 (grey) or 3 (RGB)")
        if self.resize != "triangle":
            raise BadInput(f"resize is {self.resize!r}; expected 'triangle'")
        for name, low, high in (("mean", 0.0, 1.0), ("std", 1e-3, 10.0)):
            values = tuple(getattr(self, name))
            object.__setattr__(self, name, tuple(within(name, v, low, high) for v in values))
            if len(values) != self.channels:
                raise BadInput(f"{name} has {len(values)} values; expected {self.channels}")
        object.__setattr__(self, "margin", within("margin", self.margin, 0.0, 1.0))


FACE96 = ImageSpec()
"""Grey, 96 x 96, about -2..2: what edgeemo's face models take."""


def preprocess(image: ArrayLike, box: Box | None, spec: ImageSpec) -> NDArray[np.float32]:
    """The picture of one face as the model takes it.

    Args:
        image: uint8 [H, W, 3], RGB; grey uint8 [H, W] is taken too.
        box: face box, or None if the whole picture is the face.
        spec: what the model takes.

    Returns:
        float32 [1, size, size, channels]: `crop_face` over 255, less the mean, over the std.

    Raises:
        BadInput: see `crop_face`.
    """
    return normalize(crop_face(image, box, spec)[np.newaxis], spec)


def normalize(faces: Pixels, spec: ImageSpec) -> NDArray[np.float32]:
    """What `crop_face` gave as the model takes it: uint8 [..., channels] to float32, one shape.

    Args:
        faces: uint8 [..., channels].
        spec: mean and deviation of each channel, of 0..1.
    """
    factor = np.array([1 / (255 * std) for std in spec.std], np.float32)
    shift = np.array(
        [mean / std for mean, std in zip(spec.mean, spec.std, strict=True)], np.float32
    )
    scaled: NDArray[np.float32] = faces * factor
    scaled -= shift
    return scaled


def crop_face(image: ArrayLike, box: Box | None, spec: ImageSpec) -> Pixels:
    """Cut out a face and resize it, in whole numbers.

    Args:
        image: uint8 [H, W, 3], RGB; grey uint8 [H, W] is taken too.
        box: face box (a margin is added), or None if the whole picture is the face. A picture
            that is not square is then filled up with its outermost pixels.
        spec: size, channels, margin.

    Returns:
        uint8 [size, size, channels].

    Raises:
        BadInput: not such a picture, more than LARGEST pixels on a side, or a box that is not
            four finite numbers, has no area, or lies outside the picture.
    """
    pixels = validate_image(image)
    left, top, side = _square(pixels, box, spec)
    columns = _weights(pixels.shape[1], left, side, spec.size)
    rows = _weights(pixels.shape[0], top, side, spec.size)
    part = pixels[rows.first : rows.last, columns.first : columns.last]
    part = grey(part)[..., np.newaxis] if spec.channels == 1 else _colour(part)
    # Down first: [h, w, c] to [size, w, c]; then across, with the width as the last axis.
    narrow = _down(part, rows)
    flat = np.ascontiguousarray(narrow.transpose(0, 2, 1)).reshape(-1, part.shape[1])
    wide = _rounded(flat @ columns.matrix.T)
    return np.ascontiguousarray(
        wide.reshape(spec.size, spec.channels, spec.size).transpose(0, 2, 1)
    )


def grey(image: Pixels) -> Pixels:
    """[height, width] as eyes weigh colours: 77 R + 150 G + 29 B, over 256; grey stays as it is."""
    if image.ndim == 2:
        return image
    red, green, blue = (image[..., i].astype(np.uint16) for i in range(3))
    return ((77 * red + 150 * green + 29 * blue + 128) >> 8).astype(np.uint8)


def validate_image(image: Any) -> Pixels:
    """The picture as an array, if it is one.

    Raises:
        BadInput: not uint8, not [H, W, 3] or [H, W], empty, or larger than LARGEST.
    """
    image = _array(image, "the picture")
    if image.dtype != np.uint8:
        raise BadInput(f"the picture is {image.dtype}; expected uint8 in 0..255")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise BadInput(f"the picture has shape {image.shape}; expected [height, width, 3], RGB")
    if not 1 <= min(image.shape[:2]) <= max(image.shape[:2]) <= LARGEST:
        raise BadInput(
            f"the picture has {image.shape[1]} x {image.shape[0]} pixels; "
            f"expected 1 to {LARGEST} a side"
        )
    picture: Pixels = image
    return picture


def _array(value: Any, what: str) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except (ValueError, TypeError) as error:  # lists of several lengths
        raise BadInput(f"{what} is no array ({one_line(error)})") from None


def _square(image: Pixels, box: Box | None, spec: ImageSpec) -> tuple[float, float, float]:
    """Left, top and side of the square that is cut out."""
    height, width = image.shape[:2]
    if box is None:
        side = float(max(height, width))
        return (width - side) / 2, (height - side) / 2, side
    values = _array(box, "the box").tolist()
    numeric = isinstance(values, list) and all(isinstance(v, (int, float)) for v in values)
    if not numeric or len(values) != 4 or not all(math.isfinite(v) for v in values):
        raise BadInput(f"the box is {values!r:.80}; expected left, top, right, bottom in pixels")
    left, top, right, bottom = values
    if not (left < right and top < bottom and right - left < 4 * LARGEST > bottom - top):
        raise BadInput(f"the box {values} has no area, or too large a one")
    if right <= 0 or bottom <= 0 or left >= width or top >= height:
        raise BadInput(f"the box {values} lies outside the picture of {width} x {height} pixels")
    side = max(right - left, bottom - top) * (1 + 2 * spec.margin)
    return (left + right - side) / 2, (top + bottom - side) / 2, side


def resize_matrix(pixels: int, size: int) -> NDArray[np.float32]:
    """`crop_face`'s filter on an axis of a whole picture: float32 [size, pixels]; rows sum to 1.

    Args:
        pixels: length of the axis.
        size: length that it gets.
    """
    return _weights(pixels, 0.0, pixels, size).matrix / np.float32(_ONE)


@dataclass(frozen=True)
class _Weights:
    """One axis of the resize: `matrix` [size, last - first] is for those pixels of the picture."""

    first: int
    last: int
    matrix: NDArray[np.float32]


@lru_cache(maxsize=64)
def _weights(pixels: int, start: float, side: float, size: int) -> _Weights:
    """Weights by which `size` pixels of the result are made from `pixels` of the picture."""
    scale = side / size
    reach = max(scale, 1.0)
    center = start + (np.arange(size) + 0.5) * scale
    taps = np.floor(center - reach)[:, np.newaxis] + np.arange(math.ceil(2 * reach) + 1)
    weight = np.maximum(0, 1 - np.abs(taps + 0.5 - center[:, np.newaxis]) / reach)
    whole = np.rint(weight * _ONE).astype(np.int64)
    # Integers, so that no order of summing matters; the largest weight takes what is left over.
    whole = whole * _ONE // whole.sum(axis=1, keepdims=True)
    whole[np.arange(size), whole.argmax(axis=1)] += _ONE - whole.sum(axis=1)
    at = np.clip(taps, 0, pixels - 1).astype(np.int64)
    used = at[whole > 0]
    first, last = int(used.min()), int(used.max()) + 1
    matrix = np.zeros((size, last - first), np.float32)
    at = np.clip(at - first, 0, last - first - 1)  # what is beyond weighs nothing
    np.add.at(matrix, (np.arange(size)[:, np.newaxis], at), whole)
    matrix.flags.writeable = False
    return _Weights(first, last, matrix)


def _down(part: Pixels, rows: _Weights) -> NDArray[np.float32]:
    """[h, w, c] to [size, w, c], each value rounded to a whole number."""
    size = len(rows.matrix)
    made = np.empty((size, *part.shape[1:]), np.float32)
    flat = part.reshape(len(part), -1)
    for begin in range(0, size, _BLOCK):
        block = rows.matrix[begin : begin + _BLOCK]
        used = np.flatnonzero(block.any(axis=0))
        first, last = used[0], used[-1] + 1
        # Sums of whole numbers below 2**24 are exact in float32, in whatever order BLAS adds.
        found = block[:, first:last] @ flat[first:last].astype(np.float32)
        made[begin : begin + _BLOCK] = _rounded(found).reshape(-1, *part.shape[1:])
    return made


def _rounded(sums: NDArray[np.float32]) -> Pixels:
    """Weighted sums to 0..255; halves go up."""
    levels: Pixels = np.floor(sums * np.float32(1 / _ONE) + np.float32(0.5)).astype(np.uint8)
    return levels


def _colour(part: Pixels) -> Pixels:
    return part if part.ndim == 3 else np.repeat(part[..., np.newaxis], 3, axis=2)
