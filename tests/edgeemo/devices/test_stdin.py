"""Sound through a pipe, and what is no sound."""

from __future__ import annotations

import array
import fcntl
import json
import os
import pty
import shutil
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from edgeemo import cli
from edgeemo.audio import read_audio
from edgeemo.devices.stdin import StandardInput
from edgeemo.errors import BadInput

LIVE = (sys.executable, "-m", "edgeemo", "live", "--stdin", "--json")

Feed = Callable[..., None]


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Feed]:
    """Makes a pipe of standard input, and writes pieces into it from a thread."""
    with ExitStack() as stack:

        def begin(*pieces: bytes, close: bool = True) -> None:
            reading, writing = os.pipe()
            monkeypatch.setattr(sys, "stdin", stack.enter_context(os.fdopen(reading)))
            pipe = stack.enter_context(os.fdopen(writing, "wb", buffering=0))

            def write() -> None:
                for piece in pieces:
                    pipe.write(piece)
                    while waiting(reading):  # so that the next piece is read by itself
                        time.sleep(0.001)
                if close:
                    pipe.close()

            thread = threading.Thread(target=write)
            thread.start()
            stack.callback(thread.join)

        yield begin


def waiting(descriptor: int) -> int:
    """Bytes that nobody has read yet."""
    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]


def blocks() -> list[np.ndarray]:
    with StandardInput() as sound:
        return [*sound]


def test_samples_in_any_cut(feed: Feed) -> None:
    samples = np.arange(-32768, 32767, 7, dtype="<i2")
    data = samples.tobytes()
    feed(data[:1], data[1:2], data[2:5], data[5:4001], data[4001:])
    found = np.concatenate(blocks())
    assert found.dtype == np.float32
    assert np.array_equal(found, samples / np.float32(32768))


def test_half_a_sample_at_the_end_is_left_out(feed: Feed) -> None:
    feed(b"\1\0\2\0\3")
    assert (np.concatenate(blocks()) * 32768).tolist() == [1, 2]


@pytest.mark.parametrize("head", [b"\0\0\1\0", b"\xff\xfb\x90\x64", b"\xff\xd8\xff\xff", b"BM\1\0"])
def test_samples_that_look_a_little_like_a_file(head: bytes, feed: Feed) -> None:
    feed(head + bytes(100))
    assert len(np.concatenate(blocks())) == 52


@pytest.mark.parametrize(
    "head",
    [
        *(b"RIFF", b"fLaC", b"OggS", b"FORM", b".snd", b"caff", b"\x1a\x45\xdf\xa3"),
        *(b"ID3\4", b"\0\0\0\x20ftypM4A ", b"riff\x2e\x91\xcf\x11", b"#!AMR\n"),
    ],
)
def test_a_file_of_sound_is_refused(head: bytes, feed: Feed) -> None:
    feed(head[:1], head[1:] + bytes(100))
    with pytest.raises(BadInput, match=r"is a file of sound; expected raw 16-bit .*-t raw"):
        blocks()


@pytest.mark.parametrize("data", [(), (b"\1",)], ids=["nothing", "a byte"])
def test_no_sample_at_all(data: tuple[bytes, ...], feed: Feed) -> None:
    feed(*data)
    with pytest.raises(BadInput, match="standard input is empty"):
        blocks()


def test_a_stop_ends_the_wait(feed: Feed) -> None:
    """The other end of the pipe stays open."""
    feed(bytes(8), close=False)
    with StandardInput() as sound:
        found = iter(sound)
        assert len(next(found)) == 4
        assert sound.muted_seconds == 4 / 16000
        threading.Timer(0.05, sound.stop).start()
        assert next(found, None) is None


def test_a_terminal_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    main, side = pty.openpty()
    with os.fdopen(main), os.fdopen(side) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        with pytest.raises(BadInput, match="is a terminal; pipe sound into it"):
            blocks()


def test_sox_to_json(speech_files: list[Path]) -> None:
    """As the guide shows it; the estimates are those of the file."""
    if shutil.which("sox") is None:
        pytest.skip("sox is not installed; .ci/run installs it")
    path = speech_files[0]
    form = ["-t", "raw", "-r", "16000", "-c", "1", "-b", "16", "-e", "signed"]
    with subprocess.Popen(["sox", str(path), *form, "-"], stdout=subprocess.PIPE) as sox:
        run = subprocess.run(LIVE, stdin=sox.stdout, capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    again = [sys.executable, "-m", "edgeemo", "live", "--json", "--fast", "--wav", str(path)]
    file = subprocess.run(again, capture_output=True, text=True, check=True)
    expected = [json.loads(line) for line in file.stdout.splitlines()]
    assert len(rows) == len(expected) > 3
    for row, of_file in zip(rows, expected, strict=True):
        assert row | {"path": ""} == of_file | {"path": ""}
    assert rows[0]["path"] == "standard input"
    assert rows[-1]["end"] == pytest.approx(len(read_audio(path)) / 16000, abs=1e-4)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (["--wav", "a.wav"], "leave out --wav"),
        (["--microphone", "0"], "leave out --microphone"),
        (["--fast"], "--fast is for files"),
    ],
)
def test_what_it_stands_in_for(
    other: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["live", "--stdin", *other]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err
