"""Plain WAV without a library: the same numbers as libsndfile, and what it leaves to it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgeemo.sound.wav import open_wav


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize("channels", [1, 3])
def test_it_gives_what_libsndfile_gives(tmp_path: Path, subtype: str, channels: int) -> None:
    samples = np.random.default_rng(0).normal(0, 0.2, (300_000, channels))
    soundfile.write(tmp_path / "a.wav", samples, 22050, subtype=subtype)
    with (tmp_path / "a.wav").open("rb", buffering=0) as file:
        decoder = open_wav(file, file.read(512))
        assert decoder is not None
        assert (decoder.rate, decoder.channels, decoder.promised) == (22050, channels, 300_000)
        got = np.concatenate([*decoder.blocks()])
    want, _ = soundfile.read(tmp_path / "a.wav", dtype="float32", always_2d=True)
    assert got.dtype == np.float32 and np.array_equal(got, want)


@pytest.mark.parametrize("subtype", ["PCM_24", "PCM_U8", "ULAW", "DOUBLE", "MS_ADPCM"])
def test_other_kinds_are_left_to_it(tmp_path: Path, subtype: str) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(2000), 16000, subtype=subtype)
    data = (tmp_path / "a.wav").read_bytes()
    assert open_wav(io.BytesIO(data), data[:512]) is None


def test_what_follows_the_samples_is_no_sound(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(1000, 0.25), 16000, subtype="PCM_16")
    data = (tmp_path / "a.wav").read_bytes() + b"LIST\x04\0\0\0INFO"
    decoder = open_wav(io.BytesIO(data), data[:512])
    assert decoder is not None
    assert np.array_equal(np.concatenate([*decoder.blocks()]), np.full((1000, 1), 0.25))
