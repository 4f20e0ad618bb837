"""Faces that were found, and what their boxes have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from edgeemo.vision.images import Pixels

OVERLAP = 0.3
"""Two boxes that share more than this (intersection over union) are taken for one face."""

_INSIDE = 0.7  # share of the smaller box: a part of a face is sometimes taken for a small face


@dataclass(frozen=True)
class Face:
    """A face that was found.

    Attributes:
        box: left, top, right, bottom in pixels, forehead to chin and square, as pictures of
            FER2013 are cut; it may reach over the border of the picture.
        score: how sure the detector is, 0..1.
    """

    box: tuple[float, float, float, float]
    score: float

    @property
    def side(self) -> float:
        """The longer side in pixels."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)

    def moved(self, left: float, top: float) -> Face:
        """The same face in a picture whose corner lies elsewhere.

        Args:
            left: pixels that are added in front of each row.
            top: rows that are added above.
        """
        x0, y0, x1, y1 = self.box
        return replace(self, box=(x0 + left, y0 + top, x1 + left, y1 + top))


def as_square(
    box: tuple[float, ...], grow: float, lift: float
) -> tuple[float, float, float, float]:
    """A square around a box.

    Args:
        box: left, top, right, bottom.
        grow: its side, as a multiple of the box's longer side.
        lift: how far it is moved up, as a share of the box's longer side.
    """
    left, top, right, bottom = box
    side = max(right - left, bottom - top)
    x, y, half = (left + right) / 2, (top + bottom) / 2 - lift * side, grow * side / 2
    return x - half, y - half, x + half, y + half


def overlap(a: Face, b: Face) -> float:
    """Intersection over union of two boxes, 0..1.

    Args:
        a: one face.
        b: another.
    """
    shared = _shared(a, b)
    return shared / (_area(a) + _area(b) - shared)


def distinct(faces: Iterable[Face]) -> list[Face]:
    """The best of each group of boxes that show one face, the best first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda f: -f.score):
        if not is_among(face, kept):
            kept.append(face)
    return kept


def is_among(face: Face, others: Iterable[Face]) -> bool:
    """Whether one of the boxes shows the same face.

    Args:
        face: whose.
        others: boxes to compare with.
    """
    return any(_same(face, other) for other in others)


def in_picture(faces: list[Face], image: Pixels) -> list[Face]:
    """Those whose center lies in the picture: beyond it there is only what was filled in.

    Args:
        faces: that were found.
        image: the picture.
    """
    height, width = map(int, image.shape[:2])

    def inside(face: Face) -> bool:
        left, top, right, bottom = face.box
        return 0 <= left + right < 2 * width and 0 <= top + bottom < 2 * height

    return [face for face in faces if inside(face)]


def _same(a: Face, b: Face) -> bool:
    return overlap(a, b) > OVERLAP or _shared(a, b) > _INSIDE * min(_area(a), _area(b))


def _shared(a: Face, b: Face) -> float:
    wide = min(a.box[2], b.box[2]) - max(a.box[0], b.box[0])
    high = min(a.box[3], b.box[3]) - max(a.box[1], b.box[1])
    return wide * high if wide > 0 and high > 0 else 0.0


def _area(face: Face) -> float:
    return (face.box[2] - face.box[0]) * (face.box[3] - face.box[1])
