"""Channels to one: the voice stays, and a word says what was done; levels that nobody speaks at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from edgeemo.audio import SoundReader
from edgeemo.errors import BadInput
from edgeemo.sound.channels import Level

Sound = NDArray[np.float32]


def read(folder: Path, channels: NDArray[np.float32], **how: int) -> tuple[Sound, list[str]]:
    soundfile.write(folder / "c.wav", channels, 16000, subtype="FLOAT")
    reader = SoundReader(folder / "c.wav", **how)
    return np.concatenate([*reader]), reader.notices


def test_channels_that_are_alike_are_averaged_without_a_word(tmp_path: Path, speech: Sound) -> None:
    got, notices = read(tmp_path, np.stack([speech, speech / 2], 1))
    assert np.allclose(got, speech * 0.75, atol=1e-7) and notices == []


@pytest.mark.parametrize("sign", [-1, -0.6])
def test_channels_that_cancel_are_summed_in_phase(
    tmp_path: Path, speech: Sound, sign: float
) -> None:
    got, notices = read(tmp_path, np.stack([speech, sign * speech], 1).astype(np.float32))
    assert np.allclose(got, speech * (1 - sign) / 2, atol=1e-6)
    assert notices == ["2 channels cancel each other; summed in phase"]


@pytest.mark.parametrize(("count", "alive"), [(2, 1), (18, 7), (32, 0)])
def test_silent_channels_are_left_out(
    tmp_path: Path, speech: Sound, count: int, alive: int
) -> None:
    channels = np.zeros((len(speech), count), np.float32)
    channels[:, alive] = speech
    got, notices = read(tmp_path, channels)
    assert np.array_equal(got, speech)
    assert notices == [f"{count - 1} of {count} channels are silent; the others are used"]


def test_noise_on_the_other_channels_does_not_hide_the_voice(tmp_path: Path, speech: Sound) -> None:
    rng = np.random.default_rng(0)
    loud = float(np.sqrt(np.mean(speech**2)))
    channels = rng.normal(0, loud / 4, (len(speech), 12)).astype(np.float32)
    channels[:, 3] = speech
    got, notices = read(tmp_path, channels)
    assert np.array_equal(got, speech)
    assert "channel 4 is used" in notices[0]


def test_a_long_file_is_mixed_as_a_short_one(tmp_path: Path, speech: Sound) -> None:
    """More than is kept in memory while the mix is chosen: the file is read twice."""
    long = np.tile(speech, (1 << 22) // len(speech))
    got, notices = read(tmp_path, np.stack([long, -long], 1))
    assert np.allclose(got, long, atol=1e-6) and len(notices) == 1


def test_one_channel_can_be_chosen(tmp_path: Path, speech: Sound) -> None:
    channels = np.stack([speech, speech / 4], 1)
    assert np.array_equal(read(tmp_path, channels, channel=2)[0], speech / 4)
    with pytest.raises(BadInput, match="no channel 3; expected 1 to 2"):
        read(tmp_path, channels, channel=3)


def test_silence_is_not_called_quiet(tmp_path: Path) -> None:
    assert read(tmp_path, np.zeros((16000, 2), np.float32))[1] == []


@pytest.mark.parametrize(("gain", "says"), [(-40, "quieter"), (0, ""), (40, "louder")])
def test_a_level_far_off_is_told(tmp_path: Path, speech: Sound, gain: float, says: str) -> None:
    sound = np.tanh(speech * np.float32(10 ** (gain / 20)))
    _, notices = read(tmp_path, sound[:, np.newaxis])
    assert bool(notices) == bool(says)
    if says:
        assert says in notices[0] and "edgeemo calibrate" in notices[0]


def test_no_shipped_speech_is_far_off(speech_files: list[Path]) -> None:
    for path in speech_files[::7]:
        reader = SoundReader(path)
        assert sum(map(len, reader)) and reader.notices == [], path


def test_the_level_is_that_of_the_loud_quarter_in_any_cut() -> None:
    """By hand: one second of .1, three of .001; the loud quarter is at -20 dB."""
    sound = np.concatenate([np.full(16000, 0.1), np.full(48000, 0.001)]).astype(np.float32)
    rng = np.random.default_rng(0)
    level, at = Level(16000), 0
    while at < len(sound):
        size = int(rng.integers(1, 9000))
        level.push(sound[at : at + size])
        at += size
    assert level.db() == pytest.approx(-20, abs=1)
