"""What cameras and detectors do to a face before a model is given it: for faces.py.

Sizes are those of a face 48 pixels wide, as FER2013 has them: on a larger picture as large a share
of the face is blurred or covered.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

import cv2
import numpy as np

from edgeemo.vision.images import Pixels

Face = tuple[Pixels, tuple[float, float, float, float]]
"""A picture, and the box of the face in it."""

SIDE = 48.0


def _unit(face: Face) -> float:
    """Pixels of the picture for one pixel of a face of SIDE pixels."""
    left, top, right, bottom = face[1]
    return max(right - left, bottom - top) / SIDE


def _picture(change: Callable[[Pixels, float], np.ndarray]) -> Callable[[Face], Face]:
    def changed(face: Face) -> Face:
        return np.clip(np.rint(change(face[0], _unit(face))), 0, 255).astype(np.uint8), face[1]

    return changed


def _blur(image: Pixels, unit: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), 1.5 * unit)


def _motion(image: Pixels, unit: float) -> np.ndarray:
    reach = max(2, round(6 * unit))
    return cv2.filter2D(image, -1, np.full((1, reach), 1 / reach, np.float32))


def _noise(image: Pixels, unit: float) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(image.tobytes()))
    return image + rng.normal(0, 20, image.shape)


def _small(image: Pixels, unit: float) -> np.ndarray:
    high, wide = image.shape[:2]
    size = (max(1, round(wide / unit / 2)), max(1, round(high / unit / 2)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (wide, high), interpolation=cv2.INTER_LINEAR)


def _jpeg(image: Pixels, unit: float) -> np.ndarray:
    return cv2.imdecode(
        cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 10])[1], cv2.IMREAD_COLOR
    )


def _dark(image: Pixels, unit: float) -> np.ndarray:
    return image * 0.2


def _backlight(image: Pixels, unit: float) -> np.ndarray:
    """Little light on the face, and glare that comes over it from above."""
    glare = np.linspace(0.5, 0, image.shape[0])[:, None, None]
    return image * 0.35 + 255 * glare


def _warm(image: Pixels, unit: float) -> np.ndarray:
    return image * np.array([1.25, 1.0, 0.6])


def _cool(image: Pixels, unit: float) -> np.ndarray:
    return image * np.array([0.6, 1.0, 1.25])


def _covered(face: Face) -> Face:
    left, top, right, bottom = face[1]
    high, wide = bottom - top, right - left
    image = face[0].copy()
    rows = slice(max(0, round(top + 0.62 * high)), max(0, round(top + 0.95 * high)))
    columns = slice(max(0, round(left + 0.25 * wide)), max(0, round(left + 0.75 * wide)))
    image[rows, columns] = 128
    return image, face[1]


def _off(face: Face) -> Face:
    left, top, right, bottom = face[1]
    by = max(right - left, bottom - top) / 10
    return face[0], (left + by, top + by, right + by, bottom + by)


CONDITIONS: Mapping[str, Callable[[Face], Face]] = {
    "as it is": lambda face: face,
    "24 pixels": _picture(_small),
    "out of focus, sigma 1.5": _picture(_blur),
    "motion, 6 pixels": _picture(_motion),
    "noise, sd 20": _picture(_noise),
    "JPEG, quality 10": _picture(_jpeg),
    "a fifth of the light": _picture(_dark),
    "backlight": _picture(_backlight),
    "warm cast": _picture(_warm),
    "cool cast": _picture(_cool),
    "box off by a tenth": _off,
    "covered mouth": _covered,
}
"""All of them by name."""
