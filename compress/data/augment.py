"""Augmentation of sound, drawn from a generator: numpy, deterministic.

The teacher labels the changed sound, so a change may be strong enough to change how the
voice is perceived.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import soxr
from numpy.typing import NDArray

from edgeemo.types import SAMPLE_RATE

from ..recipes import AugmentConfig

Sound = NDArray[np.float32]

MU = 255.0
"""Of the mu-law."""

_MAX_GAIN = 30.0
"""A second clip is made at most this many times as loud: beyond lies its recording noise."""


def augment(
    samples: Sound, rng: np.random.Generator, config: AugmentConfig, other: Callable[[], Sound]
) -> tuple[Sound, str]:
    """One changed copy of a clip.

    Args:
        samples: float32 [n], 16 kHz.
        rng: the only source of chance; the same state gives the same copy.
        config: probabilities and ranges.
        other: gives a second clip; called at most once.

    Returns:
        float32 samples, finite, peak at most 1, and how the second clip was used: "" (not at
        all), "babble" (behind the voice) or "mixup" (it is as loud: the annotators' labels of the
        first clip no longer hold).
    """
    # All chances are drawn first, so that one probability does not shift the others.
    chance = dict(
        zip(("mixup", "noise", "babble", "reverb", "band", "speed"), rng.random(6), strict=True)
    )
    # Recipes without them keep the draws that they had.
    for name in ("microphone", "telephone", "clip"):
        chance[name] = rng.random() if getattr(config, f"{name}_p") else 1.0
    used = ""
    x = samples
    if chance["speed"] < config.speed_p:
        x = change_speed(x, rng.uniform(*config.speed))
    if chance["mixup"] < config.mixup_p:
        x, used = mix(x, other(), rng.uniform(0.1, config.mixup_share)), "mixup"
    if chance["reverb"] < config.reverb_p:
        x = reverberate(x, rng.uniform(*config.rt60), rng, config.direct_db)
    if chance["noise"] < config.noise_p:
        if chance["babble"] < config.babble_p and not used:
            noise, used = babble(other(), len(x), config.babble_voices, rng), "babble"
        else:
            noise = colored_noise(len(x), rng.choice([0.0, 1.0, 2.0]), rng)
        x = add_at_snr(x, noise, rng.uniform(*config.snr_db))
    if chance["microphone"] < config.microphone_p:
        x = another_microphone(x, config.microphone_db, rng)
    if chance["band"] < config.band_p:
        x = limit_band(x, rng.uniform(*config.low_hz), rng.uniform(*config.high_hz))
    if chance["clip"] < config.clip_p:
        x = clipped(x, rng.uniform(*config.clip_db))
    x = x * np.float32(10 ** (rng.uniform(*config.gain_db) / 20))
    peak = float(np.max(np.abs(x), initial=0))
    x = (x / np.float32(max(1.0, peak))).astype(np.float32)
    # Last: the mu-law's steps are those of full scale, whatever the level.
    return (telephone(x) if chance["telephone"] < config.telephone_p else x), used


def change_speed(x: Sound, factor: float) -> Sound:
    """Play faster or slower; pitch goes along, as on tape.

    Args:
        x: float32 [n].
        factor: above 0; 2 plays twice as fast.

    Returns:
        About n / factor samples.
    """
    # Rates as whole numbers keep soxr's phase arithmetic exact.
    return np.asarray(soxr.resample(x, round(SAMPLE_RATE * factor), SAMPLE_RATE), np.float32)


def mix(x: Sound, other: Sound, share: float) -> Sound:
    """Sum with another clip that is brought to the same level.

    Args:
        x: float32 [n].
        other: float32, of any length; tiled or cut to n.
        share: 0..1, of the other in the sum.
    """
    other = fit_length(other, len(x))
    level = _rms(x) / max(_rms(other), 1e-5)
    return ((1 - share) * x + share * min(level, _MAX_GAIN) * other).astype(np.float32)


def colored_noise(n: int, slope: float, rng: np.random.Generator) -> Sound:
    """Noise whose power falls with frequency.

    Args:
        n: samples.
        slope: power goes as frequency to the power -slope: 0 white, 1 pink, 2 brown.
        rng: the only source of chance.

    Returns:
        float32 [n], of no particular level.
    """
    spectrum = np.fft.rfft(rng.standard_normal(n))
    # Flat below 20 Hz: brown noise would else be one slow wave.
    frequency = np.maximum(np.fft.rfftfreq(n, 1 / SAMPLE_RATE), 20.0)
    return np.fft.irfft(spectrum * frequency ** (-slope / 2), n).astype(np.float32)


def add_at_snr(x: Sound, noise: Sound, snr_db: float) -> Sound:
    """Add noise.

    Args:
        x: float32 [n].
        noise: float32 [n].
        snr_db: ratio of their powers over the whole clip, dB.
    """
    gain = _rms(x) / max(_rms(noise), 1e-9) * 10 ** (-snr_db / 20)
    return (x + np.float32(gain) * noise).astype(np.float32)


def babble(other: Sound, n: int, voices: tuple[int, int], rng: np.random.Generator) -> Sound:
    """Voices at once, made of one clip: each at a place, speed and pitch of its own.

    Args:
        other: float32, of any length above 0.
        n: wanted samples.
        voices: fewest and most; one is the clip as it is.
        rng: draws number, places and speeds; nothing where a single voice is asked for.

    Returns:
        float32 [n], of no particular level.
    """
    if voices[1] == 1:
        return fit_length(other, n)
    total = np.zeros(n, np.float32)
    for _ in range(int(rng.integers(voices[0], voices[1] + 1))):
        voice = change_speed(other, rng.uniform(0.8, 1.25))
        total += fit_length(np.roll(voice, int(rng.integers(len(voice)))), n)
    return total


def reverberate(
    x: Sound, rt60: float, rng: np.random.Generator, direct_db: tuple[float, float] = (-3.0, 12.0)
) -> Sound:
    """A voice some metres away in a room: direct path and an exponentially decaying tail.

    Args:
        x: float32 [n].
        rt60: seconds in which the tail falls by 60 dB.
        rng: draws the tail and the distance.
        direct_db: ratio of direct sound to tail, smallest and largest.

    Returns:
        float32 [n], with the level of x.
    """
    n = int(rt60 * SAMPLE_RATE)
    time = np.arange(n) / SAMPLE_RATE
    tail = rng.standard_normal(n) * np.exp(-np.log(1000) * time / rt60)
    tail[: int(0.002 * SAMPLE_RATE)] = 0  # the first wall is some tens of centimetres further
    tail *= 10 ** (-rng.uniform(*direct_db) / 20) / max(float(np.sqrt(np.sum(tail**2))), 1e-9)
    tail[0] = 1.0
    wet = convolve(x, tail)
    return (wet * (_rms(x) / max(_rms(wet), 1e-9))).astype(np.float32)


def convolve(x: Sound, response: NDArray[np.floating]) -> NDArray[np.floating]:
    """What a room makes of a sound, by FFT.

    Args:
        x: float32 [n].
        response: [m], the room's answer to an impulse.

    Returns:
        The first n samples.
    """
    size = 1 << (len(x) + len(response) - 1).bit_length()
    return np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(response, size), size)[: len(x)]


def limit_band(x: Sound, low_hz: float, high_hz: float) -> Sound:
    """Telephone-like band: magnitudes of Butterworth filters, without their phase.

    Args:
        x: float32 [n].
        low_hz: lower edge; 12 dB an octave below it (second order).
        high_hz: upper edge; 24 dB an octave above it (fourth order).
    """
    f = np.fft.rfftfreq(len(x), 1 / SAMPLE_RATE)
    with np.errstate(divide="ignore"):
        gain = 1 / np.sqrt(1 + (low_hz / f) ** 4) / np.sqrt(1 + (f / high_hz) ** 8)
    return np.fft.irfft(np.fft.rfft(x) * gain, len(x)).astype(np.float32)


def telephone(x: Sound) -> Sound:
    """300 to 3400 Hz at 8 kHz, eight bits of the mu-law (ITU-T G.711's continuous form).

    Args:
        x: float32 [n], -1..1.

    Returns:
        float32 [n], -1..1.
    """
    narrow = soxr.resample(limit_band(x, 300.0, 3400.0), SAMPLE_RATE, SAMPLE_RATE // 2)
    squeezed = np.sign(narrow) * np.log1p(MU * np.abs(np.clip(narrow, -1, 1))) / np.log1p(MU)
    coded = np.round(squeezed * 127) / 127
    wide = np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(MU)) / MU
    back = np.asarray(soxr.resample(wide, SAMPLE_RATE // 2, SAMPLE_RATE), np.float32)
    return np.clip(np.pad(back, (0, max(0, len(x) - len(back))))[: len(x)], -1, 1)


def clipped(x: Sound, gain_db: float) -> Sound:
    """Too much gain before the converter, brought back to the old level.

    Args:
        x: float32 [n].
        gain_db: of the peak over full scale.
    """
    limit = float(np.max(np.abs(x), initial=0)) * 10 ** (-gain_db / 20)
    return np.clip(x, -limit, limit) if limit > 0 else x


def another_microphone(x: Sound, largest_db: float, rng: np.random.Generator) -> Sound:
    """A smooth response that rises and falls from octave to octave.

    Args:
        x: float32 [n].
        largest_db: of a rise or fall.
        rng: draws the response.

    Returns:
        float32 [n], with the level of x.
    """
    octaves = SAMPLE_RATE / 2 * 2.0 ** np.arange(-7, 1)  # 62.5 Hz to 8 kHz
    gain_db = rng.uniform(-largest_db, largest_db, len(octaves))
    f = np.fft.rfftfreq(len(x), 1 / SAMPLE_RATE)
    response = np.interp(np.log2(np.maximum(f, octaves[0])), np.log2(octaves), gain_db)
    heard = np.fft.irfft(np.fft.rfft(x) * 10 ** (response / 20), len(x))
    return (heard * (_rms(x) / max(_rms(heard), 1e-9))).astype(np.float32)


def fit_length(x: Sound, n: int) -> Sound:
    """Tile or cut a sound.

    Args:
        x: float32, of any length above 0.
        n: wanted samples.
    """
    return np.resize(x, n)


def crop(x: Sound, seconds: float, rng: np.random.Generator | None) -> Sound:
    """A stretch of a sound.

    Args:
        x: float32, 16 kHz.
        seconds: the most that is kept.
        rng: chooses the place; None takes the start.
    """
    n = int(seconds * SAMPLE_RATE)
    if len(x) <= n:
        return x
    start = 0 if rng is None else int(rng.integers(len(x) - n + 1))
    return x[start : start + n]


def _rms(x: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
