"""Plain WAV, 16-bit integers or 32-bit floats: the commonest sound, read without a library."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import BadInput
from edgeemo.sound.endings import STREAMED

_BLOCK = 1 << 18  # values read at once
_FORMATS = {(1, 16): "<i2", (3, 32): "<f4"}


class WavDecoder:
    """The samples of a WAV file; made by `open_wav`.

    Attributes:
        rate: Hz.
        channels: of the file.
        promised: frames that its head promises; None if it does not say.
        notices: none; what is missing is told by who counts the frames.
        cut: never known without that count.
        lossy: it is not.
    """

    cut = lossy = False

    def __init__(
        self, file: BinaryIO, kind: str, rate: int, channels: int, start: int, size: int | None
    ) -> None:
        self.rate, self.channels = rate, channels
        self.notices: list[str] = []
        self._file, self._kind = file, np.dtype(kind)
        self._frame = self._kind.itemsize * channels
        self._start, self._left = start, size
        self.promised = None if size is None else size // self._frame

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Float32 [n, channels], n > 0."""
        self._file.seek(self._start)
        left = self._left
        size = max(1, _BLOCK // self.channels) * self._frame
        raw = b""
        while True:
            wanted = size - len(raw) if left is None else min(size - len(raw), left)
            part = self._file.read(wanted) if wanted else b""
            left = None if left is None else left - len(part)
            raw += part
            whole = len(raw) // self._frame * self._frame
            if len(raw) < size and part:
                continue
            if not whole:
                return
            values = np.frombuffer(raw[:whole], self._kind).astype(np.float32)
            if self._kind.kind == "i":
                values *= np.float32(1 / 32768)
            yield values.reshape(-1, self.channels)
            raw = raw[whole:]
            if not part:
                return

    def close(self) -> None:
        """The file stays open."""


def open_wav(file: BinaryIO, head: bytes) -> WavDecoder | None:
    """A decoder for a plain WAV file; None for one that libsndfile had better read.

    Args:
        file: open for reading, can seek.
        head: its first bytes.

    Raises:
        BadInput: a head that contradicts itself; the message lacks the file's name.
    """
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    at, kind, rate, channels = 12, "", 0, 0
    while at + 8 <= len(head):
        name, size = head[at : at + 4], struct.unpack_from("<I", head, at + 4)[0]
        if name == b"fmt " and size >= 16 and at + 24 <= len(head):
            code, channels, rate, _, frame, bits = struct.unpack_from("<HHIIHH", head, at + 8)
            if code == 1 and bits % 8 and frame != channels * -(-bits // 8):
                raise BadInput(
                    f"its head has {bits} bits a sample and {frame} bytes for {channels} of them; "
                    "write it again from its source"
                )
            kind = _FORMATS.get((code, bits), "")
        if name == b"data":
            if not kind or not channels or not size:
                return None
            length = None if size >= STREAMED else size
            return WavDecoder(file, kind, rate, channels, at + 8, length)
        at += 8 + size + size % 2
    return None
