"""The two threads of `edgeemo live`: a device, its model, and events for the engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import EdgeemoError
from edgeemo.live.state import Block, Picture
from edgeemo.smoothing import Smoother, Smoothing
from edgeemo.stream import Stream
from edgeemo.types import Emotion

PICTURES_A_SECOND = 15.0
"""Faces are looked for in at most so many pictures a second; more would tell nothing new."""

RATE = 16_000
"""Of the sound that devices give, Hz."""

FACE_SMOOTHING_SECONDS = 0.5
"""Time constant of a face's smoothing; the voice's is its stream's."""

_FASTER = 0.95  # of a picture's time: clocks of cameras jitter


@dataclass(frozen=True)
class Event:
    """Something that a side found.

    Attributes:
        side: "voice" or "face".
        seconds: its time on the side's own clock.
        arrived: `time.perf_counter()` when the last sample or the picture came in.
        found: a piece of sound, a picture with faces, an estimate of the voice; or None: the
            side has ended.
        error: why it ended, if not because the source did.
    """

    side: str
    seconds: float
    arrived: float
    found: Block | Picture | Emotion | None
    error: Exception | None = None


class SoundSource(AbstractContextManager["SoundSource"], Protocol):
    """A microphone, or a file in its place."""

    name: str
    overruns: int
    muted_seconds: float

    def __iter__(self) -> Iterator[NDArray[np.float32]]: ...

    def stop(self) -> None:
        """End the iteration; may be called from another thread."""


class PictureSource(AbstractContextManager["PictureSource"], Protocol):
    """A camera, or a file in its place."""

    name: str
    drops: int

    def __iter__(self) -> Iterator[tuple[float, NDArray[np.uint8]]]: ...

    def stop(self) -> None:
        """End the iteration; may be called from another thread."""


class Finder(Protocol):
    """Faces in pictures; `edgeemo.faces.Faces` is one."""

    def find(self, image: NDArray[np.uint8]) -> list[Emotion]:
        """An estimate with a box for each face."""


class Worker(threading.Thread):
    """Runs one side. Its last event has `found` None."""

    def __init__(self, side: str, events: Iterator[Event], put: Callable[[Event], bool]) -> None:
        """Prepare; `start` starts.

        Args:
            side: "voice" or "face".
            events: all events but the last one; taken in this thread.
            put: takes an event; False if nobody wants any more.
        """
        super().__init__(name=f"edgeemo-{side}", daemon=True)
        self._side, self._events, self._put = side, events, put

    def run(self) -> None:
        """Put events until the source ends or nobody takes them any more."""
        error: Exception | None = None
        seconds = 0.0
        try:
            for event in self._events:
                seconds = event.seconds
                if not self._put(event):
                    break
        # Whatever it is, the engine must hear of it: a thread's own traceback would be lost
        # behind the view, and the view would wait for ever.
        except Exception as found:
            error = found
        self._put(Event(self._side, seconds, time.perf_counter(), None, error))


def voice_events(source: SoundSource, stream: Stream) -> Iterator[Event]:
    """Sound and the estimates of a stream, in the order of time.

    Where the source lost sound the stream begins anew, and its time goes on.
    """
    begun, lost = 0.0, source.overruns
    for samples in source:
        arrived = time.perf_counter()
        if source.overruns != lost:
            lost = source.overruns
            begun += stream.seconds
            stream.reset()
        found = stream.push(samples)
        seconds = begun + stream.seconds
        yield from _estimates(found, begun, arrived)
        yield Event("voice", seconds, arrived, Block(samples, seconds))
    yield from _estimates(stream.flush(), begun, time.perf_counter())


def _estimates(found: list[Emotion], begun: float, arrived: float) -> Iterator[Event]:
    """Estimates of a stream whose first sample came at `begun`."""
    for emotion in found:
        moved = replace(emotion, start=begun + emotion.start, end=begun + emotion.end)
        yield Event("voice", moved.end, arrived, moved)


def face_events(source: PictureSource, finder: Finder) -> Iterator[Event]:
    """Pictures with their faces, at most PICTURES_A_SECOND, the largest face first and smoothed."""
    smooth = MainFace()
    following = -1.0
    for seconds, image in source:
        arrived = time.perf_counter()
        if seconds < following:
            continue
        following = seconds + _FASTER / PICTURES_A_SECOND
        found = [replace(face, start=seconds, end=seconds) for face in finder.find(image)]
        faces = smooth.push(sorted(found, key=_area, reverse=True))
        yield Event("face", seconds, arrived, Picture(image, seconds, faces))


class MainFace:
    """Smooths the largest face for as long as it stays in its place."""

    def __init__(self) -> None:
        self._smoother = Smoother(Smoothing(seconds=FACE_SMOOTHING_SECONDS))
        self._last: Emotion | None = None

    def push(self, faces: list[Emotion]) -> tuple[Emotion, ...]:
        """The same faces, the first one smoothed if it is where the last first one was."""
        if not faces:
            return ()
        main, *others = faces
        if self._last is not None and not _overlap(self._last, main):
            self._smoother.reset()
        self._last = main
        return (self._smoother.push(main), *others)


def _area(face: Emotion) -> int:
    if face.box is None:
        return 0
    left, top, right, bottom = face.box
    return (right - left) * (bottom - top)


def _overlap(one: Emotion, other: Emotion) -> bool:
    """Whether the middle of one face lies in the box of the other."""
    if one.box is None or other.box is None:
        return False
    left, top, right, bottom = one.box
    x, y = (other.box[0] + other.box[2]) / 2, (other.box[1] + other.box[3]) / 2
    return left <= x <= right and top <= y <= bottom
