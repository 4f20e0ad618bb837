"""Standard input, pipes, FIFOs and names that do not decode: all are read, and none is kept."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeemo.audio import read_audio
from edgeemo.errors import BadInput


def test_standard_input(speech_files: list[Path], tmp_path: Path) -> None:
    code = (
        "import numpy as np; from edgeemo.audio import read_audio; np.save('out', read_audio('-'))"
    )
    data = speech_files[0].read_bytes()
    subprocess.run([sys.executable, "-c", code], input=data, check=True, cwd=tmp_path)
    assert np.array_equal(np.load(tmp_path / "out.npy"), read_audio(speech_files[0]))


def test_a_fifo(speech_files: list[Path], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    data = speech_files[0].read_bytes()
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(data))
    writer.start()
    assert np.array_equal(read_audio(tmp_path / "pipe"), read_audio(speech_files[0]))
    writer.join()


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_not_copied(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros without end would fill the disk."""
    with pytest.raises(BadInput, match="a device, no file"):
        read_audio(device)
    with Path(device).open() as endless:
        monkeypatch.setattr(sys, "stdin", endless)
        with pytest.raises(BadInput, match="a device, no file"):
            read_audio("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(BadInput, match="standard input is closed"):
        read_audio("-")


def test_a_stream_that_cannot_seek(speech_files: list[Path]) -> None:
    class Pipe(io.BytesIO):
        def seek(self, *where: int) -> int:
            raise io.UnsupportedOperation

    data = speech_files[0].read_bytes()
    assert np.array_equal(read_audio(Pipe(data)), read_audio(speech_files[0]))


@pytest.mark.parametrize("name", [b"a\xff\xfe.wav", b"-v.wav", b"a\x1b[31m\n.wav", b"%03d.wav"])
def test_any_name_is_read(speech_files: list[Path], tmp_path: Path, name: bytes) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    shutil.copy(speech_files[0], path)
    assert np.array_equal(read_audio(path), read_audio(speech_files[0]))


def test_a_container_in_memory_and_under_any_name(speech_files: list[Path], tmp_path: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed; .ci/run installs it")
    made = ["ffmpeg", "-v", "error", "-i", str(speech_files[0]), str(tmp_path / "a.m4a")]
    subprocess.run(made, check=True)
    want = read_audio(tmp_path / "a.m4a")
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff:%d.m4a"))
    shutil.copy(tmp_path / "a.m4a", strange)
    assert np.array_equal(read_audio(strange), want)
    assert np.array_equal(read_audio(io.BytesIO((tmp_path / "a.m4a").read_bytes())), want)


def test_no_rights_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root every file can be read, so the refusal is the system's own, given by hand."""
    (tmp_path / "a.wav").write_bytes(b"RIFF")

    def refuse(*_: object, **__: object) -> io.BytesIO:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(BadInput, match=r"a\.wav: cannot be read \(Permission denied\)"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (None, "the source is None; expected a path"),
        (3, "the source is 3; expected a path"),
        (b"a.wav", "the source is b'a.wav'; expected a path"),
        (io.StringIO("x"), "a file of text; open it with the mode 'rb'"),
    ],
)
def test_what_is_no_file_is_refused_in_words(source: Any, says: str) -> None:
    with pytest.raises(BadInput, match=re.escape(says)):
        read_audio(source)


def test_a_closed_file_is_refused_in_words(speech_files: list[Path]) -> None:
    with speech_files[0].open("rb") as file:
        pass
    with pytest.raises(BadInput, match="the file is closed"):
        read_audio(file)


@pytest.mark.parametrize("rate", [0, -1, 10**9, 16000.5, "x", float("nan"), None])
def test_a_rate_that_is_none_is_refused(speech_files: list[Path], rate: Any) -> None:
    with pytest.raises(BadInput, match="rate is"):
        read_audio(speech_files[0], rate)


@pytest.mark.parametrize("channel", [0, -1, 65, "1", True])
def test_a_channel_that_is_none_is_refused(speech_files: list[Path], channel: Any) -> None:
    with pytest.raises(BadInput, match="channel is"):
        read_audio(speech_files[0], channel=channel)
