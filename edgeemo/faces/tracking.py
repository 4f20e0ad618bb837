"""Which face of a frame is which face of the frame before, and where it is between two looks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from edgeemo.errors import BadInput, within
from edgeemo.faces.boxes import Face, overlap
from edgeemo.faces.detectors import Detector
from edgeemo.vision.images import Pixels

LOST_SECONDS = 0.6
"""A track that is not seen for longer, and not in the picture before, ends; the same face comes
back with a new number then. So it keeps its number however rarely pictures come."""

REACH = 1.0
"""How far a face may move from picture to picture, as a multiple of its side. One that moves
farther has a new number; one that takes another's place within it has that one's."""

_SAME = 0.3  # least overlap of a face with the one before
_SIZES = 1.6  # as much larger or smaller may a face be that does not overlap with the one before
_SMOOTH_SECONDS = 0.08  # time constant of the box: detectors jitter by some pixels


@dataclass(frozen=True)
class Track:
    """A face that is followed.

    Attributes:
        id: 1, 2, ... in the order of appearance; not used twice.
        face: where it is, smoothed.
        seen: seconds at which it was last found.
        found: where it was found then.
    """

    id: int
    face: Face
    seen: float
    found: Face


class Tracker:
    """Follows faces from frame to frame with a detector. One thread at a time."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.reset()

    def reset(self) -> None:
        """Forget all faces; numbers begin with 1 again."""
        self._tracks: list[Track] = []
        self._count = 0
        self._last = -math.inf  # seconds of the picture before

    @property
    def ids(self) -> frozenset[int]:
        """Numbers of the faces that are followed, seen in the last frame or not."""
        return frozenset(track.id for track in self._tracks)

    def push(self, seconds: float, image: Pixels) -> list[Track]:
        """The faces of a frame.

        Args:
            seconds: time of the frame, not before that of the one before.
            image: uint8 [height, width, 3], RGB.

        Returns:
            Those that were found in this frame, in the order of their numbers.

        Raises:
            BadInput: not such a picture, or a time that is not finite or before the last one.
        """
        if within("the picture's time in seconds", seconds, -1e12, 1e12) < self._last:
            raise BadInput(
                f"the picture's time is {seconds!r} s, the one before has {self._last:g} s; give "
                "pictures in the order of time, or reset() first"
            )
        old = [t for t in self._tracks if t.seen == self._last or seconds - t.seen <= LOST_SECONDS]
        # The first picture, one after which nobody is left, and those that come so rarely that
        # there is time, are looked at thoroughly.
        known = [t.found for t in old] if seconds - self._last <= LOST_SECONDS else []
        faces = self._detector.follow(image, known) if known else self._detector.find(image)
        self._last = seconds
        now = [self._track(face, track, seconds) for face, track in _pairs(faces, old)]
        ids = {t.id for t in now}
        self._tracks = sorted([*now, *(t for t in old if t.id not in ids)], key=lambda t: t.id)
        return [t for t in self._tracks if t.id in ids]

    def _track(self, face: Face, track: Track | None, seconds: float) -> Track:
        if track is None:
            self._count += 1
            return Track(self._count, face, seconds, face)
        share = 1 - math.exp(-(seconds - track.seen) / _SMOOTH_SECONDS)
        return Track(track.id, _between(track.face, face, share), seconds, face)


def _pairs(faces: list[Face], old: list[Track]) -> list[tuple[Face, Track | None]]:
    """Each face with the track that it continues: the nearest first, each taken once."""
    near = [
        (_nearness(face, track), i, j)
        for i, face in enumerate(faces)
        for j, track in enumerate(old)
    ]
    of: dict[int, int] = {}
    for nearness, i, j in sorted(near, reverse=True):
        if nearness > -REACH and i not in of and j not in of.values():
            of[i] = j
    return [(face, old[of[i]] if i in of else None) for i, face in enumerate(faces)]


def _nearness(face: Face, track: Track) -> float:
    """The overlap where it is enough, in 0..1; else less the distance in sides, in -inf..0."""
    shared = overlap(face, track.face)
    if shared > _SAME:
        return shared
    before = track.found
    larger, smaller = max(face.side, before.side), min(face.side, before.side)
    if larger > _SIZES * smaller:
        return -math.inf
    (x0, y0), (x1, y1) = _center(before), _center(face)
    return -math.hypot(x1 - x0, y1 - y0) / larger


def _center(face: Face) -> tuple[float, float]:
    left, top, right, bottom = face.box
    return (left + right) / 2, (top + bottom) / 2


def _between(old: Face, new: Face, share: float) -> Face:
    left, top, right, bottom = (a + share * (b - a) for a, b in zip(old.box, new.box, strict=True))
    return replace(new, box=(left, top, right, bottom))
