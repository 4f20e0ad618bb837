"""Voice and face to one estimate, as people who hear and see put them together.

Late fusion: each side's model gives its own estimate, and these are weighed. The weights were
fitted on what people chose of 7,442 CREMA-D clips from the voice alone, from the face alone and
from both (`benchmarks/fusion.py`). They say how much each side tells when both are as good as
people are; how good each is at this moment, its confidence and its age say.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeemo.errors import BadInput, within
from edgeemo.types import CLASSES, DIMENSIONS, Emotion

STALE_SECONDS = 1.0
"""A side's estimate of this age no longer counts; until then its weight falls to 0 steadily."""

EXPONENTS: Mapping[str, float] = {"voice": 0.496, "face": 0.969}
"""Of each side's class probabilities in their normalized product."""

VOICE_SHARE: Mapping[str, float] = {"arousal": 0.294, "dominance": 0.402, "valence": 0.199}
"""Weight of the voice in each dimension, of 1; the rest is the face's."""

# Added to each probability, so that a class that one side rules out is unlikely, not impossible. In
# the fit it is half a vote to the counts of ten people.
_DOUBT = 0.05

_KEPT = 64  # estimates a side; at 25 a second more than twice what is not stale
_SAME_TIME = 1e-6  # seconds; times that were computed in two ways


@dataclass(frozen=True)
class Fused(Emotion):
    """An estimate from voice, face, both or none.

    Attributes:
        sides: those that were used: "voice", "face". Empty if none was: then no number is given.
        ignored: of each side that was not used, why.
    """

    sides: tuple[str, ...] = ()
    ignored: Mapping[str, str] = field(default_factory=dict)


class Clock:
    """A device's own time on the computer's clock.

    Sound cards and cameras count time by themselves, a little faster or slower than the computer;
    what they give arrives late by turns. This follows slowly.
    """

    FOLLOW = 0.01
    """Share of the difference that is made up for at each observation: of a gap some seconds at
    25 observations a second."""

    def __init__(self) -> None:
        self.begun: float | None = None
        """The computer's time at the device's 0, seconds; None before the first observation."""

    def observe(self, seconds: float, arrived: float) -> None:
        """Something of the device came.

        Args:
            seconds: its time on the device's clock.
            arrived: the computer's, `time.perf_counter()`.
        """
        now = arrived - seconds
        self.begun = now if self.begun is None else self.begun + self.FOLLOW * (now - self.begun)

    def to(self, other: Clock, seconds: float) -> float:
        """A time of this device on another one's clock; as it is, while one of them is unknown.

        Args:
            other: of the device whose time is wanted.
            seconds: on this device's clock.
        """
        if self.begun is None or other.begun is None:
            return seconds
        return seconds + self.begun - other.begun


