"""Foreign categories become edgeemo's classes: names, sums, and what has no class."""

import numpy as np
import pytest

from edgeemo.compress.teachers.class_names import columns, to_classes
from edgeemo.errors import BadData, BadRecipe
from edgeemo.types import CLASSES


def by_class(names, scores, values="probabilities"):
    row = to_classes(np.array([scores], np.float64), columns(names), values)[0]
    return {name: float(p) for name, p in zip(CLASSES, row, strict=True) if p}


def test_two_categories_of_one_class_add_up_and_others_are_dropped():
    found = by_class(["Calm", "neutral", "sad", "other"], [0.2, 0.3, 0.25, 0.25])
    assert found == pytest.approx({"neutral": 2 / 3, "sadness": 1 / 3})


def test_logits_are_softened():
    found = by_class(["happy", "angry"], [np.log(3.0), 0.0], "logits")
    assert found == pytest.approx({"happiness": 0.75, "anger": 0.25})


def test_nothing_but_other_says_nothing():
    assert by_class(["sad", "other"], [0.0, 1.0]) == pytest.approx(dict.fromkeys(CLASSES, 1 / 8))


@pytest.mark.parametrize(
    ("scores", "says"),
    [([0.5, 0.2], "sum to 0.7"), ([1.5, -0.5], "logits"), ([np.nan, 1.0], "not finite")],
)
def test_what_is_no_distribution_is_refused(scores, says):
    with pytest.raises(BadData, match=says):
        by_class(["sad", "happy"], scores)


@pytest.mark.parametrize(("names", "says"), [(["sad", "blue"], "'blue'"), (["other"], "none of")])
def test_unknown_categories_are_named(names, says):
    with pytest.raises(BadRecipe, match=says):
        columns(names)
