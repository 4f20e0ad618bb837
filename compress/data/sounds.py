"""Sounds that somebody labelled, and speech in noise, as examples for telling them apart.

What is heard in a clip is told of each 10 ms. Speech is told by the level of the clean recording,
before anything is added to it; sounds by the label of their clip, where they are not silent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgeemo.types import SAMPLE_RATE, SOUNDS

from .augment import Sound, colored_noise, fit_length, reverberate
from .clips import Clip

LABELS = ("speech", *SOUNDS)
"""What is told of each block, in this order."""

BLOCK = SAMPLE_RATE // 100
"""Samples of which one thing is told."""

SPEECH_DB, PAUSE_DB = 30.0, 45.0
"""Below the loudest tenth of a clean recording: speech down to the one, a pause from the other on;
between the two nobody can say."""

_OF: Mapping[str, tuple[str, ...]] = {
    "laughter": ("laughing", "laughter", "amusement"),
    "crying": ("crying",),
    "screaming": ("screaming",),
    "coughing": ("coughing", "throat-clearing"),
    "sighing": ("sighing", "panting", "yawning"),
    "music": ("music",),
}
"""Words of the columns `sound` and `burst` for each sound; any other word is "other"."""

_MAYBE: Mapping[str, tuple[str, ...]] = {
    "laughter": ("elation", "contentment", "surprise_positive", "triumph", "pride", "contempt"),
    "crying": ("sadness", "distress", "pain"),
    "screaming": ("fear", "pain", "anger", "distress", "elation", "triumph", "surprise_negative"),
    "coughing": ("disgust",),
    "sighing": ("relief", "contentment", "sadness", "distress", "fear", "neutral", "contempt"),
    "speech": ("neutral",),
}
"""What a burst may sound like too: people were told what to express, not by which sound."""

BURST_CLASSES: Mapping[str, str] = {
    "amusement": "happiness",
    "anger": "anger",
    "contempt": "contempt",
    "contentment": "happiness",
    "disgust": "disgust",
    "elation": "happiness",
    "fear": "fear",
    "neutral": "neutral",
    "sadness": "sadness",
    "surprise_negative": "surprise",
    "surprise_positive": "surprise",
}
"""What people were asked to express by a sound, as a class; other sounds teach nothing."""

Told = NDArray[np.float32]


@dataclass(frozen=True)
class Example:
    """A sound and what is heard in it.

    Attributes:
        samples: float32 [n], 16 kHz.
        told: [n // BLOCK, 8], for each of LABELS 1 (heard), 0 (not heard) or NaN (nobody can say).
        kind: what examples are balanced by: one of LABELS, "burst" or "noise".
    """

    samples: Sound
    told: Told
    kind: str


def word_of(clip: Clip) -> str:
    """What the labels call the sound of a clip; "" for speech."""
    return clip.tags.get("sound") or clip.tags.get("burst") or ""


def burst_class(clip: Clip) -> str:
    """The class that a burst of the voice was to express; "" for other bursts and all else."""
    return BURST_CLASSES.get(clip.tags.get("burst") or "", "")


def sound_of(clip: Clip) -> str:
    """Which of SOUNDS a clip is; "" for speech."""
    word = word_of(clip)
    return next((sound for sound, words in _OF.items() if word in words), "other" if word else "")


def spoken(clean: Sound) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of each block of a clean recording of speech: surely speech, surely a pause.

    Args:
        clean: float32 [n], 16 kHz.
    """
    level = _levels(clean)
    top = np.percentile(level, 90) if len(level) else 0.0
    return level > top - SPEECH_DB, level < top - PAUSE_DB


def examples(clips: Sequence[Clip], rng: np.random.Generator) -> Iterator[Example]:
    """Each clip as it is and changed: in noise, before music, in a room, at another level.

    Args:
        clips: speech, sounds and music.
        rng: draws the changes.
    """
    music = [clip for clip in clips if sound_of(clip) == "music"]
    for clip in clips:
        clean = clip.samples()
        made = _of_sound(clip, clean, rng) if sound_of(clip) else _of_speech(clean, music, rng)
        for example in made:
            level = 10 ** (rng.uniform(-30, 6) / 20)
            loud = np.clip(example.samples * np.float32(level), -1, 1)
            yield replace(example, samples=loud.astype(np.float32))
    for _ in range(len(clips) // 50):
        samples = np.float32(0.05) * _noise(5 * SAMPLE_RATE, rng)
        yield Example(samples, np.zeros((len(samples) // BLOCK, len(LABELS)), np.float32), "noise")


def behind(voice: Sound, noise: Sound, snr_db: float) -> Sound:
    """Noise or music behind a voice; both levels are those of what is not silent.

    Args:
        voice: float32 [n].
        noise: float32, of any length.
        snr_db: level of the voice over that of the noise.
    """
    gain = _loudness(voice) / _loudness(noise) * 10 ** (-snr_db / 20)
    return (voice + np.float32(gain) * fit_length(noise, len(voice))).astype(np.float32)


def _of_speech(clean: Sound, music: Sequence[Clip], rng: np.random.Generator) -> Iterator[Example]:
    speech, pause = spoken(clean)
    # Blocks of silence before and behind, in which nobody speaks.
    lead, tail = int(rng.uniform(0, 200)), int(rng.uniform(0, 100))
    told = np.zeros((lead + len(speech) + tail, len(LABELS)), np.float32)
    said = np.where(speech, 1.0, np.where(pause, 0.0, np.nan))
    told[lead : lead + len(speech), 0] = said
    ends = (np.zeros(blocks * BLOCK, np.float32) for blocks in (lead, tail))
    voice = np.concatenate([next(ends), clean[: len(speech) * BLOCK], next(ends)])
    yield Example(voice, told, "speech")
    yield Example(behind(voice, _noise(len(voice), rng), rng.uniform(0, 25)), told, "speech")
    yield Example(reverberate(voice, rng.uniform(0.2, 0.8), rng), told, "speech")
    if music:
        piece = music[int(rng.integers(len(music)))].samples()
        heard = told.copy()
        # Behind a voice soft music is hardly heard, in a pause it is.
        heard[:, LABELS.index("music")] = np.where(told[:, 0] == 0, 1.0, np.nan)
        yield Example(behind(voice, piece, rng.uniform(5, 20)), heard, "speech")


def _of_sound(clip: Clip, clean: Sound, rng: np.random.Generator) -> Iterator[Example]:
    level = _levels(clean)
    loud = level > max(np.percentile(level, 95) - SPEECH_DB, -65.0) if len(level) else level > 0
    sound, word = sound_of(clip), word_of(clip)
    told = np.zeros((len(loud), len(LABELS)), np.float32)
    told[:, LABELS.index(sound)] = loud
    for other, words in _MAYBE.items():
        if word in words:
            told[:, LABELS.index(other)] = np.nan
    kind = "burst" if "burst" in clip.tags and sound == "other" else sound
    yield Example(clean, told, kind)
    if kind in ("music", "burst"):
        return
    yield Example(behind(clean, _noise(len(clean), rng), rng.uniform(5, 25)), told, kind)
    yield Example(reverberate(clean, rng.uniform(0.2, 0.8), rng), told, kind)


def _levels(x: Sound) -> NDArray[np.float64]:
    """Of each block in dB; speech and laughs go on through short gaps, so 50 ms on both sides."""
    blocks = x[: len(x) // BLOCK * BLOCK].reshape(-1, BLOCK).astype(np.float64)
    level = 10 * np.log10(np.square(blocks).mean(1) + 1e-12)
    return np.array([level[max(0, i - 5) : i + 6].max() for i in range(len(level))])


def _loudness(x: Sound) -> float:
    level = _levels(x)
    loud = level[level > level.max() - SPEECH_DB] if len(level) else level
    return float(10 ** (np.mean(loud) / 20)) if len(loud) else 1e-6


def _noise(n: int, rng: np.random.Generator) -> Sound:
    return colored_noise(n, float(rng.choice([0.0, 1.0, 2.0])), rng)
