"""What the world does to speech before a model is given it: for robustness.py.

All take float32 [n] at 16 kHz and give as many samples back; the same generator gives the same
sound. Levels are those of speech: pauses are left out, so that a clip with long pauses does not
meet softer noise.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeemo.compress.data.augment import (
    clipped,
    colored_noise,
    convolve,
    fit_length,
    limit_band,
    telephone,
)
from edgeemo.types import SAMPLE_RATE

Sound = NDArray[np.float32]
Change = Callable[[Sound, np.random.Generator], Sound]

TALKERS = 6
FRAME = 320  # samples, 20 ms
BELOW_LOUDEST_DB = 30.0  # a frame that is softer than the loudest by more is a pause
ROOM_CUBIC_METERS = 60.0


@dataclass(frozen=True)
class Condition:
    """One change.

    Attributes:
        name: as the table shows it.
        change: of a clip.
    """

    name: str
    change: Change


def conditions(talkers: Sequence[Sequence[Sound]]) -> list[Condition]:
    """All of them, the clean clip first.

    Args:
        talkers: clips of each of at least TALKERS people whom nobody judges, for the babble.
    """
    found = [Condition("clean", lambda x, rng: x)]
    for snr in (20, 10, 5, 0):
        found.append(Condition(f"babble {snr} dB", _babble(talkers, snr)))
    for snr in (20, 10, 5, 0):
        found.append(Condition(f"pink noise {snr} dB", _pink(snr)))
    for seconds in (0.3, 0.6, 1.0):
        for meters in (1.0, 3.0):
            found.append(Condition(f"room {seconds} s, {meters:.0f} m", _room(seconds, meters)))
    found.append(Condition("telephone", lambda x, rng: telephone(x)))
    found.append(Condition("Opus 16 kbit/s", lambda x, rng: opus(x, 16)))
    for db in (-30, -20, -10, 10):
        found.append(Condition(f"level {db:+d} dB", _level(db)))
    found.append(Condition("clipped", lambda x, rng: clipped(x, 20.0)))
    found.append(Condition("below 2 kHz", lambda x, rng: limit_band(x, 20.0, 2000.0)))
    return found


def speech_level(x: Sound) -> float:
    """Root mean square of what is not a pause, 0 for silence.

    Args:
        x: float32 [n].
    """
    frames = x[: len(x) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    power = np.square(frames).mean(1) if len(frames) else np.zeros(1)
    spoken = power[power >= power.max() * 10 ** (-BELOW_LOUDEST_DB / 10)]
    return float(np.sqrt(spoken.mean()))


def add_noise(x: Sound, noise: Sound, snr_db: float) -> Sound:
    """Add noise at a ratio to the level of speech; the sum keeps that level, and may clip.

    Args:
        x: float32 [n].
        noise: float32 [n], stationary.
        snr_db: level of speech over that of the noise.
    """
    level = speech_level(x)
    gain = level / max(float(np.sqrt(np.mean(np.square(noise, dtype=np.float64)))), 1e-9)
    return _within(x + np.float32(gain * 10 ** (-snr_db / 20)) * noise)


def opus(x: Sound, kbit: int) -> Sound:
    """There and back by ffmpeg's Opus coder.

    Args:
        x: float32 [n].
        kbit: 1000 bits a second.
    """
    raw = ["-f", "f32le", "-ar", str(SAMPLE_RATE), "-ac", "1"]
    quiet = ["ffmpeg", "-loglevel", "error"]
    coded = subprocess.run(
        [*quiet, *raw, "-i", "-", "-c:a", "libopus", "-b:a", f"{kbit}k", "-f", "ogg", "-"],
        input=x.astype("<f4").tobytes(),
        capture_output=True,
        check=True,
    ).stdout
    decoded = subprocess.run(
        [*quiet, "-i", "-", *raw, "-"], input=coded, capture_output=True, check=True
    ).stdout
    return _length(np.frombuffer(decoded, "<f4"), len(x))


def room(x: Sound, rt60: float, meters: float, rng: np.random.Generator) -> Sound:
    """A voice in a room of ROOM_CUBIC_METERS, with the level of speech it had.

    Direct sound and a tail of exponentially decaying noise (Polack's model); their ratio follows
    from the critical distance .057 sqrt(V / T) (Kuttruff, Room Acoustics).

    Args:
        x: float32 [n].
        rt60: seconds in which the tail falls by 60 dB.
        meters: between mouth and microphone.
        rng: draws the tail.
    """
    n = int(rt60 * SAMPLE_RATE)
    tail = rng.standard_normal(n) * np.exp(-np.log(1000) * np.arange(n) / n)
    tail[: FRAME // 8] = 0.0
    critical = 0.057 * np.sqrt(ROOM_CUBIC_METERS / rt60)
    tail *= meters / critical / float(np.sqrt(np.sum(np.square(tail))))
    tail[0] = 1.0
    wet = np.asarray(convolve(x, tail), np.float32)
    return _within(wet * np.float32(speech_level(x) / max(speech_level(wet), 1e-9)))


def babble(talkers: Sequence[Sequence[Sound]], n: int, rng: np.random.Generator) -> Sound:
    """Some people who speak at once, each as loud as the others.

    Args:
        talkers: clips of each.
        n: samples.
        rng: chooses people, clips and where they begin.
    """
    total = np.zeros(n, np.float32)
    for person in rng.choice(len(talkers), TALKERS, replace=False):
        clips = talkers[person]
        voice = np.concatenate([clips[i] for i in rng.permutation(len(clips))])
        voice = np.roll(voice, int(rng.integers(len(voice))))
        total += fit_length(voice, n) / np.float32(max(speech_level(voice), 1e-6))
    return total


def _babble(talkers: Sequence[Sequence[Sound]], snr: float) -> Change:
    return lambda x, rng: add_noise(x, babble(talkers, len(x), rng), snr)


def _pink(snr: float) -> Change:
    return lambda x, rng: add_noise(x, colored_noise(len(x), 1.0, rng), snr)


def _room(rt60: float, meters: float) -> Change:
    return lambda x, rng: room(x, rt60, meters, rng)


def _level(db: float) -> Change:
    return lambda x, rng: _within(x * np.float32(10 ** (db / 20)))


def _within(x: Sound) -> Sound:
    return np.clip(x, -1, 1).astype(np.float32)


def _length(x: NDArray[np.floating], n: int) -> Sound:
    return _within(np.pad(x, (0, max(0, n - len(x))))[:n].astype(np.float32))
