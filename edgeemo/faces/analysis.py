"""Pictures and video in, an emotion for each face out."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from edgeemo.errors import BadInput
from edgeemo.faces.boxes import Face
from edgeemo.faces.detectors import DEFAULT, Detector, Whole, open_detector
from edgeemo.faces.tracking import Tracker
from edgeemo.session import Session
from edgeemo.speech.smoothing import Smoother, Smoothing
from edgeemo.types import Emotion
from edgeemo.vision.images import Pixels

SMOOTHING = Smoothing(seconds=0.1, margin=0.1)
"""How the estimates of a face that is followed are averaged, unless told otherwise. A change of the
face is shown a tenth of a second late; `benchmarks/face_tracks.py` measures what that spares."""


@dataclass(frozen=True)
class Tracked:
    """A face in a frame of a video.

    Attributes:
        id: the same for the same face in further frames; 1, 2, ... in the order of appearance.
        emotion: its estimate, averaged over its frames so far; `start` and `end` are the time of
            the frame.
    """

    id: int
    emotion: Emotion


class Faces:
    """A model of faces and a detector. Threads that use one at once wait for each other.

        faces = Faces(edgeemo.load("mobilenetv1-face"))
        for emotion in faces.find(read_picture("photo.jpg")):
            print(emotion.box, emotion.expression)

    Attributes:
        session: the model.
        detector: what finds the faces.
    """

    def __init__(self, session: Session, detector: str | Detector = DEFAULT) -> None:
        """Take a model and a detector, or the name of one.

        Raises:
            BadInput: not a model of faces, or no detector of that name.
            MissingExtra: the detector's package is not installed.
        """
        if session.card.task != "face":
            raise BadInput(f"{session.card.name} is a model of {session.card.task}, not of faces")
        self.session = session
        self.detector = open_detector(detector) if isinstance(detector, str) else detector
        self._lock = threading.RLock()

    def find(self, image: Pixels) -> list[Emotion]:
        """An estimate for each face of a picture, with its box, the surest face first.

        Args:
            image: uint8 [height, width, 3], RGB.

        Raises:
            BadInput: not such a picture.
        """
        with self._lock:
            return [self.estimate(image, face) for face in self.detector.find(image)]

    def track(
        self, frames: Iterable[tuple[float, Pixels]]
    ) -> Iterator[tuple[float, list[Tracked]]]:
        """The faces of each frame of a video.

        Args:
            frames: seconds and picture, in the order of time; `Video.frames` and a camera give
                them.

        Yields:
            Seconds and the faces that were found in that frame.

        Raises:
            BadInput: as `TrackingSession.push`.
        """
        follower = self.follower()
        for seconds, image in frames:
            yield seconds, follower.push(seconds, image)

    def follower(self, smoothing: Smoothing | None = SMOOTHING) -> TrackingSession:
        """For frames that come one by one.

        Args:
            smoothing: how each face's estimates are averaged; None gives those of single frames.
        """
        return TrackingSession(self, smoothing)

    def estimate(self, image: Pixels, face: Face) -> Emotion:
        """The estimate for one face that was found.

        Args:
            image: uint8 [height, width, 3], RGB.
            face: where it is.

        Raises:
            BadInput: not such a picture, or the box lies outside of it.
        """
        # A picture that is a face gets no margin; box=None says so.
        box = None if isinstance(self.detector, Whole) else face.box
        with self._lock:
            emotion = self.session.predict(image, box=box)
        left, top, right, bottom = (round(v) for v in face.box)
        return replace(emotion, box=(left, top, right, bottom))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other threads from the model and the detector for a while."""
        with self._lock:
            yield


class TrackingSession:
    """Keeps each face's number, and a mean of its estimates, from frame to frame.

    Made by `Faces.follower`.

    One thread at a time; a second one that comes in between gets BadInput.
    """

    def __init__(self, faces: Faces, smoothing: Smoothing | None = SMOOTHING) -> None:
        self._faces = faces
        self._smoothing = smoothing
        self._smoothers: dict[int, Smoother] = {}
        self._tracker = Tracker(faces.detector)
        self._lock = threading.Lock()

    def push(self, seconds: float, image: Pixels) -> list[Tracked]:
        """The faces of the next frame.

        Args:
            seconds: its time, finite and not before that of the frame before.
            image: uint8 [height, width, 3], RGB.

        Raises:
            BadInput: not such a picture or time, or another thread is inside.
        """
        if not self._lock.acquire(blocking=False):
            raise BadInput("the faces are in use by another thread; give each its own follower()")
        try:
            with self._faces.alone():
                tracks = self._tracker.push(seconds, image)
                emotions = [self._faces.estimate(image, track.face) for track in tracks]
        finally:
            self._lock.release()
        found = [
            Tracked(track.id, replace(emotion, start=seconds, end=seconds))
            for track, emotion in zip(tracks, emotions, strict=True)
        ]
        if self._smoothing is None:
            return found
        self._smoothers = {
            id: self._smoothers.get(id) or Smoother(self._smoothing) for id in self._tracker.ids
        }
        return [replace(f, emotion=self._smoothers[f.id].push(f.emotion)) for f in found]

    def reset(self) -> None:
        """Forget all faces."""
        self._tracker.reset()
        self._smoothers.clear()