class Fusion:
    """Keeps the latest estimates of both sides and joins those that are of one time.

    Times are seconds on one clock. A side may be missing at any time, from the beginning or for a
    while; with one side the estimate is that side's own, unchanged. Sides may come from threads of
    their own.
    """

    def __init__(self) -> None:
        self._sides: dict[str, deque[Emotion]] = {
            side: deque(maxlen=_KEPT) for side in ("voice", "face")
        }
        self._lock = threading.Lock()

    def voice(self, emotion: Emotion) -> None:
        """Take an estimate of speech; `emotion.end` is its time.

        Raises:
            BadInput: it ends before the one that was given last.
        """
        self._take("voice", emotion)

    def face(self, emotion: Emotion) -> None:
        """Take an estimate of a face; `emotion.end` is its time.

        Raises:
            BadInput: it ends before the one that was given last.
        """
        self._take("face", emotion)

    def reset(self) -> None:
        """Forget all estimates: time may begin at 0 again."""
        with self._lock:
            for estimates in self._sides.values():
                estimates.clear()

    def estimate(self, at_seconds: float) -> Fused:
        """What is known at a time.

        Of each side its last estimate up to that time counts, so one that came earlier from the
        future (cameras and models are not equally fast) does not.

        Args:
            at_seconds: the time, on the clock of the estimates' `end`.

        Returns:
            The estimate; `start` is the earliest start of the sides used and `end` is
            `at_seconds`. `speech` and `sounds` are the voice's, `box` the face's.

        Raises:
            BadInput: `at_seconds` is not finite.
        """
        within("at_seconds", at_seconds, -1e12, 1e12)
        latest = {side: self._latest(side, at_seconds) for side in self._sides}
        ignored = {side: _unusable(emotion, at_seconds) for side, emotion in latest.items()}
        used = {s: e for s, e in latest.items() if e is not None and not ignored[s]}
        voice, face = latest["voice"], used.get("face")
        fresh = voice is not None and at_seconds - voice.end < STALE_SECONDS
        classes, confidence = _joined_classes(used, at_seconds)
        return Fused(
            **{name: _joined_dimension(name, used, at_seconds) for name in DIMENSIONS},
            classes=classes,
            expression=_expression(used, classes),
            confidence=confidence,
            speech=voice.speech if voice is not None and fresh else None,
            start=min((e.start for e in used.values()), default=at_seconds),
            end=at_seconds,
            box=None if face is None else face.box,
            sounds=voice.sounds if voice is not None and fresh else {},
            sides=tuple(used),
            ignored={side: why for side, why in ignored.items() if why},
        )

    def _take(self, side: str, emotion: Emotion) -> None:
        estimates = self._sides[side]
        with self._lock:
            if estimates and not emotion.end >= estimates[-1].end:  # also refuses NaN
                raise BadInput(
                    f"{side}: the estimate ends at {emotion.end:g} s, the last one at "
                    f"{estimates[-1].end:g} s; give them in order (a stream keeps its clock with "
                    "gap() and reset(stream.seconds)), or reset() first"
                )
            estimates.append(emotion)

    def _latest(self, side: str, at: float) -> Emotion | None:
        with self._lock:
            past = (e for e in reversed(self._sides[side]) if e.end <= at + _SAME_TIME)
            return next(past, None)


def _unusable(emotion: Emotion | None, at: float) -> str:
    """Why an estimate cannot be used; empty if it can."""
    if emotion is None:
        return "nothing yet"
    if at - emotion.end >= STALE_SECONDS:
        return f"{at - emotion.end:.1f} s old"
    if emotion.speech is False:
        return "nobody speaks"
    if not emotion.classes and all(getattr(emotion, name) is None for name in DIMENSIONS):
        return "not sure enough"
    return ""


def _freshness(emotion: Emotion, at: float) -> float:
    return 1 - max(0.0, at - emotion.end) / STALE_SECONDS


def _joined_dimension(name: str, used: Mapping[str, Emotion], at: float) -> float | None:
    having = {s: e for s, e in used.items() if getattr(e, name) is not None}
    if len(having) < 2:
        return next((float(getattr(e, name)) for e in having.values()), None)
    share = {"voice": VOICE_SHARE[name], "face": 1 - VOICE_SHARE[name]}
    weights = {
        # A model without classes says nothing of its confidence: then 1.
        side: share[side] * _freshness(e, at) * (e.confidence if e.classes else 1.0)
        for side, e in having.items()
    }
    total = sum(weights.values())
    return sum(w * getattr(having[s], name) for s, w in weights.items()) / total if total else None


def _joined_classes(used: Mapping[str, Emotion], at: float) -> tuple[dict[str, float], float]:
    """Class probabilities, empty if no side has any, and the confidence in the estimate."""
    having = {s: e for s, e in used.items() if e.classes}
    if len(having) < 2:
        for emotion in having.values():
            return dict(emotion.classes), emotion.confidence
        return {}, max((e.confidence for e in used.values()), default=0.0)
    names = [c for c in CLASSES if any(c in e.classes for e in having.values())]
    logs = dict.fromkeys(names, 0.0)
    for side, emotion in having.items():
        # Probabilities bear their own certainty. A confidence beneath the largest of them says
        # that the model trusts itself less than they look.
        trust = min(1.0, emotion.confidence / max(emotion.classes.values()))
        power = EXPONENTS[side] * trust * _freshness(emotion, at)
        for name in names:
            logs[name] += power * math.log(emotion.classes.get(name, 0.0) + _DOUBT)
    peak = max(logs.values())
    products = {name: math.exp(value - peak) for name, value in logs.items()}
    total = sum(products.values())
    classes = {name: product / total for name, product in products.items()}
    return classes, max(classes.values())


def _expression(used: Mapping[str, Emotion], classes: Mapping[str, float]) -> str | None:
    if len(used) == 1:
        (only,) = used.values()
        return only.expression
    return max(classes, key=classes.__getitem__, default=None)
