from __future__ import annotations

import numpy as np
import pytest

from edgeemo.errors import BadInput
from edgeemo.evaluation.metrics import ccc, uar


def test_ccc_by_hand() -> None:
    # mean 2 and 3, variance 2/3 each, covariance 2/3: 2 * (2/3) / (2/3 + 2/3 + 1) = 4/7
    assert ccc([1, 2, 3], [2, 3, 4]) == pytest.approx(4 / 7)
    assert ccc([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert ccc([1, 1], [1, 1]) == 1
    assert ccc([1, 1], [1, 2]) == 0


def test_ccc_notices_a_shrunken_spread() -> None:
    y = np.linspace(0, 1, 50)
    assert np.corrcoef(y / 2, y)[0, 1] == pytest.approx(1)
    assert ccc(y / 2 + 0.25, y) == pytest.approx(0.8)  # 2 * .5 / (1 + .25)


@pytest.mark.parametrize(
    ("x", "y", "word"),
    [
        ([1], [1], "2 or more"),
        ([1, 2], [1, 2, 3], "shapes"),
        ([1, np.nan], [1, 2], r"\[1\] is nan"),
    ],
)
def test_ccc_refuses(x: list[float], y: list[float], word: str) -> None:
    with pytest.raises(BadInput, match=word):
        ccc(x, y)


def test_uar_counts_each_class_once() -> None:
    labels = ["a"] * 9 + ["b"]
    assert uar(["a"] * 10, labels) == 0.5
    assert uar(labels, labels) == 1
    assert uar(["c", "a"], ["a", "a"]) == 0.5
    with pytest.raises(BadInput, match="as many"):
        uar(["a"], [])
