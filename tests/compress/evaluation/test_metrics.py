"""Metrics by hand."""

import numpy as np
import pytest

from edgeemo.compress.evaluation.metrics import (
    calibration_error,
    ccc_by_dimension,
    fit_temperature,
    flat,
    softmax,
    std_ratio,
)
from edgeemo.evaluation.metrics import ccc

RNG = np.random.default_rng(2)


def test_dimensions_leave_unknown_rows_out():
    x, y = RNG.normal(size=(2, 20, 3))
    want = [ccc(x[5:, i], y[5:, i]) for i in range(3)]
    y[:5] = np.nan
    found = ccc_by_dimension(x, y)
    assert list(found) == ["arousal", "dominance", "valence", "mean"]
    assert list(found.values()) == pytest.approx([*want, np.mean(want)])
    assert ccc_by_dimension(x[:6], y[:6]) == {}


def test_spread_is_a_ratio():
    y = RNG.normal(size=(30, 3))
    assert list(std_ratio(y / 4, y).values()) == pytest.approx([0.25] * 3)


def test_temperature_finds_the_one_that_made_the_labels():
    logits = RNG.normal(size=(4000, 8)) * 3
    target = softmax(logits / 2.5)
    assert fit_temperature(logits, target) == pytest.approx(2.5, rel=0.011)
    target[:] = np.nan
    assert fit_temperature(logits, target) == 1.0


def test_calibration_error_by_hand():
    # Half of the clips say .95 and are right half the time, half say .55 and are always right.
    found = calibration_error([0.95] * 4 + [0.55] * 4, [1, 1, 0, 0, 1, 1, 1, 1])
    assert found == pytest.approx(0.5 * 0.45 + 0.5 * 0.45)


def test_flat_names():
    assert flat({"valid": {"ccc": {"mean": 0.5}, "kl": 1}}) == {
        "valid.ccc.mean": 0.5,
        "valid.kl": 1.0,
    }
