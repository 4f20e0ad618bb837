"""Silence for libraries that print what nobody asked for."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0  # how many are quiet now
_kept = -1  # where standard error goes otherwise


@contextmanager
def quiet() -> Iterator[None]:
    """Standard error of the whole process pointed at nothing for a moment.

    ALSA, JACK, FFmpeg and libmpg123 print pages of what they think; what matters comes as an error.
    Several threads may be inside: the first one in turns it off, the last one out turns it on.
    """
    global _inside, _kept
    with _lock:
        if _inside == 0:
            _kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 2)
            os.close(nothing)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                os.dup2(_kept, 2)
                os.close(_kept)
