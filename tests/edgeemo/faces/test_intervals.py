"""Faces of a video in windows of time."""

from __future__ import annotations

import pytest

from edgeemo.faces import Tracked
from edgeemo.faces.intervals import windows
from edgeemo.types import Emotion


def test_windows_keep_faces_apart() -> None:
    def seen(number: int, at: float, valence: float) -> Tracked:
        return Tracked(number, Emotion(None, None, valence, {"anger": valence}, start=at, end=at))

    frames = [
        (0.0, [seen(1, 0.0, 0.2), seen(2, 0.0, 0.8)]),
        (0.5, [seen(1, 0.5, 0.4)]),
        (1.5, []),
        (2.2, [seen(2, 2.2, 0.6)]),
    ]
    found = [(w.id, w.emotion.valence, w.emotion.start, w.emotion.end) for w in windows(frames)]
    assert found == [(1, pytest.approx(0.3), 0.0, 0.5), (2, 0.8, 0.0, 0.0), (2, 0.6, 2.2, 2.2)]
    assert next(iter(windows(frames))).emotion.arousal is None
