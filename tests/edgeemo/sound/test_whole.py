"""All of a sound is read, or a word says what is not."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from edgeemo import cli
from edgeemo.audio import SoundReader, read_audio
from edgeemo.errors import BadInput
from edgeemo.sound.damage import ogg_pages

Clip = NDArray[np.float32]
RATE = 16000

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="ffmpeg is not installed; .ci/run installs it"
)


def read(path: Path) -> tuple[Clip, list[str]]:
    reader = SoundReader(path)
    return np.concatenate([*reader]), reader.notices


def written(folder: Path, name: str, sound: Clip, rate: int = RATE, **how: str) -> bytes:
    soundfile.write(folder / name, sound, rate, **how)
    return (folder / name).read_bytes()


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_streams_in_a_row(speech: Clip, tmp_path: Path, subtype: str) -> None:
    """Recorded radio has a link for each title; `cat a.ogg b.ogg` has one serial number twice."""
    first = written(tmp_path, "a.ogg", speech[:20000], subtype=subtype)
    second = written(tmp_path, "b.ogg", speech[20000:], subtype=subtype)
    want = np.concatenate([read_audio(tmp_path / "a.ogg"), read_audio(tmp_path / "b.ogg")])
    path = tmp_path / "row.ogg"
    path.write_bytes(first + second)
    with path.open("rb") as file:
        assert ogg_pages(file) == ([0, len(first)], False)
    found, notices = read(path)
    assert notices == [] and np.array_equal(found, want)
    path.write_bytes(first + first)
    assert len(read(path)[0]) == 2 * 20000
    path.write_bytes(first + second[: len(second) // 2])
    found, notices = read(path)
    assert 20000 <= len(found) < 36000 and "the file ends in the middle" in notices[-1]


def test_ogg_streams_of_another_rate_are_told(speech: Clip, tmp_path: Path) -> None:
    first = written(tmp_path, "a.ogg", speech[:20000], subtype="VORBIS")
    other = written(tmp_path, "b.ogg", speech[:20000], 22050, subtype="VORBIS")
    path = tmp_path / "row.ogg"
    path.write_bytes(first + other + first)
    found, notices = read(path)
    assert len(found) == 2 * 20000
    assert notices == [
        "one of its streams in a row has 22050 Hz and 1 channels, unlike the first; it was not read"
    ]


@needs_ffmpeg
def test_of_several_sound_tracks_the_first_is_read(speech: Clip, tmp_path: Path) -> None:
    written(tmp_path, "a.wav", speech)
    path = tmp_path / "two.mkv"
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", "-map", "0:a", "-map", "0:a"]
    subprocess.run([*command, path], check=True)
    assert read(path)[1] == ["holds 2 sound tracks; the first was read"]


@needs_ffmpeg
def test_lossless_packets_that_are_not_full(speech: Clip, tmp_path: Path) -> None:
    """CAF counts ALAC by packets of 4096 frames: nothing is missing at the end."""
    written(tmp_path, "a.wav", speech[: 4096 * 5 + 10])
    path = tmp_path / "a.caf"
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", "-c:a", "alac", path]
    subprocess.run(command, check=True)
    found, notices = read(path)
    assert len(found) == 4096 * 5 + 10 and notices == []


def test_beyond_full_scale_is_told_with_the_name(speech: Clip, tmp_path: Path) -> None:
    written(tmp_path, "a.wav", speech / np.abs(speech).max() * 3, subtype="FLOAT")
    assert "reaches 3, beyond full scale; expected -1..1" in read(tmp_path / "a.wav")[1]


def test_clipped_sound_of_another_rate_is_within_full_scale(speech: Clip, tmp_path: Path) -> None:
    """A resampler overshoots where a recording was clipped: nothing to tell its owner."""
    clipped = np.clip(soxr.resample(speech / np.abs(speech).max() * 20, RATE, 48000), -1, 1)
    written(tmp_path, "a.wav", clipped, 48000)
    found, notices = read(tmp_path / "a.wav")
    assert np.abs(soxr.resample(clipped, 48000, RATE)).max() > 1.1
    assert np.abs(found).max() <= 1
    assert not any("full scale" in notice for notice in notices)


@pytest.mark.parametrize(("bits", "frame", "fits"), [(17, 2, False), (12, 2, True), (20, 2, False)])
def test_a_head_that_contradicts_itself(tmp_path: Path, bits: int, frame: int, fits: bool) -> None:
    """Bits a sample and bytes a frame: libsndfile believes the one, and reads noise."""
    samples = bytes(2000)
    head = struct.pack("<HHIIHH", 1, 1, RATE, RATE * frame, frame, bits)
    body = b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", 2000) + samples
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    if fits:
        assert len(read(path)[0]) == 1000
        return
    with pytest.raises(BadInput, match=f"{bits} bits a sample and 2 bytes"):
        read(path)


def test_frames_that_never_come(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"\xff\xfb\x90\x64" * 5000)
    with pytest.raises(BadInput, match="no frame of it can be decoded"):
        read(tmp_path / "a.mp3")


@needs_ffmpeg
def test_a_video_without_sound_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "silent.mp4"
    picture = ["-f", "lavfi", "-i", "color=size=64x64:duration=1:rate=5", "-pix_fmt", "yuv420p"]
    subprocess.run(["ffmpeg", "-v", "error", *picture, path], check=True)
    with pytest.raises(BadInput, match="holds no sound track"):
        read_audio(path)
    command = [
        "predict",
        "--model",
        "wav2small-stream",
        str(path),
        "--output",
        str(tmp_path / "a.srt"),
    ]
    assert cli.main(command) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "holds no sound track" in line] == lines[1:]
