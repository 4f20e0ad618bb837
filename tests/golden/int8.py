"""The arithmetic of the int8 engine in numpy, from the formulas at the head of edgeemo_model.h.

Whole clips, layer by layer, 64-bit integers, no blob and no kernels: the graph of the TFLite file
is all it shares with the engine. stream-int8.tflite beside it is the student wav2small-stream as
`edgeemo export --int8 --format tflite` wrote it for these tests, without a card.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.tflite_graph import Graph, Operator, Tensor

Ints = NDArray[np.int64]


def quantize(features: NDArray[np.float32], tensor: Tensor) -> NDArray[np.int8]:
    """Float to int8, halves up, in float32: product, then sum."""
    scale = np.float32(1 / float(tensor.scales[0]))
    codes = features * scale + np.float32(tensor.zeros[0])
    return np.floor(np.clip(codes, -128, 127) + np.float32(0.5)).astype(np.int8)


def run(graph: Graph, rows: NDArray[np.int8]) -> dict[int, Ints]:
    """Every tensor that an operator makes, by number, int8 values as int64.

    Args:
        graph: of a causal student.
        rows: [rows, bands], int8.
    """
    first = graph.inputs[0]
    values: dict[int, Ints] = {first: rows.astype(np.int64)[np.newaxis, :, :, np.newaxis]}
    for operator in graph.operators:
        values[operator.outputs[0]] = step(graph, operator, values)
    return values


def step(graph: Graph, operator: Operator, values: dict[int, Ints]) -> Ints:
    """The output of one operator."""
    tensors = [graph.tensors[i] for i in operator.inputs]
    given = [
        values[i] if t.data is None else t.data
        for i, t in zip(operator.inputs, tensors, strict=True)
    ]
    made = graph.tensors[operator.outputs[0]]
    return _STEPS[operator.name](operator, tensors, given, made)


def scaled(real: Any) -> tuple[Ints, int]:
    """Integers m and an exponent e: m / 2^e is near `real`, the largest m has 31 bits.

    The engine's shift is e - 32, 1 to 22, so e is kept in 33..54; beyond, m has fewer bits or the
    sum is multiplied by a power of two first, which changes nothing here.
    """
    real = np.asarray(real, np.float64)
    exponent = 31 - math.frexp(float(real.max()))[1]
    exponent = min(exponent, 54)
    return np.minimum(np.floor(real * 2.0**exponent + 0.5), 2**31 - 1).astype(np.int64), exponent


def rounded(product: Ints, exponent: int) -> Ints:
    """product / 2^exponent, halves up."""
    return (product + (1 << (exponent - 1))) >> exponent


def _clamp(value: Ints, operator: Operator, made: Tensor) -> Ints:
    zero, low, high = int(made.zeros[0]), -128, 127
    activation = operator.options.get("activation", 0)
    if activation:
        low = zero
    if activation == 3:
        high = min(127, zero + math.floor(6 / float(made.scales[0]) + 0.5))
    return np.clip(value + zero, low, high)


def _linear(operator: Operator, tensors: list[Tensor], sums: Ints, bias: Any, made: Tensor) -> Ints:
    real = tensors[0].scales[0].astype(np.float64) * tensors[1].scales / float(made.scales[0])
    m, exponent = scaled(np.broadcast_to(real, sums.shape[-1:]))
    return _clamp(rounded((sums + np.asarray(bias, np.int64)) * m, exponent), operator, made)


def _windows(operator: Operator, x: Ints, kernel: tuple[int, int]) -> Ints:
    """[rows, columns, kernel rows, kernel columns, channels] of [1, rows, columns, channels]."""
    assert operator.options["padding"] == 1, "students pad by PAD"
    o = operator.options
    spans = [
        (k - 1) * o[f"dilation_{d}"] + 1 for k, d in zip(kernel, ("rows", "columns"), strict=True)
    ]
    view = np.lib.stride_tricks.sliding_window_view(x[0], spans, axis=(0, 1))
    view = view[:: o["stride_rows"], :: o["stride_columns"]]
    return view[..., :: o["dilation_rows"], :: o["dilation_columns"]].transpose(0, 1, 3, 4, 2)


def _conv(operator: Operator, tensors: list[Tensor], given: list[Any], made: Tensor) -> Ints:
    weights = given[1].astype(np.int64)
    x = _windows(operator, given[0] - int(tensors[0].zeros[0]), weights.shape[1:3])
    sums = np.einsum("xyrkc,orkc->xyo", x, weights)
    return _linear(operator, tensors, sums, given[2], made)[np.newaxis]


def _depthwise(operator: Operator, tensors: list[Tensor], given: list[Any], made: Tensor) -> Ints:
    weights = given[1][0].astype(np.int64)
    x = _windows(operator, given[0] - int(tensors[0].zeros[0]), weights.shape[:2])
    sums = np.einsum(
        "xyrko,rko->xyo", np.broadcast_to(x, (*x.shape[:-1], weights.shape[2])), weights
    )
    return _linear(operator, tensors, sums, given[2], made)[np.newaxis]


def _full(operator: Operator, tensors: list[Tensor], given: list[Any], made: Tensor) -> Ints:
    sums = (given[0] - int(tensors[0].zeros[0])) @ given[1].astype(np.int64).T
    return _linear(operator, tensors, sums, given[2], made)


def _pad(operator: Operator, tensors: list[Tensor], given: list[Any], made: Tensor) -> Ints:
    return np.pad(given[0], given[1], constant_values=int(tensors[0].zeros[0]))


def _reshape(operator: Operator, tensors: list[Tensor], given: list[Any], made: Tensor) -> Ints:
    return np.reshape(given[0], given[1])


def _add(operator: Operator, tensors: list[Tensor], given: list[Any], made: Tensor) -> Ints:
    real = [float(t.scales[0]) / float(made.scales[0]) for t in tensors]
    shift = 21 - math.frexp(max(real))[1]
    m = [math.floor(r * 2.0**shift + 0.5) for r in real]
    sums = sum((x - int(t.zeros[0])) * k for x, t, k in zip(given, tensors, m, strict=True))
    return _clamp(rounded(np.asarray(sums), shift), operator, made)


def _mean(operator: Operator, tensors: list[Tensor], given: list[Any], made: Tensor) -> Ints:
    terms = given[0].shape[1] * given[0].shape[2]
    sums = (given[0] - int(tensors[0].zeros[0])).sum((1, 2))
    m, exponent = scaled(float(tensors[0].scales[0]) / float(made.scales[0]))
    ratio, exponent = (int(m) << 31) // terms, exponent + 31
    spare = max(ratio.bit_length() - 31, 0)
    return _clamp(rounded(sums * (ratio >> spare), exponent - spare), operator, made)


def _softmax(operator: Operator, tensors: list[Tensor], given: list[Any], made: Tensor) -> Ints:
    steps = np.arange(256) * float(tensors[0].scales[0]) * operator.options["beta"]
    table = np.floor(np.exp(-steps) * 65535 + 0.5).astype(np.int64)
    shares = table[given[0].max(-1, keepdims=True) - given[0]]
    total = shares.sum(-1, keepdims=True)
    return np.clip((512 * shares + total) // (2 * total) - 128, -128, 127)


_STEPS = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _full,
    "PAD": _pad,
    "RESHAPE": _reshape,
    "ADD": _add,
    "MEAN": _mean,
    "SOFTMAX": _softmax,
}
