"""Which face of a frame is which face of the frame before, and where it is between two looks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from edgeemo.faces.boxes import Face, overlap
from edgeemo.faces.detectors import Detector
from edgeemo.vision.images import Pixels

LOST_SECONDS = 0.6
"""A track that is not seen for longer ends; the same face then comes back with a new number."""

_SAME = 0.3  # least overlap of a face with the one before
_SMOOTH_SECONDS = 0.08  # time constant of the box: detectors jitter by some pixels


@dataclass(frozen=True)
class Track:
    """A face that is followed.

    Attributes:
        id: 1, 2, ... in the order of appearance; not used twice.
        face: where it is, smoothed.
        seen: seconds at which it was last found.
    """

    id: int
    face: Face
    seen: float


class Tracker:
    """Follows faces from frame to frame with a detector. One thread at a time."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.reset()

    def reset(self) -> None:
        """Forget all faces; numbers begin with 1 again."""
        self._tracks: list[Track] = []
        self._count = 0

    def push(self, seconds: float, image: Pixels) -> list[Track]:
        """The faces of a frame.

        Args:
            seconds: time of the frame, not before that of the one before.
            image: uint8 [height, width, 3], RGB.

        Returns:
            Those that were found in this frame, in the order of their numbers.

        Raises:
            BadInput: not such a picture.
        """
        old = [t for t in self._tracks if seconds - t.seen <= LOST_SECONDS]
        # The first frame, and one after which nobody is left, are looked at as thoroughly as a
        # picture.
        known = [t.face for t in old]
        found = self._detector.follow(image, known) if known else self._detector.find(image)
        now = []
        for face, track in _pairs(found, old):
            if track is None:
                self._count += 1
                now.append(Track(self._count, face, seconds))
            else:
                share = 1 - math.exp(-(seconds - track.seen) / _SMOOTH_SECONDS)
                now.append(Track(track.id, _between(track.face, face, share), seconds))
        ids = {t.id for t in now}
        self._tracks = sorted([*now, *(t for t in old if t.id not in ids)], key=lambda t: t.id)
        return [t for t in self._tracks if t.id in ids]


def _pairs(found: list[Face], old: list[Track]) -> list[tuple[Face, Track | None]]:
    """Each face with the track that it continues: the best overlaps first, each taken once."""
    close = [
        (overlap(face, track.face), i, j)
        for i, face in enumerate(found)
        for j, track in enumerate(old)
    ]
    of: dict[int, int] = {}
    for share, i, j in sorted(close, reverse=True):
        if share > _SAME and i not in of and j not in of.values():
            of[i] = j
    return [(face, old[of[i]] if i in of else None) for i, face in enumerate(found)]


def _between(old: Face, new: Face, share: float) -> Face:
    left, top, right, bottom = (a + share * (b - a) for a, b in zip(old.box, new.box, strict=True))
    return replace(new, box=(left, top, right, bottom))
