"""The terminal view, on a real pseudo-terminal and at all sizes."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pyte
import pytest

from edgeemo.fusion import Fused
from edgeemo.live.state import PLAIN_WORDS, State
from edgeemo.live.terminal import screen
from edgeemo.types import CLASSES

from .conftest import COMMAND

COLUMNS, ROWS = 100, 30


def busy_state() -> State:
    """Two minutes of estimates, with a pause."""
    state = State(sources={"voice": "a.wav", "face": "b.mp4"}, models={"voice": "v", "face": "f"})
    classes = {name: 1 / 16 for name in CLASSES} | {"anger": 9 / 16}
    for number in range(480):
        value = None if 400 < number < 420 else number / 480
        state.tell(Fused(value, value, value, classes, 0.56, True, 0, number / 4, None, "anger"))
    state.level, state.peak, state.seconds, state.cpu = -20.0, -10.0, 120.0, 0.03
    state.latencies.extend([0.004, 0.008, 0.02])
    state.recording = "/somewhere"
    return state


@pytest.mark.parametrize("state", [State(), busy_state()], ids=["empty", "busy"])
@pytest.mark.parametrize("height", [3, 12, 24, 60])
@pytest.mark.parametrize("width", [20, 40, 80, 250])
def test_it_fits(state: State, width: int, height: int) -> None:
    lines = screen(state, width, height).plain.split("\n")
    assert len(lines) <= height
    if width >= 80:
        assert max(map(len, lines)) < width
    if height >= 24 and width >= 80:
        assert PLAIN_WORDS in " ".join(lines).replace("  ", " ")


@pytest.mark.parametrize("width", range(60, 121, 4))
def test_nothing_is_cut_from_60_columns_on(width: int) -> None:
    state = busy_state()
    state.models = {"voice": "wav2small-stream", "face": "efficientnet-lite0-face"}
    state.ended["face"] = "camera 0 gives no more pictures; is it still plugged in? " * 3
    shown = " ".join(screen(state, width, 60).plain.split())
    for part in (
        "from nothing",
        "face efficientnet-lite0-face",
        "latency 8 ms, worst 20",
        "3 % of one core",
        "voice wav2small-stream",
    ):
        assert part in shown
    assert shown.count("still plugged in?") == 3
    assert PLAIN_WORDS in shown and "Ctrl-C ends." in shown
    assert max(map(len, screen(state, width, 60).plain.split("\n"))) < width


def test_it_shows_the_numbers() -> None:
    lines = screen(busy_state(), 100, 40).plain.split("\n")
    text = "\n".join(lines)
    assert "-20 dB" in text and "2:00" in text and "latency 8 ms, worst 20" in text
    (line,) = (line for line in lines if line.startswith("arousal"))
    assert "1.00" in line
    trace = line[-55:].rstrip("\n")
    assert trace.strip()[0] < trace.strip()[-1]  # it rises
    assert " " in trace.strip()  # and has a pause
    assert "recording to /somewhere" in text


class Session:
    """The command on a pseudo-terminal."""

    def __init__(self, *arguments: str | Path) -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self.screen)
        self.written = b""
        self.process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env=os.environ | {"TERM": "xterm-256color"},
        )

    def read(self, seconds: float) -> None:
        if select.select([self.master], [], [], seconds)[0]:
            data = os.read(self.master, 65536)
            self.written += data
            self._stream.feed(data)

    def until(self, text: str, seconds: float = 30) -> str:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(0.1)
            shown = "\n".join(self.screen.display)
            if text in shown:
                return shown
        raise AssertionError(f"{text!r} did not come:\n" + "\n".join(self.screen.display))

    def end(self) -> int:
        """Wait for the process, taking what it writes."""
        end = time.monotonic() + 20
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.05)
        while select.select([self.master], [], [], 0.1)[0]:
            self.read(0)
        return self.process.wait(1)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


def test_on_a_terminal_and_ctrl_c(long_clip: Path) -> None:
    session = Session("--wav", long_clip)
    try:
        shown = session.until("from voice")
        assert b"\x1b[?1049h" in session.written  # the other screen: scrollback stays as it was
        for text in (
            "level",
            "arousal",
            "valence",
            "anger",
            "somebody speaks",
            "Not for judging",
            "face: no camera in use",
            "wav2small-stream",
        ):
            assert text in shown
        os.write(session.master, b"\x03")  # what the key sends; the terminal makes a signal of it
        # The child has no controlling terminal of its own here, so send what it would get.
        session.process.send_signal(signal.SIGINT)
        assert session.end() == 130
        left = session.written.rindex(b"\x1b[?1049l")
        assert b"estimates; " in session.written[left:]  # the summary stays readable
        assert session.written.rindex(b"\x1b[?25h") > session.written.rindex(b"\x1b[?25l")
        assert termios.tcgetattr(session.slave) == session.before
        assert b"Traceback" not in session.written
    finally:
        session.close()


def test_on_a_terminal_to_the_end_of_the_file(clip: Path) -> None:
    session = Session("--wav", clip)
    try:
        assert session.end() == 0
        left = session.written.rindex(b"\x1b[?1049l")
        assert b"2.3 s in " in session.written[left:] and b"voice: ended" in session.written[left:]
    finally:
        session.close()
