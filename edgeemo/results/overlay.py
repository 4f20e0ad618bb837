"""A video with its faces, and a timeline below, as another video."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import BadInput, printable
from edgeemo.faces.analysis import Tracked
from edgeemo.io.files import replacing
from edgeemo.results.cues import cues_of
from edgeemo.results.drawing import Box, Drawing
from edgeemo.results.writers import check_new
from edgeemo.sound.ffmpeg import CONTAINERS, ffmpeg
from edgeemo.vision.video import Video

SUFFIX = ".mp4"
"""Of what is written."""

FASTEST = 60.0
"""Frames a second that are written at most; containers without a rate promise up to 1000."""

Frame = NDArray[np.uint8]


class Overlay(AbstractContextManager["Overlay"]):
    """Takes what is found in one video; on leaving reads it once more, and writes the other one."""

    def __init__(self, path: Path, video: Path) -> None:
        """Choose the files.

        Args:
            path: to be made, with the ending SUFFIX.
            video: to be read.

        Raises:
            BadInput: another ending, a file that is there already, a video that is absent or
                no file (it is read twice), or ffmpeg is missing.
        """
        if path.suffix.lower() != SUFFIX:
            raise BadInput(f"{printable(path)}: unknown ending of a video; expected {SUFFIX}")
        check_new([path])
        if not video.exists():
            raise BadInput(f"{printable(video)}: no such file; give the path of a video file")
        if not video.is_file():
            raise BadInput(f"{printable(video)}: an overlay reads a video twice; give a file")
        if ffmpeg() is None:
            raise BadInput("an overlay needs ffmpeg; install it from your system's packages")
        self._path, self._video = path, video
        self._rows: list[Mapping[str, Any]] = []
        self._faces: list[tuple[float, dict[int, Box]]] = []

    def see(self, seconds: float, faces: list[Tracked]) -> None:
        """Take the faces of a frame.

        Args:
            seconds: time of the frame.
            faces: with their boxes.
        """
        boxes = {face.id: box for face in faces if (box := face.emotion.box) is not None}
        self._faces.append((seconds, boxes))

    def write(self, row: Mapping[str, Any]) -> None:
        """Take a row as `edgeemo predict --json` prints it."""
        self._rows.append(row)

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        """Draw and encode, unless an error or Ctrl-C ended the work, or nothing was found.

        Raises:
            BadInput: ffmpeg cannot write the video.
        """
        cues = cues_of(self._rows)
        if kind is not None or not cues:
            return
        with Video(self._video) as video:
            seconds = max(video.seconds, cues[-1].end / 1000, *(at for at, _ in self._faces[-1:]))
            drawing = Drawing(cues, video.width, video.height, seconds)
            rate = min(video.rate, FASTEST)
            frames = paced(self._drawn(video, drawing), rate)
            with replacing(self._path) as temporary:
                encode(frames, (drawing.width, drawing.height), rate, self._video, temporary)

    def _drawn(self, video: Video, drawing: Drawing) -> Iterator[tuple[float, Frame]]:
        known = dict(self._faces)
        for seconds, image in video.frames():
            yield seconds, drawing.frame(image, seconds, known.get(seconds, {}))


def paced(frames: Iterable[tuple[float, Frame]], rate: float) -> Iterator[Frame]:
    """Frames at a steady rate: one that stays longer comes again, one that is too fast does not.

    Args:
        frames: seconds since the first one, in order, and the frame.
        rate: frames a second.
    """
    given, last = 0, None
    for seconds, frame in frames:
        due = round(seconds * rate)
        while last is not None and given < due:
            given += 1
            yield last
        if given <= due:
            given += 1
            yield frame
        last = frame


def encode(
    frames: Iterator[Frame], size: tuple[int, int], rate: float, sound: Path, path: Path
) -> None:
    """Write frames, and the first sound track of another file, by ffmpeg.

    Args:
        frames: uint8 [height, width, 3], RGB.
        size: width and height, in pixels, even.
        rate: frames a second.
        sound: the file whose sound is taken, if it has one.
        path: to be written or replaced.

    Raises:
        BadInput: ffmpeg gives up; the message has its reason.
    """
    with ExitStack() as stack:
        file = stack.enter_context(sound.open("rb"))
        complaints = stack.enter_context(tempfile.TemporaryFile())
        process = subprocess.Popen(
            _command(size, rate, file.fileno(), path),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            pass_fds=[file.fileno()],
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        assert process.stdin is not None
        _feed(frames, process.stdin)
        if process.wait():
            raise BadInput(f"ffmpeg cannot write the overlay ({_reason(complaints)})")


def _command(size: tuple[int, int], rate: float, sound: int, path: Path) -> list[str]:
    program = ffmpeg()
    assert program is not None
    command = [program, "-hide_banner", "-nostats", "-loglevel", "error", "-y"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}"]
    command += ["-r", f"{rate:.6f}", "-i", "pipe:0"]
    # As the decoder of sound: it may open that one file, and no playlist in it.
    command += ["-protocol_whitelist", "file,pipe", "-format_whitelist", CONTAINERS]
    command += ["-i", f"file:/dev/fd/{sound}", "-map", "0:v", "-map", "1:a:0?"]
    command += ["-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart", "-map_metadata"]
    return [*command, "-1", "-f", "mp4", f"file:{os.fspath(path)}"]


def _feed(frames: Iterator[Frame], pipe: IO[bytes]) -> None:
    # Where it has given up, it says why.
    with suppress(BrokenPipeError), pipe:
        for frame in frames:
            pipe.write(frame.tobytes())


def _reason(complaints: IO[bytes]) -> str:
    complaints.seek(0)
    lines = complaints.read(1 << 16).decode(errors="replace").splitlines()
    return printable(lines[-1], 120) if lines else "no reason given"
