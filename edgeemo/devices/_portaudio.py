"""PortAudio through PyAudio or sounddevice: the same few calls on whichever is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import DeviceLost, require
from edgeemo.quiet import quiet

Take = Callable[[NDArray[np.float32], bool], None]
"""Called by PortAudio's thread with [frames, channels], and whether sound was lost before it."""


@dataclass(frozen=True)
class Input:
    """A device that hears.

    Attributes:
        index: PortAudio's number.
        name: PortAudio's name.
        channels: how many it has.
        rate: its own sample rate, Hz.
    """

    index: int
    name: str
    channels: int
    rate: int


class Capture(Protocol):
    """An open device."""

    def active(self) -> bool:
        """Whether sound still comes."""
        ...

    def close(self) -> None:
        """Stop; no call comes after this."""


class Library(Protocol):
    """One of the two packages."""

    def inputs(self) -> list[Input]:
        """All devices that hear."""
        ...

    def default(self) -> int | None:
        """Number of the device that the system prefers, or None."""
        ...

    def open(self, device: Input, channels: int, frames: int, take: Take) -> Capture:
        """Begin to record.

        Args:
            device: one of `inputs`.
            channels: how many to take.
            frames: samples of a channel in a block.
            take: called with each block.

        Raises:
            DeviceLost: it is busy, gone, or refuses.
        """
        ...

    def end(self) -> None:
        """Give PortAudio back."""


def open_library() -> Library:
    """PyAudio where it is installed, else sounddevice.

    Raises:
        MissingExtra: neither is installed.
        DeviceLost: the PortAudio library itself is missing.
    """
    if importlib.util.find_spec("pyaudio") is not None:
        return _PyAudio()
    return _SoundDevice()


class _PyAudio:
    def __init__(self) -> None:
        self._module: Any = require("pyaudio", "pyaudio")
        with quiet():
            self._port = self._module.PyAudio()

    def inputs(self) -> list[Input]:
        rows = (
            self._port.get_device_info_by_index(i) for i in range(self._port.get_device_count())
        )
        return [
            Input(
                int(row["index"]),
                str(row["name"]),
                int(row["maxInputChannels"]),
                int(row["defaultSampleRate"]),
            )
            for row in rows
            if row["maxInputChannels"] > 0
        ]

    def default(self) -> int | None:
        try:
            return int(self._port.get_default_input_device_info()["index"])
        except OSError:
            return None

    def open(self, device: Input, channels: int, frames: int, take: Take) -> Capture:
        module = self._module

        def callback(data: bytes, count: int, times: object, status: int) -> tuple[None, int]:
            block = np.frombuffer(data, np.float32).reshape(-1, channels)
            take(block, bool(status & module.paInputOverflow))
            return None, int(module.paContinue)

        try:
            with quiet():
                stream = self._port.open(
                    device.rate,
                    channels,
                    module.paFloat32,
                    input=True,
                    input_device_index=device.index,
                    frames_per_buffer=frames,
                    stream_callback=callback,
                )
        except (OSError, ValueError) as error:
            raise _refused(device, error) from None
        return _Open(stream.is_active, stream.close)

    def end(self) -> None:
        self._port.terminate()


class _SoundDevice:
    def __init__(self) -> None:
        try:
            with quiet():
                self._module: Any = require("sounddevice", "live")
        except OSError as error:
            raise DeviceLost(
                f"PortAudio cannot be loaded ({error}); install it, on Debian with: "
                "apt-get install libportaudio2"
            ) from None

    def inputs(self) -> list[Input]:
        return [
            Input(i, row["name"], row["max_input_channels"], int(row["default_samplerate"]))
            for i, row in enumerate(self._module.query_devices())
            if row["max_input_channels"] > 0
        ]

    def default(self) -> int | None:
        index = int(self._module.default.device[0])
        return index if index >= 0 else None

    def open(self, device: Input, channels: int, frames: int, take: Take) -> Capture:
        def callback(data: NDArray[np.float32], count: int, times: object, status: Any) -> None:
            take(data, bool(status.input_overflow))

        try:
            with quiet():
                stream = self._module.InputStream(
                    samplerate=device.rate,
                    channels=channels,
                    dtype="float32",
                    device=device.index,
                    blocksize=frames,
                    callback=callback,
                )
                stream.start()
        except (self._module.PortAudioError, ValueError) as error:
            raise _refused(device, error) from None
        return _Open(lambda: bool(stream.active), stream.close)

    def end(self) -> None:
        """The package keeps PortAudio until the process ends."""


@dataclass(frozen=True)
class _Open:
    active: Callable[[], bool]
    close: Callable[[], None]


def _refused(device: Input, error: Exception) -> DeviceLost:
    reason = " ".join(str(part) for part in error.args) or type(error).__name__
    return DeviceLost(
        f"microphone {device.index} ({device.name}) cannot be opened: {reason}; "
        "is another program using it?"
    )
