"""A head is judged on clips that it was not fitted to."""

from __future__ import annotations

import math

import numpy as np
import pytest

import edgeemo
from edgeemo.artifacts.teachers_package import need
from edgeemo.evaluation.held_back import held_back


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    return [edgeemo.read_audio(p) for p in sorted(need("speech/emodb_full").glob("*.flac"))[:24]]


def test_a_constant_error_is_helped_and_noise_is_not(clips: list[np.ndarray]) -> None:
    session = edgeemo.load("wav2small-stream")
    said = [session.predict(clip, gate=None) for clip in clips]
    own = np.array([[e.arousal, e.dominance, e.valence] for e in said])
    shifted = held_back(session, clips, np.clip(own * 0.7 + 0.3, 0, 1).tolist())
    assert shifted.helps and shifted.clips == 24
    assert all(after < before for before, after in zip(shifted.before, shifted.after, strict=True))
    assert "mean error on held-back clips (5 folds of 24): arousal" in str(shifted)
    noise = own + np.random.default_rng(1).normal(0, 0.2, own.shape)
    assert not held_back(session, clips, np.clip(noise, 0, 1).tolist()).helps


def test_a_dimension_that_nobody_annotated_is_left_out(clips: list[np.ndarray]) -> None:
    session = edgeemo.load("wav2small-stream")
    labels = [[0.9 if i % 2 else 0.8, math.nan, 0.1] for i in range(len(clips))]
    found = held_back(session, clips, labels)
    assert math.isnan(found.before[1]) and found.helps and "dominance" not in str(found)
