"""Damage within a file is told, also where its decoder steps over it in silence."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from edgeemo import cli
from edgeemo.audio import SoundReader, _tamed

Clip = NDArray[np.float32]

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="ffmpeg is not installed; .ci/run installs it"
)


def made(speech: Clip, path: Path, how: str) -> bytes:
    soundfile.write(path.with_name("source.wav"), np.tile(speech, 3), 16000)
    command = ["ffmpeg", "-v", "error", "-i", str(path.with_name("source.wav")), *how.split()]
    subprocess.run([*command, str(path)], check=True)
    return path.read_bytes()


def spoilt(data: bytes, how: str) -> bytes:
    at, count = len(data) * 2 // 5, 900
    within = {"zeros": bytes(count), "gone": b"", "noise": np.random.default_rng(1).bytes(count)}
    return data[:at] + within[how] + data[at + count :]


@needs_ffmpeg
@pytest.mark.parametrize("how", ["zeros", "gone", "noise"])
@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp3", "-q:a 0 -ar 44100 -write_xing 0"),
        ("low.mp3", "-b:a 32k -write_xing 0"),
        ("a.mp2", ""),
        ("mp3.wav", "-c:a libmp3lame"),
        ("vorbis.ogg", "-c:a libvorbis -page_duration 200000"),
        ("a.opus", "-page_duration 200000"),
        ("flac.ogg", "-c:a flac"),
        ("a.ac3", "-b:a 64k"),
        ("a.aac", ""),
    ],
)
def test_damage_is_told_in_words_of_edgeemo(
    speech: Clip, tmp_path: Path, name: str, codec: str, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    data = made(speech, path, codec)
    reader = SoundReader(path)
    whole = sum(map(len, reader))
    assert [told for told in reader.notices if "full scale" not in told] == []
    path.write_bytes(spoilt(data, how))
    assert 0.5 * whole < sum(map(len, reader)) <= whole
    assert any("damaged" in told for told in reader.notices)
    assert cli.main(["predict", str(path)]) == 0
    lines = capfd.readouterr().err.splitlines()
    assert lines and all(line.startswith("edgeemo: ") for line in lines)


@needs_ffmpeg
def test_files_in_a_row_with_tags_are_whole(speech: Clip, tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    data = made(speech, path, "-write_xing 0 -metadata title=one -write_id3v1 1")
    path.write_bytes(data + data + data)
    reader = SoundReader(path)
    assert sum(map(len, reader)) >= 3 * 3 * len(speech)
    assert [told for told in reader.notices if "full scale" not in told] == []


def test_numbers_that_no_sound_has() -> None:
    """What decoders make of damaged packets: a file of many good minutes is not lost for them."""
    block = np.linspace(-1, 1, 1000, dtype=np.float32).reshape(-1, 1)
    block[3], block[5], block[7] = 4.3, np.nan, -np.inf
    tamed = _tamed(block)
    assert tamed[[3, 5, 7]].tolist() == [[0], [0], [0]]
    assert np.array_equal(np.delete(tamed, [3, 5, 7]), np.delete(block, [3, 5, 7]))
    assert np.nanmax(_tamed(block * 32768)) > 4  # other units are refused, not made silent
