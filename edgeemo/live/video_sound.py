"""The sound of a video file, by the program ffmpeg where it is installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

from edgeemo.devices.microphone import SoundFile
from edgeemo.errors import BadInput, printable
from edgeemo.types import SAMPLE_RATE
from edgeemo.vision.video import is_video


class NoSound(BadInput):
    """A film without sound: nothing is wrong with it."""


class VideoSound(SoundFile):
    """A video file in a microphone's place: its sound is taken out before it starts."""

    def __init__(self, path: Path, *, fast: bool) -> None:
        super().__init__(path, fast)
        self._video = path  # `_path` becomes that of the sound
        self._stack = ExitStack()

    def __enter__(self) -> VideoSound:
        """Take the sound out, into a file that is gone at the end.

        Raises:
            NoSound: it has none.
            BadInput: ffmpeg is not there, or cannot read it.
        """
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="edgeemo-")))
        self._path = folder / "sound.wav"
        try:
            extract(self._video, self._path)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self._stack.close()


def ffmpeg() -> str | None:
    """Where ffmpeg is, or None."""
    return shutil.which("ffmpeg")


def extract(video: Path, wav: Path) -> None:
    """Write the sound of a video as a WAV file, mono, 16 kHz.

    Args:
        video: the file; ffmpeg may open nothing but it.
        wav: where to write.

    Raises:
        NoSound: the file has no sound.
        BadInput: ffmpeg is not there, or cannot read the file.
    """
    program = ffmpeg()
    if program is None:
        raise BadInput(f"{video}: its sound needs ffmpeg; install it from your system's packages")
    with video.open("rb") as file:
        # Playlists name further files, and ffmpeg would open them.
        if not is_video(file.read(12)):
            raise BadInput(f"{video}: is no video of a known kind")
    command = [
        program,
        "-nostdin",
        "-loglevel",
        "error",
        # "file:" also keeps a name that begins with - or looks like an address a name.
        "-protocol_whitelist",
        "file",
        "-i",
        f"file:{video}",
        "-map",
        "0:a:0",
        "-ac",
        "1",
        "-ar",
        str(SAMPLE_RATE),
        "-f",
        "wav",
        f"file:{wav}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        if "matches no streams" in done.stderr:
            raise NoSound(f"{video.name} has no sound")
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise BadInput(f"{video}: no sound can be read from it ({printable(reason[0])})")
