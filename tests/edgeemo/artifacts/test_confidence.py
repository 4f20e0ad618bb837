"""Confidence: fitted on some people, true of others, low off speech, the same in a stream."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgeemo
from edgeemo.artifacts.card import Calibration, from_json, to_json
from edgeemo.artifacts.confidence import Confidence, describe
from edgeemo.audio import read_audio
from edgeemo.compress.evaluation.confidence import (
    fit_confidence,
    is_near,
    not_speech,
    reliability,
    with_negatives,
)
from edgeemo.errors import BadArtifact, BadInput


@pytest.fixture(scope="module")
def fitted() -> tuple[Confidence, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """600 rows of 12 people in which the third input tells the odds; 100 of nobody."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(3, 2, (600, 4))
    near = rng.random(600) < 1 / (1 + np.exp(-(inputs[:, 2] - 3)))
    others = rng.normal((18, 3, 3, 3), 2, (100, 4))
    rows, hits, who = with_negatives(inputs, near, [f"p{i % 12}" for i in range(600)], others)
    clean = np.arange(700) < 600
    made, said = fit_confidence(rows, hits, who, clean, "the mean", "made here")
    return made, said[:600], near


def test_it_is_true_of_people_left_out(fitted: tuple[Confidence, np.ndarray, np.ndarray]) -> None:  # type: ignore[type-arg]
    made, said, near = fitted
    for sure, came_true, count in reliability(said, near):
        assert abs(sure - came_true) < 0.15 and count == 120
    assert made.calibration_error < 0.1 and made.share == pytest.approx(near.mean(), abs=1e-4)
    assert "within 0.15 of the mean" in made.meaning
    assert made.probability(np.array([18, 3, 3, 3.0])) < 0.1
    middle, high = (made.probability(np.array([3, 3, x, 3.0])) for x in (3.0, 6.0))
    assert high > 0.7 > middle > 0.3


def test_rows_that_are_judged_are_in_no_fit() -> None:
    rng = np.random.default_rng(0)
    inputs, who = rng.normal(3, 2, (600, 4)), [f"p{i % 12}" for i in range(600)]
    near = rng.random(600) < 1 / (1 + np.exp(-(inputs[:, 2] - 3)))
    judged = np.arange(600) >= 400
    part = inputs[:400], near[:400], who[:400]
    alone, _ = fit_confidence(*part, ~judged[:400], "the mean", "made here")
    made, said = fit_confidence(inputs, near, who, judged, "the mean", "made here", judged)
    turned, again = fit_confidence(
        inputs, np.where(judged, ~near, near), who, judged, "the mean", "made here", judged
    )
    assert made.weights == turned.weights == alone.weights and np.array_equal(said, again)
    assert made.share == pytest.approx(near[judged].mean(), abs=1e-4)
    assert made.calibration_error < 0.15 < turned.calibration_error


def test_it_goes_through_the_card_and_the_stream(artifact: Path, speech_files: list[Path]) -> None:
    session = edgeemo.load(artifact)
    sounds = [read_audio(p) for p in speech_files[:12]] + not_speech(12, np.random.default_rng(1))
    rows = []
    for x in sounds:
        values = session.model_input(x)
        rows.append(describe(session.backend.run(values), values[0]))
    near = np.arange(24) < 12
    who = [f"p{i}" for i in range(12)] + [""] * 12
    made, _ = fit_confidence(np.array(rows), near, who, near, "the mean", "made here")
    card = replace(session.card, calibration=Calibration(1.0, "", made))
    assert from_json(to_json(card)) == card
    session.card = card
    sure = [session.predict(x, gate=None).confidence for x in sounds]
    assert min(sure[:12]) > max(sure[12:])
    stream = session.stream(smoothing=None, gate=None)
    for e in stream.push(sounds[0]):
        piece = sounds[0][round(e.start * 16000) : round(e.end * 16000)]
        assert e.confidence == session.predict(piece, gate=None).confidence
    with pytest.raises(BadArtifact, match="expected n, n and 2 n"):
        replace(made, weights=(1.0,))


def test_near_means_all_three() -> None:
    labels = np.full((3, 3), 0.5)
    moved = labels + np.array([[0.14, -0.14, 0], [0, 0, 0.16], [0, 0, 0]])
    assert is_near(moved, labels).tolist() == [True, False, True]


@pytest.mark.parametrize("frames", [1, 2, 300])
@pytest.mark.parametrize("bands", [8, 13, 40])
def test_statistics_are_those_of_numpy(frames: int, bands: int) -> None:
    """In steps of 1/1024: exact against whole numbers of Python, near against float64."""
    features = np.random.default_rng(bands).normal(-6, 3, (frames, bands)).astype(np.float32)
    parts = np.array_split(features, 8, axis=1)
    groups = np.stack([np.add.accumulate(p, axis=1)[:, -1] / np.float32(p.shape[1]) for p in parts])
    changes = np.abs(np.diff(groups, axis=1)).mean(1) if frames > 1 else np.zeros(8)
    mean = groups.mean(1)
    level = mean.mean()
    want = [[level], mean - level, groups.std(1), changes, [np.log(frames)]]
    found = describe({}, features)
    assert np.abs(found - np.concatenate(want)).max() < 1.5e-3
    steps = [[math.trunc(x * 1024 + math.copysign(0.5, x)) for x in row] for row in groups.tolist()]
    spread = [frames * sum(x * x for x in row) - sum(row) ** 2 for row in steps]
    exact = np.float32([math.isqrt(x) for x in spread]) / np.float32(frames * 1024)
    assert (found[9:17] == exact).all()


def test_too_few_bands_are_refused() -> None:
    with pytest.raises(BadInput, match="8 bands"):
        describe({}, np.zeros((5, 7), np.float32))
