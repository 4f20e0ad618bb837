"""The two threads of `edgeemo live`: a device, its model, and events for the engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeemo.live.state import Block, Picture
from edgeemo.speech.stream import LONGEST_GAP, Stream
from edgeemo.types import Emotion

if TYPE_CHECKING:
    from edgeemo.faces import Faces, Tracked

PICTURES_A_SECOND = 15.0
"""Faces are looked for in at most so many pictures a second; more would tell nothing new."""

# Another face must have so much more area: detectors' boxes vary by a few percent of their side.
_LOYALTY = 1.3
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
    path: Path | None
    overruns: int
    lost_seconds: float
    muted_seconds: float

    def __iter__(self) -> Iterator[NDArray[np.float32]]: ...

    def stop(self) -> None:
        """End the iteration; may be called from another thread."""


class PictureSource(AbstractContextManager["PictureSource"], Protocol):
    """A camera, or a file in its place."""

    name: str
    path: Path | None
    drops: int

    def __iter__(self) -> Iterator[tuple[float, NDArray[np.uint8]]]: ...

    def stop(self) -> None:
        """End the iteration; may be called from another thread."""


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

    Where the source lost sound time goes on without it.

    Args:
        source: entered; its blocks are at the stream's rate.
        stream: nothing has been pushed yet.
    """
    lost = source.lost_seconds
    for samples in source:
        arrived = time.perf_counter()
        missing, lost = source.lost_seconds - lost, source.lost_seconds
        if missing > LONGEST_GAP:
            stream.reset(stream.seconds + missing)
        elif missing > 0:
            yield from _estimates(stream.gap(missing), arrived)
        yield from _estimates(stream.push(samples), arrived)
        yield Event("voice", stream.seconds, arrived, Block(samples, stream.seconds))
    yield from _estimates(stream.flush(), time.perf_counter())


def _estimates(emotions: list[Emotion], arrived: float) -> Iterator[Event]:
    return (Event("voice", emotion.end, arrived, emotion) for emotion in emotions)


def face_events(source: PictureSource, faces: Faces) -> Iterator[Event]:
    """Pictures with their faces, at most PICTURES_A_SECOND, the one that counts first.

    Args:
        source: entered.
        faces: detector and model.
    """
    follower, main = faces.follower(), MainFace()
    following = -1.0
    for seconds, image in source:
        arrived = time.perf_counter()
        if seconds < following:
            continue
        following = seconds + _FASTER / PICTURES_A_SECOND
        found = main.push(follower.push(seconds, image))
        yield Event("face", seconds, arrived, Picture(image, seconds, found))


class MainFace:
    """Chooses the face that counts: the largest, and the same as long as it is nearly that."""

    def __init__(self) -> None:
        self._id: int | None = None

    def push(self, faces: list[Tracked]) -> tuple[Emotion, ...]:
        """Estimates of the faces of a picture, that of the chosen one first."""
        if not faces:
            return ()
        ordered = sorted(faces, key=self._size, reverse=True)
        self._id = ordered[0].id
        return tuple(face.emotion for face in ordered)

    def _size(self, face: Tracked) -> float:
        left, top, right, bottom = face.emotion.box or (0, 0, 0, 0)
        # Two faces of one size must not take turns.
        return (right - left) * (bottom - top) * (_LOYALTY if face.id == self._id else 1.0)
