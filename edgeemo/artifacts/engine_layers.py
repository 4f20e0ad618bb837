"""What each operator of a TFLite graph becomes in the C engine: layers and their integers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.engine_compiler import (
    KINDS,
    LAYOUT,
    BlobTensor,
    Compiler,
    Padded,
    add_constant,
    add_layer,
    add_tensor,
    constant_of,
    fault,
    fixed_point,
    limits,
    place_of,
    quantization,
    shape4,
    sides,
)
from edgeemo.artifacts.engine_linear import conv, depthwise, fully_connected, rows_behind, window
from edgeemo.artifacts.tflite_graph import Operator


def _pad(c: Compiler, operator: Operator) -> None:
    number, out = sides(c, operator, 2)
    place, amounts = place_of(c, number), constant_of(c, operator, 1, "int32")
    here, there = c.graph.tensors[number], c.graph.tensors[out]
    if amounts.shape != (4, 2) or amounts[[0, 3]].any() or (amounts < 0).any():
        raise fault(operator, f"the amounts {amounts.tolist()}")
    if quantization(here) != quantization(there):
        raise fault(operator, "another scale or zero point behind it")
    (top, bottom), (left, right) = amounts[1].tolist(), amounts[2].tolist()
    c.places[out] = Padded(place.index, top, bottom, left, right)


def _reshape(c: Compiler, operator: Operator) -> None:
    """The same values in the same order: a tensor gets its shape when nothing has read it."""
    number, out = sides(c, operator)
    place = place_of(c, number)
    tensor, shape = c.tensors[place.index], shape4(c, out)
    c.places[out] = place
    if (tensor.columns, tensor.channels) == shape[1:]:
        return
    read = any(place.index in (layer["input"], layer["second"]) for layer in c.layers)
    maker = next((x["kind"] for x in c.layers if x["output"] == place.index), None)
    whole = tensor.columns * tensor.channels == shape[1] * shape[2]
    if read or not whole or maker not in (None, KINDS["DEPTHWISE"]):
        raise fault(operator, f"the shape {(tensor.columns, tensor.channels)} to {shape[1:]}")
    tensor.columns, tensor.channels = shape[1:]


def _pair(c: Compiler, operator: Operator) -> tuple[int, int, int]:
    """Places of two inputs and the output, which has the shape of the first."""
    number, out = sides(c, operator, 2)
    first, second = place_of(c, number).index, place_of(c, operator.inputs[1]).index
    a, b = c.tensors[first], c.tensors[second]
    if operator.name == "MUL" and a.stride == 0 and b.stride != 0:
        first, second, a, b = second, first, b, a
    same = (a.columns, a.channels, a.stride) == (b.columns, b.channels, b.stride)
    one = operator.name == "MUL" and (b.columns, b.stride, b.channels) == (1, 0, a.channels)
    if not same and not one:
        raise fault(operator, "inputs of different shapes")
    target = add_tensor(c, out, a.stride, (a.rows, a.columns, a.channels))
    c.places[out] = Padded(target)
    return first, second, target


def _add(c: Compiler, operator: Operator) -> None:
    first, second, target = _pair(c, operator)
    scale, zero = c.tensors[target].scale, c.tensors[target].zero
    sign = -1 if operator.name == "SUB" else 1
    a, b = c.tensors[first].scale / scale, sign * c.tensors[second].scale / scale
    most = LAYOUT["max_add"].bit_length() - 1
    shift = min(max(most - math.frexp(max(abs(a), abs(b)))[1], 1), 29)
    m0, m1 = (math.floor(math.ldexp(x, shift) + 0.5) for x in (a, b))
    if max(abs(m0), abs(m1)) > LAYOUT["max_add"]:
        raise fault(operator, "scales too far apart")
    add_layer(
        c,
        "ADD",
        first,
        target,
        second=second,
        weights_or_m0=m0,
        channels_or_m1=m1,
        shift=shift,
        **limits(operator.options["activation"], scale, zero, operator),
    )


def _multiply(c: Compiler, operator: Operator) -> None:
    first, second, target = _pair(c, operator)
    scale, zero = c.tensors[target].scale, c.tensors[target].zero
    real = np.array([c.tensors[first].scale * c.tensors[second].scale / scale])
    m, pre, shift = fixed_point(real)
    if 2 * 255**2 << pre >= 2**31:
        raise fault(operator, "products beyond 32 bits")
    add_layer(
        c,
        "MULTIPLY",
        first,
        target,
        second=second,
        weights_or_m0=int(m[0]),
        pre=pre,
        shift=shift,
        **limits(operator.options["activation"], scale, zero, operator),
    )


def _mean(c: Compiler, operator: Operator) -> None:
    number, out = sides(c, operator, 2)
    index, axes = place_of(c, number).index, constant_of(c, operator, 1, "int32").reshape(-1)
    source = c.tensors[index]
    all_axes = {int(a) % 4 for a in axes}
    if source.stride == 0 or not ({1, 2} == all_axes or ({1} == all_axes and source.columns == 1)):
        raise fault(operator, f"the axes {axes.tolist()}")
    target = add_tensor(c, out, 0, (1, 1, source.channels))
    c.places[out] = Padded(target)
    fraction, exponent = math.frexp(source.scale / c.tensors[target].scale)
    m0 = min(math.floor(math.ldexp(fraction, 31) + 0.5), 2**31 - 1)
    if not 20 <= 31 - exponent <= 60:
        raise fault(operator, "scales too far apart")
    add_layer(c, "MEAN", index, target, weights_or_m0=m0, shift=31 - exponent)


def _pool(c: Compiler, operator: Operator) -> None:
    number, out = sides(c, operator)
    place, o = place_of(c, number), operator.options
    geometry = window(c, operator, place, (o["kernel_rows"], o["kernel_columns"]))
    source = c.tensors[place.index]
    stride = source.stride * geometry["stride_rows"]
    shape = (rows_behind(source, geometry, operator), *shape4(c, out)[1:])
    target = add_tensor(c, out, stride, shape)
    c.places[out] = Padded(target)
    scale, zero = c.tensors[target].scale, c.tensors[target].zero
    if (scale, zero) != (source.scale, source.zero):
        raise fault(operator, "another scale or zero point behind it")
    kind = "MAX_POOL" if operator.name == "MAX_POOL_2D" else "AVERAGE_POOL"
    add_layer(
        c, kind, place.index, target, **geometry, **limits(o["activation"], scale, zero, operator)
    )


def _alike(c: Compiler, operator: Operator) -> tuple[BlobTensor, BlobTensor, int, int]:
    number, out = sides(c, operator)
    index = place_of(c, number).index
    source = c.tensors[index]
    target = add_tensor(c, out, source.stride, (source.rows, source.columns, source.channels))
    c.places[out] = Padded(target)
    return source, c.tensors[target], index, target


def _softmax(c: Compiler, operator: Operator) -> None:
    source, made, index, target = _alike(c, operator)
    if (made.scale, made.zero) != (1 / 256, -128) or not operator.options["beta"] > 0:
        raise fault(operator, f"the output scale {made.scale:g} and zero point {made.zero}")
    distances = np.exp(-np.arange(256) * source.scale * operator.options["beta"])
    table = np.floor(distances * 65535 + 0.5).astype("<u2")
    add_layer(c, "SOFTMAX", index, target, weights_or_m0=add_constant(c, table.tobytes()))


_FUNCTIONS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "LOGISTIC": lambda x: 1 / (1 + np.exp(-x)),
    "TANH": np.tanh,
    "HARD_SWISH": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "RELU": lambda x: np.maximum(x, 0),
    "RELU6": lambda x: np.clip(x, 0, 6),
    "QUANTIZE": lambda x: x,
}


def _table(c: Compiler, operator: Operator) -> None:
    """Any function of one value: 256 answers."""
    source, made, index, target = _alike(c, operator)
    values = (np.arange(-128, 128) - source.zero) * source.scale
    found = np.floor(_FUNCTIONS[operator.name](values) / made.scale + 0.5) + made.zero
    table = np.clip(found, -128, 127).astype(np.int8)
    add_layer(c, "TABLE", index, target, weights_or_m0=add_constant(c, table.tobytes()))


OPERATORS: dict[str, Callable[[Compiler, Operator], None]] = {
    "CONV_2D": conv,
    "DEPTHWISE_CONV_2D": depthwise,
    "FULLY_CONNECTED": fully_connected,
    "PAD": _pad,
    "RESHAPE": _reshape,
    "ADD": _add,
    "SUB": _add,
    "MUL": _multiply,
    "MEAN": _mean,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "SOFTMAX": _softmax,
    **dict.fromkeys(_FUNCTIONS, _table),
}
