"""A microphone that is a pipe: ALSA's `file` plugin reads what a test writes into it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeemo.devices.microphone import BLOCK_SECONDS

# ALSA reads its configuration once in a process, so every test has a process of its own; see
# capture.py. "played" takes 16-bit samples from the pipe; an empty pipe makes it wait, as
# a microphone does.
CONFIGURATION = """
pcm.!default {
  type plug
  slave { pcm "played" format S16_LE rate RATE channels 1 }
}
pcm.played {
  type file
  slave.pcm { type null }
  file "/dev/null"
  infile "PIPE"
  format "raw"
}
"""

Speak = Callable[..., None]


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, Speak]]:
    """A folder with asoundrc and pipe, and a function that speaks samples into it."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    # Open for both ways, so that a device which is looked at and closed does not end the pipe.
    handle = os.open(path, os.O_RDWR)

    waiting: deque[bytes] = deque()

    def speak(samples: NDArray[np.float32], rate: int = 16000) -> None:
        raw = np.round(samples * 32768).astype("<i2").tobytes()
        size = 2 * round(BLOCK_SECONDS * rate)  # what PortAudio asks for, written as a whole
        waiting.extend(raw[i : i + size] for i in range(0, len(raw), size))

    done = threading.Event()

    def flow() -> None:
        """From when the file "open" is there, twice as fast as life; behind it silence.

        Not faster: what PortAudio finds on top of what it asked for is lost, as with a real device.
        The silence comes when the file "flow" is there.
        """
        while not done.wait(0.025):
            with contextlib.suppress(BlockingIOError):
                if (tmp_path / "open").exists() and waiting:
                    os.write(handle, waiting[0])
                    waiting.popleft()
                elif (tmp_path / "flow").exists():
                    os.write(handle, bytes(1600))

    os.set_blocking(handle, False)
    thread = threading.Thread(target=flow)
    thread.start()
    (tmp_path / "asoundrc").write_text(CONFIGURATION.replace("PIPE", str(path)))
    yield tmp_path, speak
    done.set()
    thread.join()
    os.close(handle)
