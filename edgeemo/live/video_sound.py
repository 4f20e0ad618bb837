"""The sound of a video file, by the program ffmpeg where it is installed."""

from __future__ import annotations

from pathlib import Path

from edgeemo.audio import has_sound
from edgeemo.devices.microphone import SoundFile
from edgeemo.sound.ffmpeg import NoSound


class VideoSound(SoundFile):
    """A video file in a microphone's place: read as any sound file."""

    def __init__(self, path: Path, *, fast: bool) -> None:
        super().__init__(path, fast)
        self._video = path

    def __enter__(self) -> VideoSound:
        """Begin.

        Raises:
            NoSound: it has none.
        """
        if not has_sound(self._video):
            raise NoSound(f"{self._video.name} has no sound")
        super().__enter__()
        return self
