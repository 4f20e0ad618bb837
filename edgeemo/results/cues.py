"""Stretches of time with what was found in them: what subtitles and annotation programs show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgeemo.errors import printable
from edgeemo.types import DIMENSIONS

VOICE = "voice"

_NEAR_MS = 200  # frames of a video are at most so far apart: a face that is seen on goes on
_LEAST_MS = 40  # a face that is seen in one frame alone


@dataclass(frozen=True)
class Cue:
    """What one voice or face gave in a stretch of time.

    Attributes:
        who: "voice", or "face" and its number.
        start, end: milliseconds since the first sample or frame, 0 <= start < end.
        dimensions: arousal, dominance, valence in 0..1; absent where the model has none.
        expression: the likeliest class; empty without classes.
        probability: of that class, 0..1.
    """

    who: str
    start: int
    end: int
    dimensions: Mapping[str, float]
    expression: str = ""
    probability: float = 0.0

    def text(self) -> str:
        """One line: the class with its probability, then the dimensions."""
        parts = [f"{self.expression} {self.probability:.2f}"] if self.expression else []
        parts += [f"{name} {value:.2f}" for name, value in self.dimensions.items()]
        return ", ".join(parts)


def milliseconds(seconds: float) -> int:
    """Times in whole milliseconds; starts and ends alike, so that neighbours touch."""
    return round(1000 * seconds)


def cues_of(rows: Iterable[Mapping[str, Any]]) -> list[Cue]:
    """Cues of the rows that `edgeemo predict --json` prints, in the order of time.

    A face's rows end with its last frame, not where the next second begins: where it is seen on,
    its cue lasts until then. Rows without numbers (nobody speaks, errors) give no cue.

    Args:
        rows: of one recording.
    """
    by_who: dict[str, list[Cue]] = {}
    for cue in filter(None, map(_cue, rows)):
        by_who.setdefault(cue.who, []).append(cue)
    cues = [cue for one in by_who.values() for cue in _touching(one)]
    return sorted(cues, key=lambda cue: (cue.start, cue.who))


def _cue(row: Mapping[str, Any]) -> Cue | None:
    dimensions = {n: float(row[n]) for n in DIMENSIONS if row.get(n) is not None}
    classes = row.get("classes") or {}
    if not dimensions and not classes:
        return None
    best = max(classes, key=classes.__getitem__, default="")
    who = f"face {row['face']}" if "face" in row else VOICE
    start, end = milliseconds(row["start"]), milliseconds(row["end"])
    return Cue(who, start, end, dimensions, printable(best), float(classes.get(best, 0.0)))


def _touching(cues: list[Cue]) -> list[Cue]:
    """Cues of one voice or face, in order; those of a face without the gap of one frame."""
    cues = sorted(cues, key=lambda cue: cue.start)
    afters = [*(cue.start for cue in cues[1:]), None]
    return [replace(cue, end=_end(cue, after)) for cue, after in zip(cues, afters, strict=True)]


def _end(cue: Cue, after: int | None) -> int:
    if cue.who == VOICE:
        return cue.end
    end = max(cue.end, cue.start + _LEAST_MS)
    return after if after is not None and after <= end + _NEAR_MS else end
