"""Gates: any cut gives the same answers; noise is learned; speech is heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeemo.audio import read_audio
from edgeemo.errors import BadInput
from edgeemo.speech.vad import EnergyGate, Gate, SileroGate, SpeechShare, open_gate

Clip = NDArray[np.float32]
RATE = 16000


@pytest.fixture(scope="module")
def sound(speech_files: list[Path]) -> Clip:
    """2 s of quiet noise, speech, 2 s of quiet noise."""
    rng = np.random.default_rng(0)
    quiet = rng.normal(0, 1e-3, (2, 2 * RATE)).astype(np.float32)
    return np.concatenate([quiet[0], read_audio(speech_files[0]), quiet[1]])


@pytest.mark.parametrize("name", ["energy", "silero"])
def test_speech_is_heard_and_quiet_is_not(name: str, sound: Clip) -> None:
    gate = open_gate(name, RATE)
    assert gate is not None
    said = gate.push(sound)
    assert len(said) == len(sound) // gate.block
    n = 2 * RATE // gate.block
    assert not said[:n].any()
    assert said[n:-n].mean() > 0.5
    assert not said[-n // 2 :].any()  # after the hang
    gate.reset()
    assert np.array_equal(gate.push(sound[:33000]), said[: 33000 // gate.block])


@given(sizes=st.lists(st.integers(0, 5000), min_size=1, max_size=5).filter(lambda s: sum(s) > 99))
@settings(max_examples=8, deadline=None)
def test_any_cut_gives_the_same(sound: Clip, sizes: list[int]) -> None:
    gate = EnergyGate()
    assert np.array_equal(in_parts(gate, sound, sizes), EnergyGate().push(sound))


def test_any_cut_gives_the_same_with_silero(sound: Clip) -> None:
    part = sound[RATE : 3 * RATE]
    assert np.array_equal(in_parts(SileroGate(), part, [100, 0, 1500]), SileroGate().push(part))


def in_parts(gate: Gate, sound: Clip, sizes: list[int]) -> NDArray[np.bool_]:
    found, at, i = [], 0, 0
    while at < len(sound):
        size = sizes[i % len(sizes)]
        found.append(gate.push(sound[at : at + size]))
        at, i = at + size, i + 1
    return np.concatenate(found)


@pytest.mark.parametrize("level", [1e-3, 0.02, 0.3])
def test_steady_noise_is_learned(level: float) -> None:
    """Noise that begins suddenly may be heard at first; 2 dB a second later it is the floor."""
    noise = np.random.default_rng(1).normal(0, level, 30 * RATE).astype(np.float32)
    said = EnergyGate().push(noise)
    assert not said[-200:].any()


def test_hum_offset_and_digital_silence_are_no_speech() -> None:
    time = np.arange(4 * RATE) / RATE
    for x in (0.5 + 0 * time, 0.05 * np.sin(2 * np.pi * 50 * time), 0 * time):
        assert not EnergyGate().push(x.astype(np.float32))[100:].any()


def test_a_bad_sample_changes_nothing(sound: Clip) -> None:
    gate, peer = EnergyGate(), EnergyGate()
    gate.push(sound[:33000])
    peer.push(sound[:33000])
    with pytest.raises(BadInput, match="not finite"):
        gate.push(np.float32([0, np.nan]))
    assert np.array_equal(gate.push(sound[33000:]), peer.push(sound[33000:]))


def test_rates() -> None:
    assert EnergyGate(44100).block == 441
    with pytest.raises(BadInput, match="rate is 10 Hz: sample_rate"):
        EnergyGate(10)
    with pytest.raises(BadInput, match="expected 16000"):
        SileroGate(8000)


def test_share_of_a_window() -> None:
    class Given:
        """Says what the samples say."""

        block = 10

        def push(self, samples: Clip) -> NDArray[np.bool_]:
            return samples[::10] > 0

        def reset(self) -> None:
            """Nothing is kept."""

    share = SpeechShare(Given(), 1000)
    for part in np.split(np.repeat([0, 0, 1, 0], 500).astype(np.float32), 20):
        share.push(part)
    assert not share.spoken(1500, 2000) and share.spoken(1000, 2000)
    assert share.spoken(1400, 1900) and not share.spoken(1450, 1950)
    share.reset()
    assert not share.spoken(0, 0)
