"""Operators of an ONNX graph that compute: the shapes that they make, and the work.

Rules: ONNX operator specification, operator set 17.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.onnx_values import (
    MOST_KNOWN,
    Inputs,
    Rule,
    Value,
    axes_of,
    axis_of,
    computed,
    fault,
    integers,
    make,
    option,
    value_of,
)
from edgeemo.errors import BadArtifact

if TYPE_CHECKING:
    from edgeemo.artifacts.onnx_graph import Node


# ---- arithmetic ----


def same(node: Node, inputs: Inputs) -> list[Value]:
    """The shape of the first input."""
    first = value_of(node, inputs)
    return [make(node, first.shape, first.dtype, work=first.elements)]


def broadcast(node: Node, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The common shape of several, by numpy's rule.

    Args:
        node: for messages.
        shapes: one or more.

    Raises:
        BadArtifact: they do not fit each other.
    """
    rank = max(map(len, shapes))
    found = []
    for lengths in zip(*([1] * (rank - len(s)) + list(s) for s in shapes), strict=True):
        longer = {n for n in lengths if n != 1}
        if len(longer) > 1:
            raise fault(node, f"inputs of the shapes {[list(s) for s in shapes][:3]}")
        found.append(longer.pop() if longer else 1)
    return tuple(found)


def elementwise(
    function: Callable[..., NDArray[Any]] | None = None, dtype: Any = None, least: int = 2
) -> Rule:
    """An operator of values side by side; `function` computes it where all are known.

    Args:
        function: of as many arrays as inputs; None: values are never computed.
        dtype: of the output; None: that of the last input.
        least: inputs that must be there.
    """

    def rule(node: Node, inputs: Inputs) -> list[Value]:
        given = [value_of(node, inputs, i) for i in range(max(len(inputs), least))]
        shape = broadcast(node, [v.shape for v in given])
        kind = dtype or given[-1].dtype
        data = [v.data for v in given if v.data is not None]
        if function is not None and len(data) == len(given) and math.prod(shape) <= MOST_KNOWN:
            return [computed(node, kind, function(*data))]
        return [make(node, shape, kind, work=math.prod(shape))]

    return rule


