"""BlazeFace, short range, on LiteRT: anchors, decoding and the search for small faces are here.

The network is MediaPipe's, Apache-2.0, and lies in the package edgeemo-teachers with the models of
faces, because it is a fifth of what edgeemo's wheel may have. It was made for 128 x 128 pixels, but
it is convolutions alone, so it takes any multiple of 16. One look at
the whole picture finds all faces of 17 of its pixels or more; coarser looks, which cost next to
nothing, find those that are too large for it. A find that is not certain, or coarse, is looked at
once more in the middle of a square of its own.

Source: V. Bazarevsky et al., "BlazeFace: sub-millisecond neural face detection on mobile GPUs",
2019 (arXiv 1907.05047); layout of anchors and outputs: face_detection_short_range.pbtxt of
MediaPipe 0.10.21.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts import teachers_package
from edgeemo.errors import require
from edgeemo.faces.boxes import Face, as_square, distinct, in_picture, is_among
from edgeemo.quiet import quiet
from edgeemo.vision.images import Pixels, validate_image

FILE = "detectors/face_detection_short_range.tflite"
"""The network, in the package edgeemo-teachers."""

SMALLEST = 40.0
"""Pixels: smaller faces are not looked for in a picture. In pictures with more than 3840 pixels on
the longer side, a 96th of it."""

_SIDE = 128  # the network's own pictures
_GRIDS = ((8, 2), (16, 6))  # pixels from cell to cell, anchors in each
_FACE = 17  # the network's pixels: the smallest face that is found
_LEAST = 32  # from here on the box of the first look is as good as one of the second
_OVERLAP = 96  # views of one scale share this; larger faces are for the next scale
_LARGEST = 512  # a view's longer side: a second one costs less than the memory
_RATIO = 5  # from one scale to the next
_ROOM = 2.5  # side of the second look's square, of the box's
_TURN = 8  # frames of a video from one look for small faces to the next
# Scores: worth a second look; good enough where a face was; at the second look; without one.
FIRST, KNOWN, SURE, CERTAIN = 0.2, 0.5, 0.75, 0.9
# Median over FER2013 and the London set: its box is smaller and lies lower than a face is cut
# there. benchmarks/detection.py measures both.
GROW, LIFT = 1.13, 0.11


class View(NamedTuple):
    """A part of a picture as the network sees it; what lies beyond the border repeats the border.

    Attributes:
        left: of the part, pixels of the picture.
        top: of the part, pixels of the picture.
        scale: pixels of the picture for one of the network.
        width: the network's pixels, a multiple of 16.
        height: the network's pixels, a multiple of 16.
    """

    left: float
    top: float
    scale: float
    width: int
    height: int


class BlazeFace:
    """A detector; see `edgeemo.faces.detectors.Detector`."""

    name = "blazeface"

    def __init__(self) -> None:
        """Load the network.

        Raises:
            MissingExtra: LiteRT or OpenCV is not installed (extra "vision").
        """
        self._cv2 = require("cv2", "vision")
        # A picture needs at most four sizes: three scales and the second look.
        self._network = lru_cache(maxsize=4)(_Network)
        self._network(_SIDE, _SIDE)
        self._turn = 0

    def find(self, image: Pixels) -> list[Face]:
        """All faces of some SMALLEST pixels or more, the surest first."""
        pyramid = self._pyramid(image)
        return self._detect_two_stage(pyramid, views(*pyramid[0].shape[1::-1]))

    def follow(self, image: Pixels, known: Sequence[Face]) -> list[Face]:
        """Faces of the next frame of a video, at a part of the cost.

        Known faces are looked for where they were, new ones that are large in each frame, and
        smaller ones in every eighth.

        Args:
            image: uint8 [height, width, 3], RGB.
            known: faces of the frame before.
        """
        pyramid = self._pyramid(image)
        large, *others = views(*pyramid[0].shape[1::-1])
        found = [new for face in known for new in self._detect_view(pyramid, _around(face), KNOWN)]
        new = self._detect_view(pyramid, large, SURE)
        if self._turn % _TURN == 0:
            view = others[self._turn // _TURN % len(others)]
            new += self._detect_two_stage(pyramid, [view], [*known, *new])
        self._turn += 1
        # Where both looks show a face, the box of the nearer one is better.
        return distinct(in_picture(found + [f for f in new if not is_among(f, found)], pyramid[0]))

    def _pyramid(self, image: Pixels) -> list[Pixels]:
        """A picture in colour, then half as large, a quarter, ...: its pixels are averaged once."""
        image = validate_image(image)
        if image.ndim == 2:
            image = self._cv2.cvtColor(image, self._cv2.COLOR_GRAY2RGB)
        found = [image]
        while min(image.shape[:2]) > 1:
            height, width = image.shape[0] // 2, image.shape[1] // 2
            even = image[: 2 * height, : 2 * width]  # so that a pixel is the mean of four
            image = self._cv2.resize(even, (width, height), interpolation=self._cv2.INTER_AREA)
            found.append(image)
        return found

    def _detect_two_stage(
        self, pyramid: list[Pixels], where: Iterable[View], known: Sequence[Face] = ()
    ) -> list[Face]:
        """Faces of several views that are not known; those not certain are looked at again."""
        certain: list[Face] = []
        unsure: list[Face] = []
        for view in where:
            for face in in_picture(self._detect_view(pyramid, view, FIRST), pyramid[0]):
                good = face.score > CERTAIN and face.side > _LEAST * view.scale
                (certain if good else unsure).append(face)
        found = [face for face in distinct(certain) if not is_among(face, known)]
        again = [f for f in distinct(unsure) if not is_among(f, [*known, *certain])]
        for face in again:
            near = self._detect_view(pyramid, _around(face), SURE)
            found += [f for f in near if is_among(f, [face])]
        return distinct(in_picture(found, pyramid[0]))

    def _detect_view(self, pyramid: list[Pixels], view: View, score: float) -> list[Face]:
        """Faces in one view."""
        # Of the pyramid the one with one to two pixels for each of the network.
        half = min(int(math.log2(max(1.0, view.scale))), len(pyramid) - 1)
        step = view.scale / 2**half
        # OpenCV counts from the middle of the first pixel.
        left, top = (start / 2**half + (step - 1) / 2 for start in (view.left, view.top))
        part = self._cv2.warpAffine(
            pyramid[half],
            np.array([[step, 0, left], [0, step, top]]),
            (view.width, view.height),
            flags=self._cv2.INTER_LINEAR | self._cv2.WARP_INVERSE_MAP,
            borderMode=self._cv2.BORDER_REPLICATE,
        )
        boxes, scores = self._network(view.width, view.height).run(part, score)
        found = [
            Face(as_square(tuple(b), GROW, LIFT), s)
            for b, s in zip((boxes * view.scale).tolist(), scores.tolist(), strict=True)
            if b[0] < b[2] and b[1] < b[3]
        ]
        return [face.moved(view.left, view.top) for face in distinct(found)]


class _Network:
    """The network for pictures of one size, multiples of 16."""

    def __init__(self, width: int, height: int) -> None:
        litert = require("ai_edge_litert.interpreter", "vision")
        file = str(teachers_package.need(FILE))
        with quiet():  # it says which of its parts do the work
            self._net = litert.Interpreter(model_path=file, num_threads=1)
        self._input = self._net.get_input_details()[0]["index"]
        self._net.resize_tensor_input(self._input, [1, height, width, 3])
        with quiet():
            self._net.allocate_tensors()
        by_width = {o["shape"][-1]: o["index"] for o in self._net.get_output_details()}
        self._numbers, self._scores = by_width[16], by_width[1]
        self._anchors = _anchors(width, height)

    def run(self, picture: Pixels, score: float) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Boxes [n, 4] in pixels and scores [n] of what scores more than `score`."""
        pixels = picture.astype(np.float32)
        pixels *= np.float32(1 / 127.5)
        pixels -= np.float32(1)  # -1..1
        self._net.set_tensor(self._input, pixels[np.newaxis])
        self._net.invoke()
        logits = self._net.get_tensor(self._scores)[0, :, 0]
        likely = np.flatnonzero(logits > math.log(score / (1 - score)))
        boxes = _decode(self._net.get_tensor(self._numbers)[0, likely], self._anchors[likely])
        return boxes, 1 / (1 + np.exp(-logits[likely].astype(float)))


