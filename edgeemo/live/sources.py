"""Which device or file is listened to and looked at, and what finds the faces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeemo.errors import BadInput, printable
from edgeemo.io.files import is_special
from edgeemo.live.workers import PictureSource, SoundSource
from edgeemo.sound.opening import STDIN

if TYPE_CHECKING:
    from edgeemo.faces import Faces

NONE = "none"
"""What stands for no device."""


@dataclass(frozen=True)
class Chosen:
    """What the user chose; None where nothing was said.

    Attributes:
        microphone: number or part of a name, or NONE.
        camera: number, or NONE.
        wav: a sound file in place of the microphone.
        video: a video file in place of the camera, and of the microphone if it has sound.
        fast: files are not kept to real speed.
        stdin: raw samples on standard input in place of the microphone.
    """

    microphone: str | None = None
    camera: str | None = None
    wav: Path | None = None
    video: Path | None = None
    fast: bool = False
    stdin: bool = False

    def __post_init__(self) -> None:
        """Check that the choices go together.

        Raises:
            BadInput: they do not; the message says which to leave out.
        """
        for file, device in (("wav", "microphone"), ("video", "camera")):
            if getattr(self, file) is not None and getattr(self, device) is not None:
                raise BadInput(f"--{file} stands in for the {device}; leave out --{device}")
        # Sound and pictures each open the file, and what is in a pipe can be read once.
        if self.video is not None and (str(self.video) == STDIN or is_special(self.video)):
            raise BadInput(
                f"--video {printable(self.video)}: a pipe or a device; save it as a file first, or "
                "name a camera with --camera"
            )
        if self.stdin and (self.microphone or self.wav):
            other = "--microphone" if self.microphone else "--wav"
            raise BadInput(f"--stdin stands in for the microphone; leave out {other}")
        devices = [d for d in (self.microphone, self.camera) if d not in (None, NONE)]
        if self.fast and (devices or self.stdin or not self.files):
            raise BadInput("--fast is for files; a device keeps to real speed")
        if self.microphone == NONE and not (self.looks or self.video):
            raise BadInput("nothing to listen to or look at; leave out --microphone none")

    @property
    def files(self) -> bool:
        """Whether files stand in for devices."""
        return self.wav is not None or self.video is not None

    @property
    def looks(self) -> bool:
        """Whether there are pictures: a camera is not used beside files or a pipe unless named."""
        if self.video is not None:
            return True
        other = self.files or self.stdin
        return self.camera != NONE if self.camera is not None else not other

    def sound(self) -> tuple[Callable[[], SoundSource], bool] | None:
        """What opens the sound, and whether there is nothing to do without it; or None."""
        from edgeemo.devices import microphone, sound_file

        wav, video, fast, device = self.wav, self.video, self.fast, self.microphone
        if device == NONE:
            return None
        if self.stdin:
            from edgeemo.devices.stdin import StandardInput

            return StandardInput, True
        if wav is not None:
            return lambda: sound_file(wav, fast=fast), True
        if video is not None and device is None:
            from edgeemo.live.video_sound import VideoSound

            return lambda: VideoSound(video, fast=fast), False
        return lambda: microphone(device), device is not None

    def pictures(self) -> tuple[Callable[[], PictureSource], bool] | None:
        """What opens the pictures, and whether there is nothing to do without them; or None."""
        from edgeemo.devices import camera, video_file

        video, fast = self.video, self.fast
        if not self.looks:
            return None
        if video is not None:
            return lambda: video_file(video, fast=fast), True
        number = _number(self.camera)
        return lambda: camera(number), self.camera is not None


def finder(model: str | None, backend: str | None) -> tuple[Faces, str]:
    """What finds faces and judges them.

    Args:
        model: name or path; None for the shipped model for faces.
        backend: what runs it.

    Returns:
        The finder and the model's name.

    Raises:
        BadInput: no such model, or one for speech.
        BadArtifact, MissingExtra: it cannot be loaded.
    """
    from edgeemo.artifacts.models import FACE_DEFAULT
    from edgeemo.faces import Faces
    from edgeemo.session import load

    session = load(model or FACE_DEFAULT, backend)
    return Faces(session), session.card.name


def _number(camera: str | None) -> int:
    if camera is not None and not camera.isdecimal():
        raise BadInput(f"--camera {camera}: expected a number from 0, or none")
    return int(camera or 0)
