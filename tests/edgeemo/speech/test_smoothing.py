"""Smoothing: its time constant, its hysteresis, what it forgets."""

from __future__ import annotations

import math

import pytest

from edgeemo.errors import BadInput
from edgeemo.speech.smoothing import Smoother, Smoothing
from edgeemo.types import Emotion


def emotion(end: float, arousal: float | None, anger: float = 0.0) -> Emotion:
    if arousal is None:
        return Emotion(None, None, None, speech=False, end=end)
    classes = {"neutral": 1 - anger, "anger": anger}
    return Emotion(
        arousal,
        0.5,
        0.5,
        classes,
        0.5,
        True,
        end - 3,
        end,
        expression=max(classes, key=classes.__getitem__),
    )


def test_smoothing_goes_63_percent_in_its_time() -> None:
    for hop in (0.1, 0.25, 0.5):
        smoother = Smoother(Smoothing(seconds=1.0))
        smoother.push(emotion(0, 0.0))
        for i in range(1, round(1 / hop) + 1):
            found = smoother.push(emotion(i * hop, 1.0))
        assert found.arousal == pytest.approx(1 - math.exp(-1))


def test_hysteresis_keeps_two_near_classes_from_taking_turns() -> None:
    chatter = [0.49, 0.53] * 10
    for margin, changes in ((0.0, True), (0.1, False)):
        smoother = Smoother(Smoothing(seconds=0.01, margin=margin))
        shown = [smoother.push(emotion(i / 4, 0.5, p)).expression for i, p in enumerate(chatter)]
        assert (len(set(shown)) > 1) == changes
    assert smoother.push(emotion(10, 0.5, 0.9)).expression == "anger"


def test_smoothing_forgets_after_a_pause_and_not_before() -> None:
    smoother = Smoother(Smoothing(seconds=1.0, forget_seconds=5))
    smoother.push(emotion(0, 0.0))
    assert smoother.push(emotion(1, None)) == emotion(1, None)
    assert smoother.push(emotion(4, 1.0)).arousal == pytest.approx(1 - math.exp(-4))
    assert smoother.push(emotion(9.5, 0.2)).arousal == 0.2
    with pytest.raises(BadInput, match="margin is 2"):
        Smoothing(margin=2)
    with pytest.raises(BadInput, match="seconds is 0"):
        Smoothing(seconds=0)
