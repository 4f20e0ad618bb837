"""Figures over the folds of a cross-validation, against the plain way to compute them."""

from __future__ import annotations

import numpy as np
import pytest

from edgeemo.compress.evaluation.crossval import DRAWS, Estimates, as_plain, scores
from edgeemo.evaluation.metrics import ccc


def repetitions(count: int, noise: float = 0.1) -> list[Estimates]:
    rng = np.random.default_rng(5)
    speakers = np.repeat([f"s{i}" for i in range(6)], 20)
    labels = rng.uniform(0, 1, (120, 3))
    labels[:, 2] = np.nan
    return [
        Estimates(speakers, labels + rng.normal(0, noise, (120, 3)), labels) for _ in range(count)
    ]


def test_mean_and_deviation_are_over_repetitions() -> None:
    rows = repetitions(3)
    found = scores(rows)
    assert set(found) == {"arousal", "dominance"}  # nobody annotated valence
    values = [ccc(r.estimates[:, 0], r.labels[:, 0]) for r in rows]
    assert found["arousal"].mean == pytest.approx(np.mean(values), abs=1e-4)
    assert found["arousal"].sd == pytest.approx(np.std(values), abs=1e-4)
    assert found["arousal"].speakers == 6


def test_one_repetition_has_no_deviation() -> None:
    found = scores(repetitions(1))
    assert found["arousal"].sd is None and "sd" not in as_plain(found)["arousal"]
    assert "±" not in str(found["arousal"])


def test_the_interval_is_that_of_drawn_speakers() -> None:
    """Drawn one by one with the library's own CCC, in place of sums."""
    rows = repetitions(2)
    drawn = np.random.default_rng(0).integers(6, size=(DRAWS, 6))
    means = []
    for draw in drawn:
        at = np.concatenate([np.flatnonzero(rows[0].speakers == f"s{i}") for i in draw])
        means.append(np.mean([ccc(r.estimates[at, 1], r.labels[at, 1]) for r in rows]))
    found = scores(rows)["dominance"]
    assert [found.low, found.high] == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=1e-3)
    assert found.low < found.mean < found.high
