"""Raw samples on standard input, in a microphone's place."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeemo.devices.microphone import BLOCK_SECONDS, RATE, Stoppable
from edgeemo.errors import BadInput
from edgeemo.sound.kinds import is_named

FORM = f"raw 16-bit little-endian samples, mono, {RATE} Hz"
"""What is read, in words."""

_BLOCK = 2 * round(BLOCK_SECONDS * RATE)  # bytes
_WAIT = 0.1  # seconds between two looks at whether it is time to stop


class StandardInput(Stoppable):
    """Sound that another program pipes in; used like a microphone.

    It comes at the speed at which that program gives it.

    Attributes:
        name: "standard input".
        path: None, as it is no file.
        overruns, lost_seconds: 0, as a pipe loses nothing.
        muted_seconds: as a microphone's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.name = "standard input"
        self.path: Path | None = None
        self.overruns = 0
        self.lost_seconds = self.muted_seconds = 0.0

    def __enter__(self) -> StandardInput:
        """Begin.

        Raises:
            BadInput: standard input is a terminal.
        """
        if sys.stdin is None or sys.stdin.isatty():
            raise BadInput(f"standard input is a terminal; pipe sound into it: {FORM}")
        self._descriptor = sys.stdin.fileno()
        return self

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Blocks, [n] float32 at RATE, as they come; to the end of the input or `stop`.

        Raises:
            BadInput: it begins as a file of sound does, or ends before its first sample.
        """
        kept, begun = b"", False
        while data := self._read():
            kept += data
            if not begun and len(kept) < 4:
                continue
            # As samples it would be a click, and what follows may be of any rate.
            if not begun and is_named(kept):
                raise BadInput(
                    f"standard input is a file of sound; expected {FORM} without a head "
                    "(sox and arecord: -t raw), or give the file with --wav"
                )
            begun = True
            whole = len(kept) // 2 * 2
            block = np.frombuffer(kept[:whole], "<i2").astype(np.float32) / np.float32(32768)
            kept = kept[whole:]
            self.muted_seconds = 0.0 if block.any() else self.muted_seconds + len(block) / RATE
            yield block
        if not begun and not self._stopped.is_set():
            raise BadInput(f"standard input is empty; expected {FORM}")

    def _read(self) -> bytes:
        """What is there, at most a block; nothing at the end or after a stop."""
        while not self._stopped.is_set():
            # Windows cannot wait for a pipe: there a stop comes with the next block.
            if sys.platform == "win32" or select.select([self._descriptor], [], [], _WAIT)[0]:
                return os.read(self._descriptor, _BLOCK)
        return b""

    def __repr__(self) -> str:
        return "StandardInput()"
