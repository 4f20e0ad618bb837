from __future__ import annotations

import numpy as np
import pytest

from edgeemo.compress.teachers import base, load_teacher
from edgeemo.compress.teachers.base import (
    Teacher,
    TeacherOutput,
    check_clips,
    check_teacher,
    states_scale,
)
from edgeemo.compress.teachers.ensemble import Ensemble
from edgeemo.errors import BadData, BadInput
from edgeemo.types import CLASSES, DIMENSIONS


def dimensions(rows: int = 4) -> np.ndarray:
    return np.random.default_rng(0).random((rows, 3)).astype(np.float32)


def probs(rows: int = 4) -> np.ndarray:
    value = np.random.default_rng(1).random((rows, len(CLASSES)))
    return (value / value.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("column, name", list(enumerate(DIMENSIONS)))
def test_nan_is_refused_with_dimension_and_clip(column: int, name: str) -> None:
    value = dimensions()
    value[2, column] = np.nan
    with pytest.raises(BadData, match=f"nan for {name} of clip 2"):
        TeacherOutput(dimensions=value)


def test_values_beyond_0_and_1_are_kept() -> None:
    value = dimensions()
    value[0] = [-0.05, 1.2, 0.5]
    np.testing.assert_array_equal(TeacherOutput(dimensions=value).dimensions, value)


@pytest.mark.parametrize(
    "fields, says",
    [
        ({}, "no dimensions, probs or embedding"),
        ({"dimensions": dimensions().astype(np.float64)}, "float64; expected float32"),
        ({"dimensions": dimensions()[:, :2]}, r"shape \[4, 2\]"),
        ({"dimensions": dimensions(0)}, r"shape \[0, 3\]"),
        ({"dimensions": dimensions(3), "probs": probs(4)}, "different numbers of clips"),
        ({"probs": probs() * np.float32(0.5)}, "sum to 0.5"),
        (
            {"dimensions": dimensions(), "embedding": np.full((4, 2), np.inf, np.float32)},
            r"embedding\[0\]",
        ),
        (
            {"dimensions": dimensions(1), "tokens": (np.zeros((2, 2), np.float16),)},
            "tokens_per_second is 0",
        ),
        (
            {
                "dimensions": dimensions(1),
                "tokens": (np.zeros((2, 2), np.float32),),
                "tokens_per_second": 50.0,
            },
            "float16",
        ),
    ],
)
def test_impossible_output_is_refused(fields: dict, says: str) -> None:
    with pytest.raises(BadData, match=says):
        TeacherOutput(**fields)


def test_negative_probability_is_refused() -> None:
    value = probs()
    value[1, 4] -= 0.5
    value[1, 0] += 0.5
    with pytest.raises(BadData, match="probability of"):
        TeacherOutput(probs=value)


@pytest.mark.parametrize("column, name", list(enumerate(DIMENSIONS)))
def test_constant_dimension_is_refused_by_name(column: int, name: str) -> None:
    value = dimensions()
    value[:, column] = 0.4
    value[0, column] += 1e-4  # standard deviation 4.3e-5
    with pytest.raises(BadData, match=f"t: {name} has a standard deviation"):
        check_teacher(TeacherOutput(dimensions=value), "t")
    value[0, column] += 4e-4
    check_teacher(TeacherOutput(dimensions=value), "t")


def test_constant_over_several_outputs_counts_as_one_set() -> None:
    one = TeacherOutput(dimensions=np.array([[0.1, 0.2, 0.3]], np.float32))
    two = TeacherOutput(dimensions=np.array([[0.2, 0.3, 0.4]], np.float32))
    check_teacher([one, two])
    with pytest.raises(BadData, match="arousal"):
        check_teacher([one, one])
    with pytest.raises(BadInput, match="at least 2"):
        check_teacher(one)


def test_constant_classes_are_refused() -> None:
    flat = np.full((3, len(CLASSES)), 1 / len(CLASSES), np.float32)
    with pytest.raises(BadData, match="class probabilities"):
        check_teacher(TeacherOutput(probs=flat))
    check_teacher(TeacherOutput(probs=probs()))


@pytest.mark.parametrize(
    "clip, says",
    [
        ([0.0] * 500, "list"),
        (np.zeros(500), "float64"),
        (np.zeros(500, np.int16), "int16"),
        (np.zeros((2, 500), np.float32), r"\[2, 500\]"),
        (np.zeros(0, np.float32), "0 samples"),
        (np.zeros(99, np.float32), "needs 100 or more"),
        (np.zeros(16_000 * 601, np.float32), "601 s"),
        (np.array([0.0] * 200 + [np.nan] + [0.0] * 50, np.float32), "sample 200 is nan"),
        (np.array([np.inf] + [0.0] * 200, np.float32), "sample 0 is inf"),
    ],
)
def test_bad_clip_is_refused_with_its_index(clip: object, says: str) -> None:
    good = np.zeros(200, np.float32)
    assert len(check_clips([good, good], 100)) == 2
    with pytest.raises(BadInput, match=f"clip 1: .*{says}"):
        check_clips([good, clip], 100)
    with pytest.raises(BadInput, match="no clips"):
        check_clips([])


@pytest.mark.parametrize("seconds", [0.0, 0.05, 60.0])
def test_batches_keep_order_and_limit(seconds: float) -> None:
    lengths = [700, 100, 300, 100, 500, 200]
    clips = [np.full(n, n, np.float32) for n in lengths]
    seen: list[list[int]] = []

    def run(batch: list[np.ndarray]) -> TeacherOutput:
        seen.append([len(clip) for clip in batch])
        rows = np.array([[len(c), 0.1, 0.2] for c in batch], np.float32)
        tokens = tuple(np.full((len(c), 1), 1, np.float16) for c in batch)
        return TeacherOutput(dimensions=rows, tokens=tokens, tokens_per_second=50.0)

    got = base.label_in_batches(clips, run, seconds)
    assert got.dimensions is not None and got.tokens is not None
    assert got.dimensions[:, 0].tolist() == lengths
    assert [len(t) for t in got.tokens] == lengths
    assert sorted(n for batch in seen for n in batch) == sorted(lengths)
    for batch in seen:
        assert len(batch) == 1 or max(batch) * len(batch) <= seconds * 16_000
    assert len(seen) == {0.0: 6, 0.05: 4, 60.0: 1}[seconds]


def test_protocol_is_what_a_teacher_has() -> None:
    assert isinstance(Ensemble("e", (), ()), Teacher)
    assert not isinstance(object(), Teacher)


def test_a_dimension_is_absent_in_every_row_or_in_none():
    from edgeemo.compress.teachers.base import TeacherOutput

    half = np.array([[0.5, np.nan, 0.5], [0.5, 0.5, 0.5]], np.float32)
    with pytest.raises(BadData, match="dominance"):
        TeacherOutput(dimensions=half)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (1.0, 5.0), (1.0, 7.0), (0.0, 100.0)])
def test_another_scale_is_refused_with_the_line_that_converts_it(low: float, high: float) -> None:
    value = (dimensions(40) * (high - low) + low).astype(np.float32)
    with pytest.raises(BadData, match=rf"expected 0\.\.1.*low = {low:.1f} and high = {high:.1f}"):
        check_teacher(TeacherOutput(dimensions=value), "mine")
    beyond = dimensions(40)
    beyond[0] = [-0.05, 1.3, 0.5]  # as regressions say now and then
    check_teacher(TeacherOutput(dimensions=beyond))


def test_a_scale_on_a_card_is_not_guessed(ear) -> None:
    loud = dimensions(40) * np.float32(1.4)
    with pytest.raises(BadData, match=r"expected 0\.\.1.*low = 0\.0 and high = 2\.0"):
        check_teacher(TeacherOutput(dimensions=loud), "mine")
    check_teacher(TeacherOutput(dimensions=loud), "mine", scale_stated=True)
    shipped = load_teacher("builtin")
    assert states_scale(shipped) and not states_scale(ear())
    assert not states_scale(Ensemble("both", (shipped, ear()), (0.5, 0.5)))
