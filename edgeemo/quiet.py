"""Silence for libraries that print what nobody asked for."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

_lock = threading.Lock()
_inside = 0  # how many are quiet now
_kept = -1  # where standard error goes otherwise
_before: TextIO | None = None  # what sys.stderr was, if it wrote there


class _Own(io.TextIOBase):
    """What Python prints goes where standard error went, while that is silent for libraries."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = os.dup(descriptor)

    def write(self, text: str, /) -> int:
        os.write(self._descriptor, text.encode(errors="backslashreplace"))
        return len(text)

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        # By the collector: another thread may have taken it for what it prints.
        if not self.closed:
            os.close(self._descriptor)
        super().close()


@contextmanager
def quiet() -> Iterator[None]:
    """Standard error of the process pointed at nothing for a moment, but for what Python prints.

    ALSA, JACK, FFmpeg and libmpg123 print pages of what they think; what matters comes as an error.
    Several threads may be inside: the first one in turns it off, the last one out turns it on.
    """
    global _inside
    with _lock:
        if _inside == 0:
            _turn_off()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _turn_on()


def _turn_off() -> None:
    global _kept, _before
    _before = None
    with suppress(AttributeError, OSError, ValueError):  # no stderr, a closed or an emulated one
        if sys.stderr.fileno() == 2:
            sys.stderr.flush()
            _before = sys.stderr
    _kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    if _before is not None:
        sys.stderr = _Own(_kept)
    os.dup2(nothing, 2)
    os.close(nothing)


def _turn_on() -> None:
    os.dup2(_kept, 2)
    os.close(_kept)
    if _before is not None and isinstance(sys.stderr, _Own):
        sys.stderr = _before
