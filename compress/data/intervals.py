"""Where annotators put arousal, dominance and valence of a category: weak supervision.

A category says little about the dimensions, and words exaggerate, so this gives intervals for
hinge losses and for sanity checks of a teacher. Never use the middle as a target.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from edgeemo.types import CLASSES

Triple = tuple[float, float, float]
Interval = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


class Expected(NamedTuple):
    """Center and half width by dimension (arousal, dominance, valence; 0..1), and their source."""

    center: Triple
    half: Triple
    source: Literal["listeners", "words"]


def _listeners(mean: Triple, sd: Triple) -> Expected:
    """Mean over clips of the mean of three listeners, and 2 sd between clips."""
    return Expected(mean, (2 * sd[0], 2 * sd[1], 2 * sd[2]), "listeners")


def _words(value: Triple) -> Expected:
    """A word's rating pulled half way to the middle of the scale, and .25 each way."""
    a, d, v = ((x + 0.5) / 2 for x in value)
    return Expected((a, d, v), (0.25, 0.25, 0.25), "words")


# Listeners: EmoTale, 625 acted clips by 14 speakers, Danish and English, three raters, measured
# from its annotations. Words: Russell and Mehrabian, "Evidence for a three-factor theory of
# emotions", J. Research in Personality 11, 1977 (-1..1 there, here (x + 1) / 2).
EXPECTED: Mapping[str, Expected] = {
    "anger": _listeners((0.67, 0.68, 0.32), (0.12, 0.15, 0.15)),
    "happiness": _listeners((0.72, 0.57, 0.74), (0.11, 0.09, 0.13)),
    "sadness": _listeners((0.39, 0.33, 0.25), (0.15, 0.11, 0.11)),
    "boredom": _listeners((0.27, 0.29, 0.32), (0.13, 0.11, 0.08)),
    "neutral": _listeners((0.36, 0.37, 0.40), (0.10, 0.09, 0.07)),
    "fear": _words((0.80, 0.29, 0.18)),
    "disgust": _words((0.68, 0.56, 0.20)),
    "surprise": _words((0.84, 0.44, 0.70)),
}


def interval(emotion: str) -> Interval | None:
    """Expected range of arousal, dominance and valence of a category.

    Args:
        emotion: a word of `emotions.WORDS`.

    Returns:
        Three pairs (low, high) within 0..1, or None where nothing is known (calm, contempt).
    """
    expected = EXPECTED.get(emotion)
    if expected is None:
        return None
    pairs = zip(expected.center, expected.half, strict=True)
    a, d, v = ((max(0.0, c - h), min(1.0, c + h)) for c, h in pairs)
    return a, d, v


def centers() -> list[list[float]]:
    """Middle of arousal, dominance and valence of each of CLASSES; NaN for contempt, not known."""
    unknown = [float("nan")] * 3
    return [list(EXPECTED[name].center) if name in EXPECTED else unknown for name in CLASSES]
