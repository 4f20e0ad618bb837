"""Smoothing of a stream's estimates, with hysteresis: single windows chatter."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgeemo import _native
from edgeemo.errors import BadInput
from edgeemo.types import Emotion


@dataclass(frozen=True)
class Smoothing:
    """How estimates are smoothed.

    Attributes:
        seconds: time constant of the running mean: after a step, 63 % of the way is gone in this
            time. More than 0.
        margin: 0..1; how much likelier another class must be, in the running mean, before it
            takes the place of the one that is shown. So two classes that are about as likely do
            not take turns.
        forget_seconds: after so long without an estimate (nobody spoke, or the model abstained)
            the next one starts afresh; what somebody said a minute ago says little about now.
    """

    seconds: float = 1.0
    margin: float = 0.1
    forget_seconds: float = 5.0

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            BadInput: a value is out of its range.
        """
        for name, low, high in (("seconds", 0, 3600), ("forget_seconds", 0, 1e6)):
            value = getattr(self, name)
            if not low < value <= high:
                raise BadInput(
                    f"smoothing: {name} is {value!r}; expected more than {low}, to {high:g}"
                )
        if not 0 <= self.margin <= 1:
            raise BadInput(f"smoothing: margin is {self.margin!r}; expected 0 to 1")


SMOOTHING = Smoothing()
"""What a stream does unless told otherwise."""


class Smoother:
    """A running mean of estimates in the order of their time.

    The mean is exponential and knows the true time between estimates, so another hop needs no
    other setting. Estimates without numbers pass through and leave the mean as it is. All is
    computed in float32, with the bits of the C library's streams.
    """

    def __init__(self, smoothing: Smoothing) -> None:
        self._how = smoothing
        self._last: Emotion | None = None

    def push(self, emotion: Emotion) -> Emotion:
        """The smoothed estimate at the time of `emotion`.

        Args:
            emotion: an estimate whose `end` is not before that of the one before.

        Returns:
            The same with smoothed dimensions, classes and confidence; `expression` follows the
            classes with hysteresis. `start`, `end`, `speech` and `box` are those of `emotion`.
        """
        if emotion.arousal is None and not emotion.classes:
            return emotion
        last = self._last
        elapsed = np.float32(emotion.end - (emotion.end if last is None else last.end))
        if last is None or elapsed > np.float32(self._how.forget_seconds):
            self._last = emotion
            return emotion
        new = _native.smoothing_weight(float(elapsed), self._how.seconds)
        classes = {k: _mix(last.classes.get(k), v, new) for k, v in emotion.classes.items()}
        self._last = replace(
            emotion,
            arousal=_optional_mix(last.arousal, emotion.arousal, new),
            dominance=_optional_mix(last.dominance, emotion.dominance, new),
            valence=_optional_mix(last.valence, emotion.valence, new),
            classes=classes,
            confidence=_mix(last.confidence, emotion.confidence, new),
            expression=self._expression(last.expression, classes),
        )
        return self._last

    def reset(self) -> None:
        """Forget all estimates."""
        self._last = None

    def _expression(self, shown: str | None, classes: dict[str, float]) -> str | None:
        best = max(classes, key=classes.__getitem__, default=None)
        if best is None or shown not in classes:
            return best
        bound = np.float32(classes[shown]) + np.float32(self._how.margin)
        return best if classes[best] > bound else shown


def _mix(old: float | None, value: float, new: float) -> float:
    if old is None:
        return value
    first = np.float32(old)
    return float(first + np.float32(new) * (np.float32(value) - first))


def _optional_mix(old: float | None, value: float | None, new: float) -> float | None:
    return None if value is None else _mix(old, value, new)
