"""Stretches of speech: short pauses stay, long ones and clicks go, any cut gives the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeemo.audio import read_audio
from edgeemo.speech.segments import SpeechSegments, find_speech, only_speech
from edgeemo.speech.vad import EnergyGate

Clip = NDArray[np.float32]
RATE = 16000


@pytest.fixture(scope="module")
def speech(speech_files: list[Path]) -> Clip:
    return read_audio(speech_files[0])


def silence(seconds: float) -> Clip:
    return np.zeros(round(seconds * RATE), np.float32)


def found(sound: Clip) -> list[tuple[float, float]]:
    return [(a / RATE, b / RATE) for a, b in find_speech(sound, RATE, EnergyGate())]


def test_a_clip_of_speech_is_one_stretch_of_its_length(speech_files: list[Path]) -> None:
    clips = [read_audio(path) for path in speech_files]
    whole = [c for c in clips if find_speech(c, RATE, EnergyGate()) == [(0, len(c))]]
    assert len(whole) > 0.8 * len(clips)  # in others somebody pauses for more than a second
    assert all(np.array_equal(only_speech(c, RATE, EnergyGate()), c) for c in whole)


@pytest.mark.parametrize("pause", [1.5, 4, 30])
def test_a_long_pause_is_left_out(speech: Clip, pause: float) -> None:
    seconds = len(speech) / RATE
    sound = np.concatenate([silence(pause), speech, silence(pause), speech, silence(pause)])
    (a, b), (c, d) = found(sound)
    assert pause - 0.1 <= a < b <= pause + seconds + 0.4  # margins, and the gate's hang
    assert 2 * pause + seconds - 0.1 <= c < d <= 2 * (pause + seconds) + 0.4


def test_a_short_pause_stays(speech: Clip) -> None:
    sound = np.concatenate([speech, silence(0.5), speech])
    assert found(sound) == [(0, len(sound) / RATE)]


def test_where_nobody_speaks_there_is_no_stretch() -> None:
    rng = np.random.default_rng(0)
    time = np.arange(4 * RATE) / RATE
    click = silence(4)
    click[2 * RATE : 2 * RATE + 80] = 0.5
    for sound in (silence(4), rng.normal(0, 0.05, 4 * RATE), 0.3 * np.sin(2764.6 * time), click):
        assert found(np.float32(sound)) == []
    assert found(silence(0)) == []


def test_a_clip_that_begins_in_speech_is_speech(speech: Clip) -> None:
    """The floor is not known at its beginning; the gate hears it twice."""
    for at in range(RATE // 2, len(speech) - RATE, RATE // 4):
        assert found(speech[at : at + RATE])


def test_any_blocks_give_the_same(speech: Clip) -> None:
    sound = np.concatenate([silence(2), speech, silence(3), speech, silence(2), speech[:8000]])
    whole = SpeechSegments(EnergyGate(), RATE)
    want = whole.push(sound) + whole.flush()
    assert len(want) == 3
    for size in (1, 159, 1600, 50_000):
        if size == 1:
            sound_part, parts = sound[: 3 * RATE], SpeechSegments(EnergyGate(), RATE)
            peer = SpeechSegments(EnergyGate(), RATE)
            got = [s for i in range(len(sound_part)) for s in parts.push(sound_part[i : i + 1])]
            assert got + parts.flush() == peer.push(sound_part) + peer.flush()
            continue
        got = [s for i in range(0, len(sound), size) for s in whole.push(sound[i : i + size])]
        assert got + whole.flush() == want
