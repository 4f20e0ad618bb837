"""Estimates as flat rows of floats and strings, for a table."""

from __future__ import annotations

from collections.abc import Iterable

from edgeemo.faces.analysis import Tracked
from edgeemo.types import CLASSES, DIMENSIONS, SOUNDS, Emotion

Record = dict[str, float | str]

_SIDES = ("left", "top", "right", "bottom")
_ABSENT = float("nan")


def to_records(estimates: Emotion | Tracked | Iterable[Emotion | Tracked]) -> list[Record]:
    """A row an estimate, all rows with the same keys: what `pandas.DataFrame` takes.

        >>> import edgeemo
        >>> edgeemo.to_records(edgeemo.Emotion(0.7, 0.5, 0.2, end=1.5))[0]["arousal"]
        0.7

    Args:
        estimates: one estimate or any number, of speech, of faces, of a stream or fused.

    Returns:
        For each estimate a flat dict: `start` and `end` in seconds; `arousal`, `dominance` and
        `valence` in 0..1; the probability of each class; `confidence`; `speech`, 1.0 if somebody
        speaks and 0.0 if nobody does; `sound_speech`, `sound_laughter` and so on, the shares of
        `Emotion.sounds`; `face`, the number of a tracked face; `left`, `top`, `right`
        and `bottom` of its box in pixels; all floats, NaN where there is none, so that a column
        has one type. `expression` and `sides` are strings, empty where there is none.
    """
    several = [estimates] if isinstance(estimates, (Emotion, Tracked)) else estimates
    return [_record(estimate) for estimate in several]


def _record(estimate: Emotion | Tracked) -> Record:
    number, emotion = (
        (float(estimate.id), estimate.emotion)
        if isinstance(estimate, Tracked)
        else (_ABSENT, estimate)
    )
    record: Record = {"start": emotion.start, "end": emotion.end}
    record |= {name: _number(getattr(emotion, name)) for name in DIMENSIONS}
    record |= {name: _number(emotion.classes.get(name)) for name in CLASSES}
    record |= {"confidence": float(emotion.confidence), "speech": _number(emotion.speech)}
    record |= {"expression": emotion.expression or ""}
    record |= {"sides": " ".join(getattr(emotion, "sides", ())), "face": number}
    record |= {f"sound_{k}": _number(emotion.sounds.get(k)) for k in ("speech", *SOUNDS)}
    box = emotion.box or (None,) * 4
    return record | {side: _number(value) for side, value in zip(_SIDES, box, strict=True)}


def _number(value: float | None) -> float:
    return _ABSENT if value is None else float(value)
