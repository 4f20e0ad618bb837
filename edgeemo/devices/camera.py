"""Pictures from a camera, or from a video file in its place: the newest, never a growing queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import BadInput, DeviceLost, EdgeemoError, require
from edgeemo.quiet import quiet
from edgeemo.vision.video import Video

Image = NDArray[np.uint8]
"""RGB, [height, width, 3]."""

LOST_SECONDS = 2.0
"""A camera that gives nothing for so long is taken for unplugged."""


class _Video:
    """What camera and file share: a thread that reads, and one place for the newest picture.

    Attributes:
        name: what is looked at.
        path: of a file; None for a camera.
        drops: pictures that nobody took before the next one came.
    """

    def __init__(self, name: str, close: Callable[[], object]) -> None:
        self.name = name
        self.path: Path | None = None
        self.drops = 0
        self._close = close
        self._changed = threading.Condition()
        self._newest: tuple[float, Image] | None = None
        self._stopped = self._ended = False
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None

    def stop(self) -> None:
        """End the iteration, from any thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def __exit__(self, *exc: object) -> None:
        """Stop; the reading thread has ended when this returns."""
        self.stop()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._close()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._read, name="edgeemo-video", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for seconds, picture in self._pictures():
                with self._changed:
                    if self._stopped:
                        return
                    self.drops += self._newest is not None
                    self._newest = (seconds, picture)
                    self._changed.notify_all()
        except EdgeemoError as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _pictures(self) -> Iterator[tuple[float, Image]]:
        raise NotImplementedError

    def __iter__(self) -> Iterator[tuple[float, Image]]:
        """Seconds since the first picture, and the newest picture, RGB uint8.

        Raises:
            DeviceLost: the camera went away.
            BadInput: it was not entered with `with`, or a file cannot be read on.
        """
        if self._thread is None:
            raise BadInput(f"{self.name} is not open; use it in a with statement")
        while True:
            with self._changed:
                while self._newest is None and not self._ended and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                if self._newest is None:
                    if self._error is not None:
                        raise self._error
                    return
                taken, self._newest = self._newest, None
                self._changed.notify_all()
            yield taken

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}, {self.drops} drops)"


class Camera(_Video):
    """A camera; made by `camera`. Iterate over it for (seconds, picture)."""

    def __init__(self, name: str, capture: Any) -> None:
        super().__init__(name, capture.release)
        self._capture = capture

    def __enter__(self) -> Camera:
        self._start()
        return self

    def _pictures(self) -> Iterator[tuple[float, Image]]:
        begun = last = time.monotonic()
        first = True
        while not self._stopped:
            good, picture = self._capture.read()
            now = time.monotonic()
            if good:
                if first:
                    begun, first = now, False
                last = now
                # OpenCV's order is blue, green, red.
                yield now - begun, np.ascontiguousarray(picture[:, :, ::-1])
            elif now - last > LOST_SECONDS:
                raise DeviceLost(f"{self.name} gives no more pictures; is it still plugged in?")
            else:
                time.sleep(0.02)  # a read that fails returns at once


class VideoFile(_Video):
    """A video file in a camera's place; made by `video_file`."""

    def __init__(self, path: Path, video: Video, fast: bool) -> None:
        super().__init__(str(path), video.close)
        self.path = path
        self._video, self._fast = video, fast

    def __enter__(self) -> VideoFile:
        self._start()
        return self

    def _pictures(self) -> Iterator[tuple[float, Image]]:
        begun = time.monotonic()
        for seconds, picture in self._video.frames():
            with self._changed:
                if self._fast:
                    # Every picture is seen: wait until the last one was taken.
                    self._changed.wait_for(lambda: self._newest is None or self._stopped)
                else:
                    due = begun + seconds - time.monotonic()
                    self._changed.wait_for(lambda: self._stopped, max(0.0, due))
                if self._stopped:
                    return
            yield seconds, picture


def camera(index: int = 0) -> Camera:
    """A camera through OpenCV (extra "vision").

    Args:
        index: the system's number of the camera, from 0.

    Raises:
        BadInput: the number is not one.
        DeviceLost: there is no such camera, or another program has it.
        MissingExtra: OpenCV is not installed.
    """
    if isinstance(index, bool) or not isinstance(index, int) or index < 0:
        raise BadInput(f"camera is {index!r}; expected a number from 0")
    cv2: Any = require("cv2", "vision")
    with quiet():
        capture = cv2.VideoCapture(index)
    if not capture.isOpened():
        raise DeviceLost(
            f"camera {index} cannot be opened; is it plugged in, and no other program using it?"
        )
    return Camera(f"camera {index}", capture)


def video_file(path: str | Path, *, fast: bool = False) -> VideoFile:
    """A video file that is used like a camera.

    Args:
        path: what `edgeemo.vision.video.Video` reads (extra "vision").
        fast: every picture, as fast as they are taken; else at real speed, as from a camera.

    Raises:
        BadInput: no such file, or not a video.
        MissingExtra: OpenCV is not installed.
    """
    return VideoFile(Path(path), Video(path), fast)
