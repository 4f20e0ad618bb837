"""Plots: where lines lie, and which numbers stand at the axes."""

import re

import pytest

from edgeemo.compress.evaluation.plots import COLORS, curves, log_ticks, scatter, ticks


def lines(svg):
    """Points of each line."""
    found = re.findall(r'<polyline points="([^"]*)"', svg)
    return [[tuple(map(float, p.split(","))) for p in points.split()] for points in found]


def test_a_logarithmic_axis_has_equal_steps_for_equal_ratios():
    (line,) = lines(curves("losses", {"a": [1.0, 0.1, 0.01]}, log=True))
    first, second = line[1][1] - line[0][1], line[2][1] - line[1][1]
    assert first > 0 and first == pytest.approx(second, abs=0.11)  # coordinates have one digit
    (plain,) = lines(curves("losses", {"a": [1.0, 0.1, 0.01]}))
    assert plain[1][1] - plain[0][1] == pytest.approx(10 * (plain[2][1] - plain[1][1]), rel=0.02)


def test_what_has_no_logarithm_leaves_a_gap():
    (line,) = lines(curves("losses", {"a": [1.0, 0.0, -1.0, None, 0.1]}, log=True))
    assert len(line) == 2
    assert curves("losses", {"a": [0.0, None]}, log=True) == ""


@pytest.mark.parametrize(
    ("low", "high", "want"),
    [
        (-2.1, 0.3, [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]),
        (-3.0, 1.0, [0.001, 0.01, 0.1, 1.0, 10.0]),
        (-0.16, -0.09, [0.7, 0.75, 0.8]),
    ],
)
def test_logarithmic_ticks(low, high, want):
    assert log_ticks(low, high) == pytest.approx(want)


def test_zero_has_no_sign():
    assert [str(v) for v in ticks(-0.04, 2.04)] == ["0.0", "1.0", "2.0"]


def test_lines_beyond_the_colors_are_dashed():
    names = [f"loss {i}" for i in range(len(COLORS) + 1)]
    svg = curves("many", {name: [i + 1.0, i + 2.0] for i, name in enumerate(names)})
    assert svg.count("stroke-dasharray") == 1 and svg.count("(dashed)") == 1
    assert all(f">{name}" in svg for name in names)


def test_points_without_a_number_are_left_out():
    svg = scatter("a", [0.1, float("nan"), 0.3], [0.1, 0.2, float("inf")], "x", "y")
    assert svg.count("<circle") == 1
    assert scatter("a", [float("nan")], [1.0], "x", "y") == ""
