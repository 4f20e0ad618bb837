"""Which activation of one graph is which of another, so that one table of ranges serves both.

Converters name and fuse layers in their own ways, but compute the same numbers. Two activations are
one if they hold the same values for the same input, whatever the layout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.step_model import MEAN, STATE, TOKEN
from edgeemo.compress.students.activations import rounding, same_values

from .int8 import ActivationRecorder
from .ranges import Range, RangeTable
from .streaming import Step

Values = Mapping[str, NDArray[np.float32]]


def probe_input(frames: int, bands: int) -> NDArray[np.float32]:
    """Features [1, frames, bands] in which no two activations look alike.

    Args:
        frames: of the input.
        bands: of a frame.
    """
    return np.random.default_rng(0).normal(-4, 4, (1, frames, bands)).astype(np.float32)


def match(ours: Values, theirs: Values) -> dict[str, str]:
    """Names of ours to names of theirs, where the values are the same.

    Args:
        ours: in the order in which they are computed.
        theirs: likewise. The first of equals is taken; for "mean" the last, because in a clip of
            one token the mean of the tokens is the token. A layer that is dead, and so gives the
            same number everywhere, is the next of that size that is as dead.
    """
    by_size: dict[int, list[str]] = {}
    for name, values in theirs.items():
        by_size.setdefault(values.size, []).append(name)
    found: dict[str, str] = {}
    for name, values in ours.items():
        sized = by_size.get(values.size, [])
        same = [n for n in sized if _same(values, theirs[n])]
        if not same and _is_constant(values):
            dead = [n for n in sized if _is_constant(theirs[n]) and same_values(values, theirs[n])]
            same = [n for n in dead if n not in found.values()] or dead
        if same:
            found[name] = same[-1] if name == MEAN else same[0]
    return found


def step_inputs(step: Step, token: NDArray[np.float32] | None = None) -> dict[str, Any]:
    """Inputs of a step but the features: nothing heard before, and the mean of one token.

    Args:
        step: the step model.
        token: its token for some features; None is a mean of 0.
    """
    mean = np.zeros((1, step.pooled), np.float32) if token is None else token.reshape(1, -1)
    states = {f"{STATE}{i}": np.zeros(s, np.float32) for i, s in enumerate(step.states)}
    return {MEAN: mean, **states}


def step_ranges(model: Any, step: Step, whole: Any, table: RangeTable) -> RangeTable:
    """The table of a whole student for the ONNX graph of its step.

    Args:
        model: of `step_graph`.
        step: what it was made from.
        whole: the student's own graph, whose names the table has.
        table: ranges by names of the whole graph.
    """
    clip = probe_input(step.hop, step.bands)
    watch = ActivationRecorder(model)
    token = watch.run(clip, **step_inputs(step))[TOKEN]
    ours = watch.run(clip, **step_inputs(step, token))
    pairs = match(ours, ActivationRecorder(whole).run(clip))
    ranges = {name: table.ranges[twin] for name, twin in pairs.items() if twin in table.ranges}
    for node in model.graph.node:
        if node.op_type == "Concat":
            _spread(ranges, [*node.input, *node.output], node.input[-1])
        elif node.op_type == "Slice":
            _spread(ranges, list(node.output), node.input[0])
    return replace(table, ranges=ranges)


def _spread(ranges: dict[str, Range], names: list[str], source: str) -> None:
    """What a layer saw last has the range of what it sees now."""
    for name in names:
        ranges[name] = ranges[source]


def _same(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> bool:
    """Equal values in the same order, or after moving channels to the end."""
    if _is_constant(theirs):
        return False  # it is like any other
    orders = [theirs]
    if theirs.ndim == 4:
        orders.append(theirs.transpose(0, 2, 3, 1))
    return any(same_values(ours, order) for order in orders)


def _is_constant(values: NDArray[np.float32]) -> bool:
    return float(np.ptp(values)) <= rounding(values)
