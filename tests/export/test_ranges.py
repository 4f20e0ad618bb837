from __future__ import annotations

import numpy as np
import pytest

from edgeemo.errors import BadData
from edgeemo.export.ranges import RULES, Observer, Range


def observed(*clips: np.ndarray) -> Observer:
    return Observer([c.astype(np.float32) for c in clips], lambda c: {"a": c, "b": -2 * c})


def test_minmax_is_the_extremes_over_all_clips() -> None:
    table = observed(np.array([0.5, 1.0]), np.array([-3.0, 2.0])).table("minmax")
    assert table.ranges == {"a": Range(-3.0, 2.0), "b": Range(-4.0, 6.0)}
    assert (table.rule, table.clips) == ("minmax", 2)


def test_zero_is_always_inside() -> None:
    assert observed(np.array([2.0, 3.0])).table("minmax").ranges["a"] == Range(0.0, 3.0)


def test_percentiles_cut_tails_and_keep_the_bulk() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, 30_000)
    values[7] = 1000.0
    table = observed(values)
    assert table.table("minmax").ranges["a"].high == 1000.0
    cut = table.table("percentile-99.9").ranges["a"]
    # Bins are 1000 / 8192 wide here; the true quantile is 3.29.
    assert cut.high == pytest.approx(3.29, abs=0.3)
    assert cut.low == pytest.approx(-3.29, abs=0.3)


def test_a_rectified_activation_keeps_its_zero() -> None:
    rng = np.random.default_rng(0)
    table = observed(np.maximum(rng.normal(0, 1, 20_000), 0))
    for rule in RULES:
        assert table.table(rule).ranges["a"].low == 0


def test_order_of_clips_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    clips = [rng.normal(0, s, 500) for s in (1, 5, 2)]
    for rule in RULES:
        assert observed(*clips).table(rule) == observed(*clips[::-1]).table(rule)


@pytest.mark.parametrize("value", [0.0, 3.0, -1e-30])
def test_a_constant_has_a_range(value: float) -> None:
    for rule in RULES:
        found = observed(np.full(10, value)).table(rule).ranges["a"]
        assert found.low <= 0 <= found.high and found.high - found.low >= 1


def test_nothing_and_nan_are_refused() -> None:
    with pytest.raises(BadData, match="no clips"):
        observed()
    with pytest.raises(BadData, match="activation a is not finite"):
        observed(np.array([1.0, np.nan]))


def test_the_mean_of_the_clips_extremes() -> None:
    found = observed(np.array([-1.0, 4.0]), np.array([-3.0, 2.0])).table("mean").ranges["a"]
    assert found == Range(-2.0, 3.0)