def views(width: int, height: int) -> list[View]:
    """Where to look for the faces of a picture, the coarsest scale first.

    Args:
        width: of the picture, pixels.
        height: of the picture, pixels.
    """
    longer = max(width, height)
    # Small pictures are enlarged to what the network was made for.
    scale = min(max(SMALLEST, longer / 96) / _FACE, longer / _SIDE)
    found: list[View] = []
    while True:
        rows, columns = _spans(height / scale), _spans(width / scale)
        found[:0] = [
            View(left * scale, top * scale, scale, across, down)
            for top, down in rows
            for left, across in columns
        ]
        if longer / scale <= _OVERLAP:
            return found
        scale *= _RATIO


def _spans(length: float) -> list[tuple[float, int]]:
    """Begin and length of the views on one axis, the network's pixels."""
    count = max(1, math.ceil((length - _OVERLAP) / (_LARGEST - _OVERLAP)))
    # Rounded first: 272.0000001 is 272.
    each = 16 * math.ceil(round((length + (count - 1) * _OVERLAP) / count, 3) / 16)
    if count == 1:
        return [((length - each) / 2, each)]
    return [(i * (length - each) / (count - 1), each) for i in range(count)]


def _around(face: Face) -> View:
    """A square with a face in its middle."""
    left, top, right, bottom = face.box
    side = _ROOM * face.side
    return View((left + right - side) / 2, (top + bottom - side) / 2, side / _SIDE, _SIDE, _SIDE)


def _anchors(width: int, height: int) -> NDArray[np.float32]:
    """Centres of all anchors, [n, 2], x and y in pixels, in the order of the network's outputs."""
    parts = []
    for step, each in _GRIDS:
        columns = width // step
        y, x = np.divmod(np.arange(columns * (height // step)), columns)
        parts.append(np.repeat((np.stack([x, y], axis=1) + 0.5) * step, each, axis=0))
    return np.concatenate(parts).astype(np.float32)


def _decode(numbers: NDArray[np.float32], anchors: NDArray[np.float32]) -> NDArray[np.float32]:
    """[n, 16] to boxes [n, 4] in pixels; the eyes, nose, mouth and ears are left."""
    centers = numbers[:, :2] + anchors
    half = numbers[:, 2:4] / 2
    return np.concatenate([centers - half, centers + half], axis=1)
