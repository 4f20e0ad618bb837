"""Sound from a microphone, or from a file in its place, as blocks of float32 at 16 kHz."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.audio import read_blocks
from edgeemo.devices._portaudio import Capture, Input, Library, open_library
from edgeemo.errors import BadInput, DeviceLost, require
from edgeemo.io.files import is_special
from edgeemo.sound.opening import STDIN
from edgeemo.types import SAMPLE_RATE

RATE = SAMPLE_RATE
"""Sample rate of all blocks, Hz."""

BLOCK_SECONDS = 0.05
"""Sound in a block; so much later than its first sample it can be heard of."""

HELD_SECONDS = 10.0
"""Sound that waits for a slow reader; what comes on top is lost, the oldest first, and counted."""

LOST_SECONDS = 2.0
"""A device that gives nothing for so long is taken for unplugged."""


class Microphone:
    """A microphone; made by `microphone`. Iterate over it for blocks of sound.

    Attributes:
        name: what the system calls the device.
        path: None, as it is no file.
        rate: the device's own sample rate in Hz; blocks are at RATE all the same.
        overruns: times that sound was lost, because the system or the reader was too slow.
        lost_seconds: how much sound that was, as far as the clock tells; what has been added since
            the last block is in front of the next one: give it to `Stream.gap`.
        repaired: samples that were not finite and became 0.
        muted_seconds: sound at the end of what was heard that is exactly 0. A live microphone
            has noise; some seconds of nothing mean that it is muted.
    """

    def __init__(self, library: Library, device: Input) -> None:
        self.name, self.rate = device.name, device.rate
        self.path: Path | None = None
        self.overruns = self.repaired = 0
        self.lost_seconds = self.muted_seconds = 0.0
        self._taken_at: float | None = None  # when the last block came
        self._library, self._device = library, device
        self._capture: Capture | None = None
        self._resample: Any = None
        self._waiting: deque[NDArray[np.float32]] = deque()
        self._changed = threading.Condition()
        self._stopped = False

    def __enter__(self) -> Microphone:
        """Begin to hear.

        Raises:
            DeviceLost: the device is busy, gone, or refuses.
            MissingExtra: its rate is not RATE and soxr is not installed.
        """
        if self.rate != RATE:
            soxr = require("soxr", "audio")
            self._resample = soxr.ResampleStream(self.rate, RATE, 1, dtype="float32", quality="HQ")
        frames = round(BLOCK_SECONDS * self.rate)
        try:
            try:
                self._capture = self._library.open(self._device, 1, frames, self._take)
            except DeviceLost:
                # Some devices give all their channels or nothing.
                if self._device.channels == 1:
                    raise
                channels = self._device.channels
                self._capture = self._library.open(self._device, channels, frames, self._take)
        except DeviceLost:
            self._library.end()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop hearing; the device's thread has ended when this returns."""
        self.stop()
        if self._capture is not None:
            self._capture.close()
            self._capture = None
            self._library.end()

    def stop(self) -> None:
        """End the iteration, from any thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Blocks, [n] float32 at RATE, finite, as they come; until `stop`.

        Raises:
            DeviceLost: the device went away.
            BadInput: the microphone was not entered with `with`.
        """
        if self._capture is None:
            raise BadInput("the microphone is not open; write: with edgeemo.microphone() as sound:")
        while True:
            block = self._next()
            if block is None:
                return
            block = self._checked(block)
            if self._resample is not None:
                block = self._resample.resample_chunk(block)
            if len(block):
                # Only now: a resampled block overshoots where the sound was clipped.
                yield np.clip(block, -1, 1)

    def _next(self) -> NDArray[np.float32] | None:
        """The oldest block that waits; None after a stop."""
        waited = 0.0
        with self._changed:
            while not self._stopped:
                if self._waiting:
                    return self._waiting.popleft()
                if not self._changed.wait(0.1):
                    waited += 0.1
                    lost = self._capture is not None and not self._capture.active()
                    if lost or waited >= LOST_SECONDS:
                        raise DeviceLost(
                            f"microphone {self.name} gives no more sound; is it still plugged in?"
                        )
        return None

    def _take(self, block: NDArray[np.float32], overflow: bool) -> None:
        """In the device's thread: keep a copy, never wait."""
        mono = block.mean(axis=1, dtype=np.float32) if block.shape[1] > 1 else block[:, 0].copy()
        now, before = time.monotonic(), self._taken_at
        self._taken_at = now
        with self._changed:
            if overflow:
                self.overruns += 1
                elapsed = 0.0 if before is None else now - before
                self.lost_seconds += max(0.0, elapsed - len(mono) / self.rate)
            self._waiting.append(mono)
            if len(self._waiting) > HELD_SECONDS / BLOCK_SECONDS:
                self.lost_seconds += len(self._waiting.popleft()) / self.rate
                self.overruns += 1
            self._changed.notify()

    def _checked(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        bad = ~np.isfinite(block)
        if bad.any():
            self.repaired += int(bad.sum())
            block = np.where(bad, np.float32(0), block)
        self.muted_seconds = 0.0 if block.any() else self.muted_seconds + len(block) / self.rate
        return block

    def __repr__(self) -> str:
        return f"Microphone({self.name}, {self.rate} Hz, {self.overruns} overruns)"


def microphone(device: int | str | None = None) -> Microphone:
    """A microphone through PyAudio (extra "pyaudio") or sounddevice (extra "live").

    Args:
        device: its number; a part of its name, in which case only one may have it; or None for
            the one that the system prefers.

    Raises:
        BadInput: no such device, or more than one; the message lists them.
        DeviceLost: there is no microphone at all.
        MissingExtra: neither package is installed.
    """
    library = open_library()
    try:
        return Microphone(library, _choose(library, device))
    except (BadInput, DeviceLost):
        library.end()
        raise


def _choose(library: Library, device: int | str | None) -> Input:
    inputs = library.inputs()
    if not inputs:
        raise DeviceLost("there is no microphone; plug one in, or give a file with --wav")
    names = "; ".join(f"{one.index}: {one.name}" for one in inputs)
    if device is None:
        index = library.default()
        found = [one for one in inputs if one.index == index] or inputs[:1]
    elif isinstance(device, int) or device.isdecimal():
        found = [one for one in inputs if one.index == int(device)]
    else:
        found = [one for one in inputs if one.name == device] or [
            one for one in inputs if device.lower() in one.name.lower()
        ]
    if len(found) != 1:
        count = "no" if not found else "more than one"
        raise BadInput(f"{count} microphone {device!r}; there is: {names}")
    return found[0]


class Stoppable:
    """What is iterated over until it is stopped."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the iteration, from any thread."""
        self._stopped.set()


class SoundFile(Stoppable):
    """A sound file in a microphone's place; made by `sound_file`.

    Attributes:
        name: the path.
        path: the path.
        rate: RATE.
        overruns, repaired, lost_seconds: 0, as a file loses nothing.
        muted_seconds: as a microphone's.
    """

    def __init__(self, path: str | Path, fast: bool) -> None:
        super().__init__()
        self.name, self.rate = str(path), RATE
        self.path: Path | None = Path(path)
        self.overruns = self.repaired = 0
        self.lost_seconds = self.muted_seconds = 0.0
        self._path, self._fast = path, fast

    def __enter__(self) -> SoundFile:
        return self

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Blocks, [n] float32 at RATE, to the end of the file or `stop`.

        At real speed a block comes when its last sample has been "heard".

        Raises:
            BadInput: as `edgeemo.audio.read_audio`.
        """
        begun, heard = time.monotonic(), 0
        size = round(BLOCK_SECONDS * RATE)
        for piece in read_blocks(self._path, RATE):
            for i in range(0, len(piece), size):
                block = piece[i : i + size]
                heard += len(block)
                wait = 0.0 if self._fast else begun + heard / RATE - time.monotonic()
                if self._stopped.wait(max(0.0, wait)):
                    return
                silent = not block.any()
                self.muted_seconds = self.muted_seconds + len(block) / RATE if silent else 0.0
                yield block

    def __repr__(self) -> str:
        return f"SoundFile({self.name}, {'fast' if self._fast else 'real speed'})"


def sound_file(path: str | Path, *, fast: bool = False) -> SoundFile:
    """A sound file that is used like a microphone.

    Args:
        path: any file of sound, or a video (extra "audio"; containers need ffmpeg).
        fast: as fast as it is read, not at real speed.

    Raises:
        BadInput: no such file; what is wrong inside it is found while it is read.
    """
    if not Path(path).is_file():
        pipe = is_special(Path(path))
        folder = "a folder, no file" if Path(path).is_dir() else "no such file"
        what = "a pipe or a device, no file" if pipe else folder
        stdin = "; raw samples from a pipe come with --stdin" if pipe or str(path) == STDIN else ""
        raise BadInput(f"{path}: {what}; give the path of a sound file{stdin}")
    return SoundFile(path, fast)
