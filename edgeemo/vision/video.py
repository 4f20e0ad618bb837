"""Video files to frames with their times, through OpenCV; the sound in them is not read."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edgeemo.errors import BadInput, printable, require
from edgeemo.quiet import quiet
from edgeemo.sound.kinds import HEAD, UNKNOWN, kind_of
from edgeemo.sound.opening import open_binary, with_descriptor
from edgeemo.vision.images import LARGEST, Pixels
from edgeemo.vision.pictures import MOST_PIXELS

SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".3gp", ".3g2", ".ts"),
    *(".flv", ".wmv", ".asf"),
)
"""Endings of the files that a search through folders takes as video, in small letters."""

LONGEST = 4 * 3600.0
"""Seconds of video that are read at most."""

_MPEG4 = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_STARTS = (
    *(b"\x1a\x45\xdf\xa3", b"\0\0\1\xba", b"\0\0\1\xb3"),  # Matroska and WebM, MPEG-1 and -2
    *(b"FLV\1", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),  # Flash, Windows Media
)


def is_video(data: bytes) -> bool:
    """Whether a file that begins so is of a container that may hold video.

    MP4, QuickTime, 3GP, Matroska, WebM, AVI, MPEG-1/2 and its transport streams, Flash, Windows
    Media. Playlists are no video: they name other files and addresses, which the decoder would
    open.

    Args:
        data: first HEAD bytes.
    """
    if data[4:8] in _MPEG4:
        return kind_of(data).reader == "ffmpeg"  # HEIC and AVIF begin like MP4
    stream = len(data) > 188 and data[0] == data[188] == 0x47
    avi = data[:4] == b"RIFF" and data[8:12] == b"AVI "
    return stream or avi or data.startswith(_STARTS)


class NoPictures(BadInput):
    """A container in which no video track can be opened; it may hold sound."""


class Capture:
    """OpenCV's reader of a video file; what is no video is refused before a decoder sees it.

    The file is opened here, and OpenCV gets its descriptor: names may hold what it cannot take, and
    a name of digits and % would be a series of pictures to it.
    """

    def __init__(self, path: str | Path) -> None:
        """Open the file, or standard input for "-".

        Raises:
            BadInput: no such file, or not a video.
            NoPictures: a container without a video track, or a damaged one.
            MissingExtra: OpenCV is not installed (extra "vision").
        """
        name = printable(path)
        cv2 = require("cv2", "vision")
        with ExitStack() as stack:
            file = open_binary(path, name, stack, what="video")
            head = file.read(HEAD)
            if not is_video(head):
                kind = kind_of(head)
                what = "not a video" if kind is UNKNOWN else f"is {kind.name}, not a video"
                raise BadInput(
                    f"{name}: {what}; expected MP4, MOV, MKV, WebM, AVI, MPEG, FLV or WMV"
                )
            # A container may name further files; only those of this machine could ever be opened.
            os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "protocol_whitelist;file")
            os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # its thoughts on damaged frames
            opened = f"/dev/fd/{with_descriptor(file, stack).fileno()}"
            with quiet():
                self._capture: Any = cv2.VideoCapture(opened, cv2.CAP_FFMPEG)
            stack.callback(self._capture.release)
            if not self._capture.isOpened():
                raise NoPictures(
                    f"{name}: cannot be read as video; it holds no pictures or is damaged"
                )
            self._stack = stack.pop_all()

    def read(self) -> tuple[bool, Any]:
        """Whether there is a further frame, and the frame: uint8 [height, width, 3], BGR."""
        with quiet():
            there, frame = self._capture.read()
        return bool(there) and frame is not None, frame

    def get(self, what: int) -> float:
        """A property by OpenCV's number of it."""
        return float(self._capture.get(what))

    def release(self) -> None:
        """Close the file; more than once is allowed."""
        self._stack.close()


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
        self._name = printable(path)
        self.last: float | None = None
        self._capture = Capture(path)
        self._cv2 = require("cv2", "vision")
        try:
            self._check_header()
        except BadInput:
            self.close()
            raise

    def _check_header(self) -> None:
        cv2, get = self._cv2, self._capture.get
        self.width = int(get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(get(cv2.CAP_PROP_FRAME_HEIGHT))
        side, area = max(self.width, self.height), self.width * self.height
        if not 0 < area <= MOST_PIXELS or side > LARGEST:
            raise BadInput(
                f"{self._name}: frames of {self.width} x {self.height} pixels; "
                f"expected 1 to {LARGEST} a side"
            )
        rate = get(cv2.CAP_PROP_FPS)
        self.rate = rate if math.isfinite(rate) and 0.1 <= rate <= 1000 else 25.0
        count = get(cv2.CAP_PROP_FRAME_COUNT)
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
            if not there:
                return
            stamp = self._capture.get(self._cv2.CAP_PROP_POS_MSEC) / 1000
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
