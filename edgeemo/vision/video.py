"""Video files to frames with their times, through OpenCV; the sound in them is not read."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgeemo.errors import BadInput, require
from edgeemo.vision.images import LARGEST, Pixels
from edgeemo.vision.pictures import MOST_PIXELS

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg")
"""Endings of the files that a search through folders takes as video, in small letters."""

LONGEST = 4 * 3600.0
"""Seconds of video that are read at most."""

_SAMPLE = 12  # bytes that tell the container


def is_video(data: bytes) -> bool:
    """Whether a file that begins so is MP4, QuickTime, Matroska, WebM, AVI or MPEG-1/2.

    Playlists are no video: they name other files and addresses, which the decoder would open.
    """
    box = data[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
    avi = data[:4] == b"RIFF" and data[8:12] == b"AVI "
    return box or avi or data.startswith((b"\x1a\x45\xdf\xa3", b"\0\0\1\xba", b"\0\0\1\xb3"))


class Video:
    """A video file, open for reading; a context manager.

    Attributes:
        width, height: of a frame, in pixels.
        rate: frames a second, as the file says.
        seconds: how long the file says it is; 0 if it does not say.
        last: time of the last frame that was given, in seconds since the first; None before.
    """

    def __init__(self, path: str | Path) -> None:
        """Open it; nothing is decoded yet.

        Raises:
            BadInput: no such file, not a video, or frames that are too large.
            MissingExtra: OpenCV is not installed (extra "vision").
        """
        self._name = str(path)
        self.last: float | None = None
        _check_container(Path(path), self._name)
        cv2 = require("cv2", "vision")
        # A container may name further files; only those of this machine could ever be opened.
        os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "protocol_whitelist;file")
        self._cv2 = cv2
        self._capture: Any = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        try:
            self._check_header()
        except BadInput:
            self.close()
            raise

    def _check_header(self) -> None:
        cv2, get = self._cv2, self._capture.get
        if not self._capture.isOpened():
            raise BadInput(f"{self._name}: cannot be read as video; the file is damaged")
        self.width = int(get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(get(cv2.CAP_PROP_FRAME_HEIGHT))
        side, area = max(self.width, self.height), self.width * self.height
        if not 0 < area <= MOST_PIXELS or side > LARGEST:
            raise BadInput(
                f"{self._name}: frames of {self.width} x {self.height} pixels; "
                f"expected 1 to {LARGEST} a side"
            )
        rate = float(get(cv2.CAP_PROP_FPS))
        self.rate = rate if math.isfinite(rate) and 0.1 <= rate <= 1000 else 25.0
        count = float(get(cv2.CAP_PROP_FRAME_COUNT))
        self.seconds = count / self.rate if math.isfinite(count) and count > 0 else 0.0

    def frames(self) -> Iterator[tuple[float, Pixels]]:
        """Seconds since the first frame, and the frame: uint8 [height, width, 3], RGB.

        Ends where the file ends or cannot be decoded any more. Times never fall.

        Raises:
            BadInput: more than LONGEST seconds, or a frame of another size than the first.
        """
        first, last, number, shape = None, 0.0, 0, None
        while True:
            there, frame = self._capture.read()
            if not there or frame is None:
                return
            stamp = float(self._capture.get(self._cv2.CAP_PROP_POS_MSEC)) / 1000
            first = stamp if first is None else first
            # Some containers have no times: then the rate counts.
            seconds = max(last, stamp - first if stamp > first else number / self.rate)
            if seconds > LONGEST:
                raise BadInput(f"{self._name}: over {LONGEST:g} s of video; cut it into pieces")
            if shape not in (None, frame.shape):
                raise BadInput(f"{self._name}: the size of its frames changes at {seconds:.2f} s")
            last, number, shape = seconds, number + 1, frame.shape
            self.last = seconds
            yield seconds, self._cv2.cvtColor(frame, self._cv2.COLOR_BGR2RGB)

    def close(self) -> None:
        """Let go of the file; closing twice is allowed."""
        self._capture.release()

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _check_container(path: Path, name: str) -> None:
    try:
        if not path.is_file():
            raise BadInput(f"{name}: no such file; give the path of a video")
        with path.open("rb") as file:
            head = file.read(_SAMPLE)
    except OSError as error:
        raise BadInput(f"{name}: cannot be read ({error.strerror})") from None
    if not is_video(head):
        raise BadInput(f"{name}: not a video; expected MP4, MOV, MKV, WebM, AVI or MPEG")
