"""Operators of an ONNX graph that arrange: shapes of shapes, selection, joining, padding.

Rules: ONNX operator specification, operator set 17.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.onnx_arithmetic import broadcast
from edgeemo.artifacts.onnx_values import (
    MOST_KNOWN,
    Inputs,
    Value,
    axes_of,
    axis_of,
    computed,
    fault,
    integers,
    known,
    make,
    option,
    value_of,
)

if TYPE_CHECKING:
    from edgeemo.artifacts.onnx_graph import Node


def shape(node: Node, inputs: Inputs) -> list[Value]:
    """Shape."""
    found = value_of(node, inputs).shape
    start, end = (option(node, k, d) for k, d in (("start", 0), ("end", len(found))))
    return [computed(node, np.int64, np.array(found[start:end], np.int64))]


def constant(node: Node, inputs: Inputs) -> list[Value]:
    """Constant."""
    array = node.attributes.get("value")
    if not isinstance(array, np.ndarray):
        raise fault(node, "another value than a tensor")
    return [computed(node, array.dtype, array)]


def _filled(node: Node, shape: Sequence[int], value: NDArray[Any]) -> Value:
    found = make(node, shape, value.dtype)
    if found.elements > MOST_KNOWN:
        return found
    return computed(node, value.dtype, np.broadcast_to(value, found.shape))


def constant_of_shape(node: Node, inputs: Inputs) -> list[Value]:
    """ConstantOfShape."""
    value = option(node, "value", np.zeros(1, np.float32))
    if not isinstance(value, np.ndarray) or value.size != 1:
        raise fault(node, "a value that is not one number")
    return [_filled(node, known(node, inputs, 0).reshape(-1).tolist(), value.reshape(()))]


def expand(node: Node, inputs: Inputs) -> list[Value]:
    """Expand."""
    first = value_of(node, inputs)
    wanted = tuple(int(n) for n in known(node, inputs, 1).reshape(-1))
    made = make(node, broadcast(node, [first.shape, wanted]), first.dtype)
    if first.data is None or made.elements > MOST_KNOWN:
        return [made]
    return [computed(node, first.dtype, np.broadcast_to(first.data, made.shape))]


def range_of(node: Node, inputs: Inputs) -> list[Value]:
    """Range."""
    start, end, step = (known(node, inputs, i).reshape(-1)[:1] for i in range(3))
    if not (start.size and end.size and step.size and np.isfinite([start, end, step]).all()):
        raise fault(node, "limits that are no numbers")
    if not step.all():
        raise fault(node, "a step of 0")
    count = max(math.ceil((float(end[0]) - float(start[0])) / float(step[0])), 0)
    made = make(node, (count,), start.dtype)
    if count > MOST_KNOWN:
        return [made]
    return [computed(node, start.dtype, start + np.arange(count) * step)]


def cast(node: Node, inputs: Inputs) -> list[Value]:
    """Cast."""
    from edgeemo.artifacts.onnx_graph import DTYPES

    first, dtype = value_of(node, inputs), DTYPES.get(option(node, "to", 0))
    if dtype is None:
        raise fault(node, f"the type {option(node, 'to', 0)}")
    if first.data is None:
        return [make(node, first.shape, dtype)]
    with np.errstate(invalid="ignore"):
        return [computed(node, dtype, first.data.astype(dtype))]


def reshape(node: Node, inputs: Inputs) -> list[Value]:
    """Reshape."""
    first = value_of(node, inputs)
    wanted = [int(n) for n in known(node, inputs, 1).reshape(-1)]
    if not option(node, "allowzero", 0):
        if any(n == 0 and i >= len(first.shape) for i, n in enumerate(wanted)):
            raise fault(node, f"{first.shape} to {wanted[:8]}")
        wanted = [first.shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    rest = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) == 1 and rest > 0 and first.elements % rest == 0:
        wanted[wanted.index(-1)] = first.elements // rest
    if any(n < 0 for n in wanted) or math.prod(wanted) != first.elements:
        raise fault(node, f"{first.shape} to {wanted[:8]}")
    return [_moved(node, first, wanted)]


def _moved(node: Node, first: Value, shape: Sequence[int]) -> Value:
    """The same elements in another shape."""
    data = None if first.data is None else first.data.reshape(shape)
    return make(node, shape, first.dtype, data)


def flatten(node: Node, inputs: Inputs) -> list[Value]:
    """Flatten."""
    first, axis = value_of(node, inputs), option(node, "axis", 1)
    rank = len(first.shape)
    axis = rank if axis == rank else axis_of(node, axis, rank)
    return [_moved(node, first, (math.prod(first.shape[:axis]), math.prod(first.shape[axis:])))]


def squeeze(node: Node, inputs: Inputs) -> list[Value]:
    """Squeeze."""
    first = value_of(node, inputs)
    given = integers(node, inputs, 1, "axes")
    if given is None:
        axes = {i for i, n in enumerate(first.shape) if n == 1}
    else:
        axes = axes_of(node, given, len(first.shape))
    if any(first.shape[a] != 1 for a in axes):
        raise fault(node, f"the axes {sorted(axes)} of {first.shape}")
    return [_moved(node, first, [n for i, n in enumerate(first.shape) if i not in axes])]


def unsqueeze(node: Node, inputs: Inputs) -> list[Value]:
    """Unsqueeze."""
    first, given = value_of(node, inputs), integers(node, inputs, 1, "axes") or []
    axes = axes_of(node, given, len(first.shape) + len(given))
    rest = iter(first.shape)
    rank = len(first.shape) + len(axes)
    return [_moved(node, first, [1 if i in axes else next(rest) for i in range(rank)])]


def transpose(node: Node, inputs: Inputs) -> list[Value]:
    """Transpose."""
    first = value_of(node, inputs)
    order = option(node, "perm", list(range(len(first.shape)))[::-1])
    if sorted(order) != list(range(len(first.shape))):
        raise fault(node, f"the order {order[:8]} of {len(first.shape)} axes")
    data = None if first.data is None else first.data.transpose(order)
    return [make(node, [first.shape[i] for i in order], first.dtype, data)]


def concat(node: Node, inputs: Inputs) -> list[Value]:
    """Concat."""
    given = [value_of(node, inputs, i) for i in range(max(len(inputs), 1))]
    axis = axis_of(node, option(node, "axis", 0), len(given[0].shape))
    sides = {(v.shape[:axis], v.shape[axis + 1 :], len(v.shape)) for v in given}
    if len(sides) != 1:
        raise fault(node, f"inputs of the shapes {[v.shape for v in given][:3]}")
    length = sum(v.shape[axis] for v in given)
    made = make(node, (*given[0].shape[:axis], length, *given[0].shape[axis + 1 :]), given[0].dtype)
    data = [v.data for v in given if v.data is not None]
    if len(data) < len(given) or made.elements > MOST_KNOWN:
        return [made]
    return [computed(node, given[0].dtype, np.concatenate(data, axis))]


def split(node: Node, inputs: Inputs) -> list[Value]:
    """Split."""
    first = value_of(node, inputs)
    axis = axis_of(node, option(node, "axis", 0), len(first.shape))
    lengths = integers(node, inputs, 1, "split")
    if lengths is None:
        count = len(node.outputs)
        lengths = [first.shape[axis] // count] * count
    if min(lengths) < 0 or sum(lengths) != first.shape[axis] or len(lengths) != len(node.outputs):
        raise fault(node, f"lengths {lengths[:8]} of {first.shape[axis]}")
    ends = np.cumsum(lengths)
    parts = []
    for length, end in zip(lengths, ends.tolist(), strict=True):
        place = (slice(None),) * axis + (slice(end - length, end),)
        data = None if first.data is None else first.data[place]
        lengths_made = (*first.shape[:axis], length, *first.shape[axis + 1 :])
        parts.append(make(node, lengths_made, first.dtype, data))
    return parts


def gather(node: Node, inputs: Inputs) -> list[Value]:
    """Gather."""
    first, places = value_of(node, inputs), value_of(node, inputs, 1)
    axis = axis_of(node, option(node, "axis", 0), len(first.shape))
    length = first.shape[axis]
    if places.data is not None and not ((-length <= places.data) & (places.data < length)).all():
        raise fault(node, f"a place outside of {length}")
    made = make(node, (*first.shape[:axis], *places.shape, *first.shape[axis + 1 :]), first.dtype)
    if first.data is None or places.data is None or made.elements > MOST_KNOWN:
        return [made]
    return [computed(node, first.dtype, np.take(first.data, places.data, axis))]


def slice_of(node: Node, inputs: Inputs) -> list[Value]:
    """Slice."""
    first = value_of(node, inputs)
    rank = len(first.shape)
    starts, ends = (integers(node, inputs, i, "") or [] for i in (1, 2))
    axes = integers(node, inputs, 3, "") or list(range(len(starts)))
    steps = integers(node, inputs, 4, "") or [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise fault(node, f"starts {starts[:8]}, ends {ends[:8]}, steps {steps[:8]}")
    axes_of(node, axes, rank)
    places = [slice(None)] * rank
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # numpy's rule, but for an end before the first element, which counts down to it.
        before = step < 0 and end < -first.shape[axis]
        places[axis] = slice(start, None if before else end, step)
    lengths = [len(range(*p.indices(n))) for p, n in zip(places, first.shape, strict=True)]
    data = None if first.data is None else first.data[tuple(places)]
    return [make(node, lengths, first.dtype, data)]


def pad(node: Node, inputs: Inputs) -> list[Value]:
    """Pad."""
    first, amounts = value_of(node, inputs), integers(node, inputs, 1, "pads") or []
    rank = len(first.shape)
    if len(amounts) != 2 * rank or min(amounts, default=0) < 0 or max(amounts, default=0) > 4096:
        raise fault(node, f"the amounts {amounts[:8]} around {first.shape}")
    mode = option(node, "mode", b"constant")
    if mode != b"constant":
        raise fault(node, "another mode than constant")
    lengths = [n + amounts[i] + amounts[i + rank] for i, n in enumerate(first.shape)]
    return [make(node, lengths, first.dtype)]
