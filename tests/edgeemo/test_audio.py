"""Sound files of every kind that is promised, whole, broken and absurd."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgeemo.artifacts.teachers_package import need
from edgeemo.audio import read_audio
from edgeemo.errors import BadInput

SPEECH = need("speech")
CLIP = SPEECH / "emodb_full" / "03a01Fa.flac"


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    samples, rate = soundfile.read(CLIP, dtype="float32")
    assert rate == 16000
    return samples


def test_flac_comes_bit_by_bit(speech: np.ndarray) -> None:
    got = read_audio(CLIP)
    assert got.dtype == np.float32
    assert np.array_equal(got, speech)


@pytest.mark.parametrize(
    ("suffix", "subtype", "most"),
    # 16 bits round by half a step; the lossy codecs stay near.
    [("wav", "PCM_16", 2e-5), ("wav", "FLOAT", 0.0), ("ogg", "VORBIS", 0.1), ("mp3", None, 0.1)],
)
def test_each_format(
    tmp_path: Path, speech: np.ndarray, suffix: str, subtype: str | None, most: float
) -> None:
    path = tmp_path / f"clip.{suffix}"
    soundfile.write(path, speech, 16000, subtype=subtype)
    got = read_audio(path)
    # MP3 may carry a delay at the start; the others keep their length.
    if suffix == "mp3":
        lag = int(np.argmax(np.correlate(got, speech, "full"))) - len(speech) + 1
        got = got[lag : lag + len(speech)]
        speech = speech[: len(got)]
    assert len(got) == len(speech)
    assert np.max(np.abs(got - speech)) <= most


def test_channels_are_averaged(tmp_path: Path, speech: np.ndarray) -> None:
    soundfile.write(tmp_path / "two.wav", np.stack([speech, 0 * speech], 1), 16000, subtype="FLOAT")
    assert np.array_equal(read_audio(tmp_path / "two.wav"), speech / 2)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_a_tone_keeps_its_pitch_and_level_through_resampling(tmp_path: Path, rate: int) -> None:
    seconds = np.arange(rate * 20) / rate  # longer than one block of reading
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 440 * seconds), rate, "FLOAT")
    got = read_audio(tmp_path / "tone.wav")
    assert abs(len(got) - 20 * 16000) <= 1
    want = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(got)) / 16000)
    assert np.max(np.abs(got - want)[200:-200]) < 1e-3


def test_what_16_khz_cannot_hold_is_filtered_not_folded(tmp_path: Path) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 12_000 * np.arange(48_000) / 48_000)
    soundfile.write(tmp_path / "high.wav", tone, 48_000, "FLOAT")
    assert np.max(np.abs(read_audio(tmp_path / "high.wav")[200:-200])) < 1e-3


def test_an_open_file_is_read(speech: np.ndarray) -> None:
    assert np.array_equal(read_audio(io.BytesIO(CLIP.read_bytes())), speech)


def wav(tmp_path: Path, samples: np.ndarray, rate: int = 16000) -> Path:
    soundfile.write(tmp_path / "bad.wav", samples, rate, subtype="FLOAT")
    return tmp_path / "bad.wav"


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (np.zeros(0), "no samples"),
        (np.array([0.0, np.nan, 0.1]), "NaN"),
        (np.array([0.0, -np.inf]), "NaN or infinite"),
        (np.array([0.0, 20_000.0]), "largest sample 20000"),
        (np.zeros(16000 * 3), "3 s of sound; expected at most 2 s"),
    ],
)
def test_unusable_samples_are_refused(tmp_path: Path, samples: np.ndarray, says: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        read_audio(wav(tmp_path, samples), longest=2)
    assert "bad.wav" in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"ID3", b"OggS" + bytes(60), b"not a sound" * 9, bytes(4096)]
)
@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.raw"])
def test_what_is_no_sound_is_refused(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=name):
        read_audio(tmp_path / name)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.wav", tmp_path):
        with pytest.raises(BadInput, match="no such file"):
            read_audio(path)


@pytest.mark.parametrize("field", ["rate", "channels"])
def test_an_absurd_header_is_refused(tmp_path: Path, field: str) -> None:
    data = bytearray(wav(tmp_path, np.zeros(100)).read_bytes())
    at = data.index(b"fmt ") + 8
    if field == "rate":
        data[at + 4 : at + 8] = struct.pack("<I", 900_000_000)
    else:
        data[at + 2 : at + 4] = struct.pack("<H", 1000)
        data[at + 12 : at + 14] = struct.pack("<H", 4000)
    (tmp_path / "bad.wav").write_bytes(data)
    with pytest.raises(BadInput, match=r"bad\.wav"):
        read_audio(tmp_path / "bad.wav")


@pytest.mark.parametrize("seed", range(30))
def test_mutated_files_give_samples_or_bad_input(tmp_path: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    files = [CLIP, SPEECH / "emodb_full" / "03a04Ta.ogg", wav(tmp_path, np.zeros(4000))]
    data = bytearray(files[seed % 3].read_bytes())
    for at in draw.integers(0, min(len(data), 400), 4):
        data[at] = draw.integers(256)
    if seed % 2:
        del data[draw.integers(1, len(data)) :]
    (tmp_path / "mutant").write_bytes(data)
    try:
        assert np.all(np.isfinite(read_audio(tmp_path / "mutant")))
    except BadInput as error:
        assert "mutant" in str(error)
