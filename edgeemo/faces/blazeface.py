"""BlazeFace, short range, on LiteRT: anchors, decoding and the search for small faces are here.

The network (edgeemo/faces/face_detection_short_range.tflite) is MediaPipe's, Apache-2.0. It sees
128 x 128 pixels and finds faces of some 15 % of that width or more. So smaller faces are looked for
in tiles, and what a tile shows is looked at once more in the middle of a square of its own.

Source: V. Bazarevsky et al., "BlazeFace: sub-millisecond neural face detection on mobile GPUs",
2019 (arXiv 1907.05047); layout of anchors and outputs: face_detection_short_range.pbtxt of
MediaPipe 0.10.21.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import require
from edgeemo.faces.boxes import Face, as_square, distinct, in_picture, is_among
from edgeemo.images import ImageSpec, Pixels, checked, cut, normalise

FILE = Path(__file__).parent / "face_detection_short_range.tflite"
"""The network."""

SMALLEST = 40.0
"""Pixels: smaller faces are not looked for in a picture. In pictures with more than 2000 pixels on
the longer side, a fiftieth of it."""

Square = tuple[float, float, float]  # left, top, side in pixels

_SPEC = ImageSpec(size=128, channels=3, mean=(0.5,) * 3, std=(0.5,) * 3)
_GRIDS = ((16, 2), (8, 6))  # cells a side, anchors in each
_SHARE = 0.15  # of a square's side: the smallest face that is found surely
_RATIO = 2.5  # from the squares of one level to those of the next
_STEP = 0.75  # from tile to tile, of their side
FIRST, SURE = 0.5, 0.75  # scores at the first look and at the second
_ROOM = 2.5  # side of the second look's square, of the box's
# Median over FER2013 and the London set: its box is smaller and lies lower than a face is cut
# there. benchmarks/detection.py measures both.
GROW, LIFT = 1.13, 0.11


class BlazeFace:
    """A detector; see `edgeemo.faces.detectors.Detector`."""

    name = "blazeface"

    def __init__(self) -> None:
        """Load the network.

        Raises:
            MissingExtra: LiteRT is not installed (extra "vision").
        """
        litert = require("ai_edge_litert.interpreter", "vision")
        self._net = litert.Interpreter(model_path=str(FILE), num_threads=1)
        self._net.allocate_tensors()
        self._input = self._net.get_input_details()[0]["index"]
        by_width = {o["shape"][-1]: o["index"] for o in self._net.get_output_details()}
        self._numbers, self._scores = by_width[16], by_width[1]
        self._anchors = _anchors()
        self._turn = 0

    def find(self, image: Pixels) -> list[Face]:
        """All faces of some SMALLEST pixels or more, the surest first."""
        image = checked(image)
        height, width = image.shape[:2]
        smallest = max(SMALLEST, max(height, width) / 50)
        return self._look_twice(image, squares(width, height, smallest))

    def follow(self, image: Pixels, known: Sequence[Face]) -> list[Face]:
        """Faces of the next frame of a video: a few looks in place of many.

        The whole frame and its tiles take turns, so that a new face is found after some frames, a
        large one after two at most; known faces that this does not show are looked for where they
        were.
        """
        image = checked(image)
        height, width = image.shape[:2]
        whole, *tiles = squares(width, height, max(SMALLEST, max(height, width) / 50))
        self._turn += 1
        if tiles and self._turn % 2:
            tile = tiles[self._turn // 2 % len(tiles)]
            found = self._look_twice(image, [tile], known)
        else:
            found = self._look(image, whole, SURE)
        for face in known:
            if not is_among(face, found):
                found += self._look(image, _around(face), FIRST)
        return distinct(in_picture(found, image))

    def _look_twice(
        self, image: Pixels, where: Iterable[Square], known: Sequence[Face] = ()
    ) -> list[Face]:
        """Faces of several squares that are not known, each seen again in one of its own."""
        first = [face for square in where for face in self._look(image, square, FIRST)]
        found = []
        for face in distinct(in_picture(first, image)):
            if is_among(face, known):
                continue
            again = self._look(image, _around(face), SURE)
            found += [f for f in again if is_among(f, [face])]
        return distinct(in_picture(found, image))

    def _look(self, image: Pixels, square: Square, score: float) -> list[Face]:
        """Faces in one square."""
        left, top, side = square
        # Every second (third, ...) pixel is enough for the resize to average over.
        step = max(1, int(side / (2 * _SPEC.size)))
        box = (left / step, top / step, (left + side) / step, (top + side) / step)
        part = cut(image[::step, ::step], box, _SPEC)
        self._net.set_tensor(self._input, normalise(part[np.newaxis], _SPEC))
        self._net.invoke()
        logits = self._net.get_tensor(self._scores)[0, :, 0]
        likely = np.flatnonzero(logits > math.log(score / (1 - score)))
        boxes = _decode(self._net.get_tensor(self._numbers)[0, likely], self._anchors[likely])
        sure = 1 / (1 + np.exp(-logits[likely].astype(float)))
        found = [
            Face(as_square(tuple(b), GROW, LIFT), s)
            for b, s in zip((boxes * side).tolist(), sure.tolist(), strict=True)
            if b[0] < b[2] and b[1] < b[3]
        ]
        return [face.moved(left, top) for face in distinct(found)]


def squares(width: int, height: int, smallest: float) -> list[Square]:
    """Where to look: the whole picture, then tiles, the larger ones first.

    Args:
        width: of the picture, pixels.
        height: of the picture, pixels.
        smallest: side in pixels of the smallest face to be found.
    """
    whole = float(max(width, height))
    found = [((width - whole) / 2, (height - whole) / 2, whole)]
    ratio = whole * _SHARE / smallest
    levels = math.ceil(math.log(ratio, _RATIO)) if ratio > 1 else 0
    for level in range(1, levels + 1):
        side = whole / ratio ** (level / levels)
        tops = _starts(height, side)
        found += [(left, top, side) for top in tops for left in _starts(width, side)]
    return found


def _starts(length: int, side: float) -> list[float]:
    """Where tiles begin on one axis: evenly, at most _STEP of a side apart."""
    room = length - side
    if room <= 0:
        return [room / 2]
    gaps = math.ceil(room / (_STEP * side))
    return [room * i / gaps for i in range(gaps + 1)]


def _around(face: Face) -> Square:
    """A square with a face in its middle."""
    left, top, right, bottom = face.box
    side = _ROOM * face.side
    return (left + right - side) / 2, (top + bottom - side) / 2, side


def _anchors() -> NDArray[np.float32]:
    """Centres of all anchors, [896, 2], x and y in 0..1, in the order of the network's outputs."""
    parts = []
    for cells, each in _GRIDS:
        y, x = np.divmod(np.arange(cells * cells), cells)
        centres = (np.stack([x, y], axis=1) + 0.5) / cells
        parts.append(np.repeat(centres, each, axis=0))
    return np.concatenate(parts).astype(np.float32)


def _decode(numbers: NDArray[np.float32], anchors: NDArray[np.float32]) -> NDArray[np.float32]:
    """[n, 16] to boxes [n, 4] in shares of the square; the eyes, nose, mouth and ears are left."""
    centres = numbers[:, :2] / _SPEC.size + anchors
    half = numbers[:, 2:4] / (2 * _SPEC.size)
    return np.concatenate([centres - half, centres + half], axis=1)
