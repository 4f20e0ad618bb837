"""A microphone that is a pipe: ALSA's `file` plugin reads what a test writes into it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

# ALSA reads its configuration once in a process, so every test has a process of its own; see
# capture.py. "played" takes 16-bit samples from the pipe, at once when they are there; an empty
# pipe makes it wait, as a microphone does.
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

Speak = Callable[[NDArray[np.float32]], None]


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, Speak]]:
    """A folder with asoundrc and pipe, and a function that speaks samples into it."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    # Open for both ways, so that a device which is looked at and closed does not end the pipe.
    handle = os.open(path, os.O_RDWR)
    fcntl.fcntl(handle, fcntl.F_SETPIPE_SZ, 1 << 20)  # half a minute: nothing waits to be written

    def speak(samples: NDArray[np.float32]) -> None:
        os.write(handle, np.round(samples * 32767).astype("<i2").tobytes())

    done = threading.Event()

    def flow() -> None:
        """Silence without end, once the file "flow" is there."""
        while not done.wait(0.01):
            if (tmp_path / "flow").exists():
                with contextlib.suppress(BlockingIOError):
                    os.write(handle, bytes(3200))

    os.set_blocking(handle, False)
    thread = threading.Thread(target=flow)
    thread.start()
    (tmp_path / "asoundrc").write_text(CONFIGURATION.replace("PIPE", str(path)))
    yield tmp_path, speak
    done.set()
    thread.join()
    os.close(handle)