def divide(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Div as shapes are divided: whole numbers are cut off towards 0.

    Args:
        a: numbers.
        b: numbers of a shape that fits.

    Raises:
        BadArtifact: a whole number divided by 0.
    """
    if a.dtype.kind == "f":
        return np.asarray(a / b)
    if not b.all():
        raise BadArtifact("Div by 0 in a shape")
    return np.asarray(np.trunc(a / b))


def quantize(node: Node, inputs: Inputs) -> list[Value]:
    """QuantizeLinear and DequantizeLinear."""
    first, scale = value_of(node, inputs), value_of(node, inputs, 1)
    zero = inputs[2] if len(inputs) > 2 else None
    rank = len(first.shape)
    axis = axis_of(node, option(node, "axis", 1), rank) if len(scale.shape) else 0
    if scale.shape not in ((), (1,)) and scale.shape != (first.shape[axis],):
        raise fault(node, f"scales of the shape {scale.shape} for {first.shape}")
    if zero is not None and zero.shape != scale.shape:
        raise fault(node, f"zero points of the shape {zero.shape} for scales {scale.shape}")
    wide = node.operator == "DequantizeLinear"
    dtype = np.float32 if wide else np.uint8 if zero is None else zero.dtype
    return [make(node, first.shape, dtype, work=first.elements)]


def norm(node: Node, inputs: Inputs) -> list[Value]:
    """LayerNormalization."""
    first = value_of(node, inputs)
    axis = axis_of(node, option(node, "axis", -1), len(first.shape))
    for at in range(1, len(inputs)):
        if (
            broadcast(node, [value_of(node, inputs, at).shape, first.shape[axis:]])
            != first.shape[axis:]
        ):
            raise fault(node, "a scale of another shape")
    return same(node, inputs)


# ---- linear maps ----


def conv(node: Node, inputs: Inputs) -> list[Value]:
    """Conv."""
    first, weights = value_of(node, inputs), value_of(node, inputs, 1)
    group = option(node, "group", 1)
    rank = len(weights.shape) - 2
    if not 1 <= rank <= 2 or len(first.shape) != rank + 2 or not weights.elements or group < 1:
        raise fault(node, f"inputs of the shapes {first.shape} and {weights.shape}")
    outputs = weights.shape[0]
    if first.shape[1] != weights.shape[1] * group or outputs % group:
        raise fault(node, f"{group} groups of the shapes {first.shape} and {weights.shape}")
    if len(inputs) > 2 and inputs[2] is not None and value_of(node, inputs, 2).shape != (outputs,):
        raise fault(node, f"a bias of the shape {value_of(node, inputs, 2).shape}")
    kernel = option(node, "kernel_shape", list(weights.shape[2:]))
    if list(kernel) != list(weights.shape[2:]):
        raise fault(node, f"a kernel of {kernel}")
    shape = (first.shape[0], outputs, *_windows(node, first.shape[2:], kernel))
    work = math.prod(shape) * math.prod(weights.shape[1:])
    return [make(node, shape, first.dtype, work=work)]


def quantized_conv(node: Node, inputs: Inputs) -> list[Value]:
    """QLinearConv: scale and zero point follow the input, the weights, and in front of both all."""
    first, weights, bias = value_of(node, inputs), value_of(node, inputs, 3), inputs[8:9]
    for at in (1, 2, 4, 5, 6, 7):
        count = weights.shape[:1] if at in (4, 5) else ()
        if value_of(node, inputs, at).shape not in ((), (1,), count):
            raise fault(node, f"an input {at} of the shape {value_of(node, inputs, at).shape}")
    kinds = [value_of(node, inputs, at).dtype for at in (2, 5)]
    if kinds != [first.dtype, weights.dtype] or any(b and b.dtype != np.int32 for b in bias):
        raise fault(node, "zero points or a bias of another type")
    (made,) = conv(node, [first, weights, *bias])
    return [make(node, made.shape, value_of(node, inputs, 7).dtype, work=made.work)]


def _windows(node: Node, lengths: Sequence[int], kernel: Sequence[int]) -> list[int]:
    """How often a kernel fits along each axis."""
    rank = len(lengths)
    if option(node, "auto_pad", b"NOTSET") != b"NOTSET":
        raise fault(node, "automatic padding")
    strides = option(node, "strides", [1] * rank)
    dilations = option(node, "dilations", [1] * rank)
    pads = option(node, "pads", [0] * 2 * rank)
    if (len(kernel), len(strides), len(dilations), len(pads)) != (rank, rank, rank, 2 * rank):
        raise fault(node, f"a geometry of another rank than {rank}")
    if min([*kernel, *strides, *dilations]) < 1 or min(pads) < 0 or max(pads) > 4096:
        raise fault(node, f"strides {strides}, dilations {dilations}, pads {pads}")
    found = []
    for i, length in enumerate(lengths):
        room = length + pads[i] + pads[i + rank] - ((kernel[i] - 1) * dilations[i] + 1)
        if room < 0:
            raise fault(node, f"a kernel of {kernel} over {list(lengths)}")
        found.append(room // strides[i] + 1)
    return found


def pool(node: Node, inputs: Inputs) -> list[Value]:
    """AveragePool and MaxPool."""
    first = value_of(node, inputs)
    kernel = option(node, "kernel_shape", list[int]())
    rank = len(first.shape) - 2
    if not 1 <= rank <= 2 or option(node, "ceil_mode", 0) or len(kernel) != rank:
        raise fault(node, f"a kernel of {kernel} over {first.shape}")
    pads = option(node, "pads", [0] * 2 * rank)
    if any(p >= k for p, k in zip(pads, [*kernel, *kernel], strict=True)):
        raise fault(node, f"pads {pads} around a kernel of {kernel}")
    shape = (*first.shape[:2], *_windows(node, first.shape[2:], kernel))
    return [make(node, shape, first.dtype, work=math.prod(shape) * math.prod(kernel))]


def global_pool(node: Node, inputs: Inputs) -> list[Value]:
    """GlobalAveragePool and GlobalMaxPool."""
    first = value_of(node, inputs)
    shape = (*first.shape[:2], *(1 for _ in first.shape[2:]))
    return [make(node, shape, first.dtype, work=first.elements)]


def gemm(node: Node, inputs: Inputs) -> list[Value]:
    """Gemm."""
    a, b = value_of(node, inputs), value_of(node, inputs, 1)
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise fault(node, f"inputs of the shapes {a.shape} and {b.shape}")
    rows, inner = a.shape[::-1] if option(node, "transA", 0) else a.shape
    also, columns = b.shape[::-1] if option(node, "transB", 0) else b.shape
    if inner != also:
        raise fault(node, f"inputs of the shapes {a.shape} and {b.shape}")
    if len(inputs) > 2 and inputs[2] is not None:
        bias = value_of(node, inputs, 2).shape
        if broadcast(node, [bias, (rows, columns)]) != (rows, columns):
            raise fault(node, f"a bias of the shape {bias}")
    return [make(node, (rows, columns), a.dtype, work=rows * inner * columns)]


def matmul(node: Node, inputs: Inputs) -> list[Value]:
    """MatMul."""
    a, b = value_of(node, inputs), value_of(node, inputs, 1)
    if len(a.shape) < 2 or len(b.shape) < 2 or a.shape[-1] != b.shape[-2]:
        raise fault(node, f"inputs of the shapes {a.shape} and {b.shape}")
    outer = (
        broadcast(node, [a.shape[:-2], b.shape[:-2]]) if max(len(a.shape), len(b.shape)) > 2 else ()
    )
    shape = (*outer, a.shape[-2], b.shape[-1])
    return [make(node, shape, a.dtype, work=math.prod(shape) * a.shape[-1])]


def reduce(node: Node, inputs: Inputs) -> list[Value]:
    """ReduceMax, ReduceMean, ReduceMin, ReduceSum."""
    first = value_of(node, inputs)
    given = integers(node, inputs, 1, "axes")
    rank = len(first.shape)
    axes = set(range(rank)) if given is None else axes_of(node, given, rank)
    if any(first.shape[a] == 0 for a in axes):
        raise fault(node, f"nothing to reduce in {first.shape}")
    kept = option(node, "keepdims", 1)
    shape = [1 if i in axes else n for i, n in enumerate(first.shape) if kept or i not in axes]
    return [make(node, shape, first.dtype, work=first.elements)]


def batch_norm(node: Node, inputs: Inputs) -> list[Value]:
    """BatchNormalization."""
    first = value_of(node, inputs)
    if len(first.shape) < 2:
        raise fault(node, f"an input of the shape {first.shape}")
    if any(value_of(node, inputs, i).shape != (first.shape[1],) for i in range(1, 5)):
        raise fault(node, f"figures of another count than {first.shape[1]}")
    return same(node, inputs)
