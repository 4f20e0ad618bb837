"""Estimates of a stream, gathered into utterances: one cue as long as somebody speaks."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from edgeemo.errors import printable
from edgeemo.results.cues import VOICE, Cue, milliseconds
from edgeemo.types import DIMENSIONS, Emotion

LONGEST_SECONDS = 30.0
"""An utterance without a pause that is longer is more than one cue."""

FACE = "face"
"""Whose a cue is where nobody speaks and a face is seen."""

_GAP_SECONDS = 1.0  # between two estimates: sound was lost, and what comes is another utterance


class Utterances:
    """Cues of estimates that come in the order of time.

    An estimate stands for the time since the one before. A cue has the mean of its estimates.
    """

    def __init__(self) -> None:
        self._who = ""
        self._start = self._end = 0.0
        self._found: list[Emotion] = []

    def push(self, emotion: Emotion) -> list[Cue]:
        """Take an estimate, give the cue that it ends, if it does."""
        who, start = _who(emotion), self._end
        lost = emotion.end - start > _GAP_SECONDS
        ends = lost or who != self._who or emotion.end - self._start > LONGEST_SECONDS
        ended = self.flush() if ends else []
        if not self._found:
            self._who, self._start = who, max(start, emotion.start) if lost else start
        self._end = emotion.end
        self._found.append(emotion)
        return ended

    def flush(self) -> list[Cue]:
        """The cue that is open, at the end of the stream."""
        found, self._found = self._found, []
        start, end = milliseconds(self._start), milliseconds(self._end)
        if not found or not self._who or end <= start:
            return []
        dimensions = _means({n: getattr(e, n) for n in DIMENSIONS} for e in found)
        classes = _means(dict(e.classes) for e in found)
        best = max(classes, key=classes.__getitem__, default="")
        return [Cue(self._who, start, end, dimensions, printable(best), classes.get(best, 0.0))]


def _who(emotion: Emotion) -> str:
    """Whose estimate it is; empty where nothing is claimed."""
    if not emotion.classes and all(getattr(emotion, name) is None for name in DIMENSIONS):
        return ""
    return VOICE if emotion.speech else FACE


def _means(values: Iterable[dict[str, float | None]]) -> dict[str, float]:
    """The mean of each name over those that have it."""
    known: dict[str, list[float]] = {}
    for one in values:
        for name, value in one.items():
            if value is not None:
                known.setdefault(name, []).append(value)
    return {name: fmean(numbers) for name, numbers in known.items()}
