"""What each operator of a TFLite graph becomes in the C engine: layers and their integers.

The integers are those of the file: weights as they are, biases with the input's zero point folded
in, and for each layer one multiplier a channel that stands for input scale * weight scale / output
scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo import _native
from edgeemo.artifacts.tflite_graph import NONE, RELU, RELU6, SAME, Graph, Operator, Tensor
from edgeemo.errors import BadArtifact

LAYOUT = _native.model_layout()
KINDS: dict[str, int] = LAYOUT["kinds"]
_MAX_PRE = 15


class CannotRun(BadArtifact):
    """A sound model, but not one for this engine."""


@dataclass
class _Tensor:
    """A tensor of the blob; `rows` as in the file."""

    origin: int
    rows: int
    columns: int
    channels: int
    stride: int  # 0: one row only
    zero: int
    scale: float
    left: int = 0
    right: int = 0
    pool: int = -1


@dataclass
class Padded:
    """A tensor of the graph: a tensor of the blob, with padding that a PAD has put around."""

    index: int
    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


@dataclass
class Compiler:
    """What a graph becomes on its way to the engine's blob."""

    graph: Graph
    tensors: list[_Tensor] = field(default_factory=list)
    layers: list[dict[str, int]] = field(default_factory=list)
    places: dict[int, Padded] = field(default_factory=dict)  # tensor of the graph to its place
    constants: bytearray = field(default_factory=bytearray)


# ---- tensors ----


def _fault(operator: Operator, what: str) -> CannotRun:
    return CannotRun(f"the c backend does not run {operator.name} with {what}")


def _quantization(tensor: Tensor) -> tuple[float, int]:
    """Scale and zero point of an activation."""
    if tensor.dtype != "int8" or len(tensor.scales) != 1:
        raise CannotRun(
            f"an activation is {tensor.dtype} with {len(tensor.scales)} scales; "
            "the c backend runs int8 with one"
        )
    zero = int(tensor.zeros[0])
    scale = float(tensor.scales[0])
    if not (-128 <= zero <= 127 and 1e-20 < scale < 1e20):
        raise CannotRun(f"an int8 activation has the scale {scale:g}, the zero point {zero}")
    return scale, zero


def add_tensor(c: Compiler, origin: int, stride: int, shape: tuple[int, ...]) -> int:
    """A tensor of the blob for one of the graph; its number."""
    scale, zero = _quantization(c.graph.tensors[origin])
    rows, columns, channels = shape
    c.tensors.append(_Tensor(origin, rows, columns, channels, stride, zero, scale))
    return len(c.tensors) - 1


def place_of(c: Compiler, number: int, *, padded: bool = False) -> Padded:
    """Where a tensor of the graph lies in the blob.

    Raises:
        CannotRun: nothing has made it, or it has a border that the reader cannot take.
    """
    place = c.places.get(number)
    if place is None:
        raise CannotRun("an operator reads a tensor that nothing has made")
    if not padded and (place.top or place.bottom or place.left or place.right):
        raise CannotRun("the c backend runs PAD only in front of a convolution")
    return place


def _constant(c: Compiler, operator: Operator, at: int, dtype: str) -> NDArray[Any]:
    if at >= len(operator.inputs) or operator.inputs[at] < 0:
        raise _fault(operator, f"no input {at}")
    tensor = c.graph.tensors[operator.inputs[at]]
    if tensor.data is None or tensor.dtype != dtype:
        raise _fault(operator, f"input {at} that is no constant of {dtype}")
    return tensor.data


def _sides(c: Compiler, operator: Operator, inputs: int = 1) -> tuple[int, int]:
    """Numbers of the first input and the output in the graph; the counts are checked."""
    if len(operator.inputs) < inputs or len(operator.outputs) != 1:
        raise _fault(operator, f"{len(operator.inputs)} inputs, {len(operator.outputs)} outputs")
    return operator.inputs[0], operator.outputs[0]


def _shape4(c: Compiler, number: int) -> tuple[int, int, int]:
    """Rows, columns, channels of a tensor of the graph: [1, n] is one row of one column."""
    shape = c.graph.tensors[number].shape
    if shape[:1] != (1,) or len(shape) not in (2, 4):
        raise CannotRun(f"the c backend does not run tensors of the shape {shape}")
    return (1, 1, shape[1]) if len(shape) == 2 else (shape[1], shape[2], shape[3])


# ---- numbers ----


def _multipliers(real: NDArray[np.float64]) -> tuple[NDArray[np.int32], int, int]:
    """Integers m, and pre and shift, with m * 2^(pre - 32 - shift) near `real`."""
    largest = math.frexp(float(real.max()))[1]
    shift = min(max(-1 - largest, 1), LAYOUT["max_shift"])
    pre = max(shift + 1 + largest, 0)
    if pre > _MAX_PRE:
        raise CannotRun(f"a layer multiplies by {real.max():g}; its scales are foolish")
    found = np.floor(np.ldexp(real, 32 + shift - pre) + 0.5)
    return np.minimum(found, 2**31 - 1).astype(np.int32), pre, shift


def _limits(activation: int, scale: float, zero: int, operator: Operator) -> dict[str, int]:
    if activation not in (NONE, RELU, RELU6):
        raise _fault(operator, f"the fused activation {activation}")
    low = -128 if activation == NONE else zero
    high = min(127, zero + math.floor(6 / scale + 0.5)) if activation == RELU6 else 127
    return {"act_min": max(low, -128), "act_max": max(high, low, -128)}


def _add_constant(c: Compiler, data: bytes) -> int:
    """Offset among the constants, a multiple of 16; equal constants are not joined."""
    c.constants += bytes(-len(c.constants) % 16)
    c.constants += data
    return len(c.constants) - len(data)


def _add_layer(c: Compiler, kind: str, source: int, target: int, **values: int) -> None:
    made = dict.fromkeys(LAYOUT["layer"], 0)
    made |= {
        "kind": KINDS[kind],
        "input": source,
        "second": -1,
        "output": target,
        "act_max": 127,
        "act_min": -128,
        "kernel_rows": 1,
        "kernel_columns": 1,
        "stride_rows": 1,
        "stride_columns": 1,
        "dilation_rows": 1,
        "dilation_columns": 1,
    }
    c.layers.append(made | values)


# ---- layers ----


def span(kernel: int, dilation: int) -> int:
    """Rows or columns from the first to the last that a kernel sees."""
    return (kernel - 1) * dilation + 1


def _same(size: int, span: int, stride: int) -> tuple[int, int]:
    """TFLite's padding SAME: before and behind."""
    total = max((-(-size // stride) - 1) * stride + span - size, 0)
    return total // 2, total - total // 2


def _window(
    c: Compiler, operator: Operator, place: Padded, kernel: tuple[int, int]
) -> dict[str, int]:
    """Geometry of a kernel, the padding of a PAD in front of it included."""
    o, tensor = operator.options, c.tensors[place.index]
    rows, columns = o.get("dilation_rows", 1), o.get("dilation_columns", 1)
    if min(rows, columns, o["stride_rows"], o["stride_columns"], *kernel) < 1:
        raise _fault(operator, "a stride or dilation below 1")
    top, bottom, left, right = place.top, place.bottom, place.left, place.right
    if o["padding"] == SAME:
        if top or bottom or left or right:
            raise _fault(operator, "padding SAME behind a PAD")
        top, bottom = _same(tensor.rows, span(kernel[0], rows), o["stride_rows"])
        left, right = _same(tensor.columns, span(kernel[1], columns), o["stride_columns"])
    tensor.left, tensor.right = max(tensor.left, left), max(tensor.right, right)
    return {
        "kernel_rows": kernel[0],
        "kernel_columns": kernel[1],
        "stride_rows": o["stride_rows"],
        "stride_columns": o["stride_columns"],
        "dilation_rows": rows,
        "dilation_columns": columns,
        "top": top,
        "bottom": bottom,
        "left": left,
        "right": right,
    }


def _linear(
    c: Compiler,
    operator: Operator,
    source: int,
    target: int,
    weights: NDArray[np.int8],
    geometry: dict[str, int],
    *,
    depthwise: bool,
) -> None:
    """A layer with weights [outputs, inputs] (depthwise: [channels, taps])."""
    scale, zero = c.tensors[source].scale, c.tensors[source].zero
    out_scale, out_zero = c.tensors[target].scale, c.tensors[target].zero
    constant = c.graph.tensors[operator.inputs[1]]
    if len(constant.scales) not in (1, len(weights)) or constant.zeros.any():
        raise _fault(operator, f"{len(constant.scales)} scales, or weights that have a zero point")
    bias = np.zeros(len(weights), np.int64)
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        bias += _constant(c, operator, 2, "int32").reshape(-1)
    wide = weights.astype(np.int64)
    bias -= zero * wide.sum(axis=1)
    real = scale * constant.scales.astype(np.float64) / out_scale
    multipliers, pre, shift = _multipliers(np.broadcast_to(real, len(weights)))
    # The largest sum there can be, with which the engine must not leave its 32 bits.
    most = int((128 * abs(wide).sum(axis=1) + abs(bias)).max())
    if most << pre >= 2**31 or abs(bias).max() > 2**30:
        raise _fault(operator, "sums beyond 32 bits")
    channels = np.stack([bias, multipliers], axis=1).astype("<i4")
    packed = _pack_depthwise(weights) if depthwise else _pack_dense(weights)
    _add_layer(
        c,
        "DEPTHWISE" if depthwise else "CONV",
        source,
        target,
        pre=pre,
        shift=shift,
        weights=_add_constant(c, packed),
        channels=_add_constant(c, channels.tobytes()),
        **geometry,
        **_limits(operator.options["activation"], out_scale, out_zero, operator),
    )


def _pack_dense(weights: NDArray[np.int8]) -> bytes:
    """Groups of four outputs, in them blocks of 16 inputs (the last of 4, 8 or 12)."""
    outputs, inputs = weights.shape
    padded = np.zeros((-(-outputs // 4) * 4, -(-inputs // 4) * 4), np.int8)
    padded[:outputs, :inputs] = weights
    parts = []
    for group in padded.reshape(-1, 4, padded.shape[1]):
        parts += [group[:, k : k + 16].tobytes() for k in range(0, padded.shape[1], 16)]
    return b"".join(parts)


def _pack_depthwise(weights: NDArray[np.int8]) -> bytes:
    """Pairs of taps, in them the channels, in them the two taps as int16."""
    channels, taps = weights.shape
    padded = np.zeros((-(-channels // 4) * 4, -(-taps // 2) * 2), "<i2")
    padded[:channels, :taps] = weights
    return padded.reshape(len(padded), -1, 2).transpose(1, 0, 2).tobytes()


def _conv(c: Compiler, operator: Operator) -> None:
    number, out = _sides(c, operator, 2)
    place, weights = place_of(c, number, padded=True), _constant(c, operator, 1, "int8")
    if weights.ndim != 4 or weights.shape[3] != c.tensors[place.index].channels:
        raise _fault(operator, f"weights of the shape {weights.shape} (groups)")
    _convolve(c, operator, place, out, weights, depthwise=False)


def _depthwise(c: Compiler, operator: Operator) -> None:
    number, out = _sides(c, operator, 2)
    place, weights = place_of(c, number, padded=True), _constant(c, operator, 1, "int8")
    channels = c.tensors[place.index].channels
    if weights.ndim != 4 or weights.shape[0] != 1:
        raise _fault(operator, f"weights of the shape {weights.shape}")
    if channels == 1 and weights.shape[3] > 1:
        # Many filters over one channel are a convolution.
        _convolve(c, operator, place, out, weights.transpose(3, 1, 2, 0), depthwise=False)
    elif weights.shape[3] == channels:
        _convolve(c, operator, place, out, weights.transpose(3, 1, 2, 0), depthwise=True)
    else:
        raise _fault(operator, f"{weights.shape[3]} filters over {channels} channels")


def _rows_behind(tensor: _Tensor, geometry: dict[str, int], operator: Operator) -> int:
    rows = span(geometry["kernel_rows"], geometry["dilation_rows"])
    room = geometry["top"] + tensor.rows + geometry["bottom"] - rows
    if room < 0:
        raise _fault(operator, f"a kernel of {rows} rows over {tensor.rows}")
    return room // geometry["stride_rows"] + 1


def _convolve(
    c: Compiler,
    operator: Operator,
    place: Padded,
    out: int,
    weights: NDArray[np.int8],
    *,
    depthwise: bool,
) -> None:
    geometry = _window(c, operator, place, (weights.shape[1], weights.shape[2]))
    source = c.tensors[place.index]
    stride = source.stride * geometry["stride_rows"]
    shape = (_rows_behind(source, geometry, operator), *_shape4(c, out)[1:])
    target = add_tensor(c, out, stride, shape)
    c.places[out] = Padded(target)
    flat = weights.reshape(len(weights), -1)
    _linear(c, operator, place.index, target, flat, geometry, depthwise=depthwise)


def _fully_connected(c: Compiler, operator: Operator) -> None:
    number, out = _sides(c, operator, 2)
    place, weights = place_of(c, number), _constant(c, operator, 1, "int8")
    source = c.tensors[place.index]
    if weights.ndim != 2 or weights.shape[1] != source.channels or source.columns != 1:
        raise _fault(operator, f"weights of the shape {weights.shape}")
    target = add_tensor(c, out, source.stride, _shape4(c, out))
    c.places[out] = Padded(target)
    _linear(c, operator, place.index, target, weights, {}, depthwise=False)


def _pad(c: Compiler, operator: Operator) -> None:
    number, out = _sides(c, operator, 2)
    place, amounts = place_of(c, number), _constant(c, operator, 1, "int32")
    here, there = c.graph.tensors[number], c.graph.tensors[out]
    if amounts.shape != (4, 2) or amounts[[0, 3]].any() or (amounts < 0).any():
        raise _fault(operator, f"the amounts {amounts.tolist()}")
    if _quantization(here) != _quantization(there):
        raise _fault(operator, "another scale or zero point behind it")
    (top, bottom), (left, right) = amounts[1].tolist(), amounts[2].tolist()
    c.places[out] = Padded(place.index, top, bottom, left, right)


def _reshape(c: Compiler, operator: Operator) -> None:
    """The same values in the same order: a tensor gets its shape when nothing has read it."""
    number, out = _sides(c, operator)
    place = place_of(c, number)
    tensor, shape = c.tensors[place.index], _shape4(c, out)
    c.places[out] = place
    if (tensor.columns, tensor.channels) == shape[1:]:
        return
    read = any(place.index in (layer["input"], layer["second"]) for layer in c.layers)
    maker = next((x["kind"] for x in c.layers if x["output"] == place.index), None)
    whole = tensor.columns * tensor.channels == shape[1] * shape[2]
    if read or not whole or maker not in (None, KINDS["DEPTHWISE"]):
        raise _fault(operator, f"the shape {(tensor.columns, tensor.channels)} to {shape[1:]}")
    tensor.columns, tensor.channels = shape[1:]


def _pair(c: Compiler, operator: Operator) -> tuple[int, int, int]:
    """Places of two inputs and the output, which has the shape of the first."""
    number, out = _sides(c, operator, 2)
    first, second = place_of(c, number).index, place_of(c, operator.inputs[1]).index
    a, b = c.tensors[first], c.tensors[second]
    if operator.name == "MUL" and a.stride == 0 and b.stride != 0:
        first, second, a, b = second, first, b, a
    same = (a.columns, a.channels, a.stride) == (b.columns, b.channels, b.stride)
    one = operator.name == "MUL" and (b.columns, b.stride, b.channels) == (1, 0, a.channels)
    if not same and not one:
        raise _fault(operator, "inputs of different shapes")
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
        raise _fault(operator, "scales too far apart")
    _add_layer(
        c,
        "ADD",
        first,
        target,
        second=second,
        m0=m0,
        m1=m1,
        shift=shift,
        **_limits(operator.options["activation"], scale, zero, operator),
    )


def _multiply(c: Compiler, operator: Operator) -> None:
    first, second, target = _pair(c, operator)
    scale, zero = c.tensors[target].scale, c.tensors[target].zero
    real = np.array([c.tensors[first].scale * c.tensors[second].scale / scale])
    m, pre, shift = _multipliers(real)
    if 2 * 255**2 << pre >= 2**31:
        raise _fault(operator, "products beyond 32 bits")
    _add_layer(
        c,
        "MULTIPLY",
        first,
        target,
        second=second,
        m0=int(m[0]),
        pre=pre,
        shift=shift,
        **_limits(operator.options["activation"], scale, zero, operator),
    )


def _mean(c: Compiler, operator: Operator) -> None:
    number, out = _sides(c, operator, 2)
    index, axes = place_of(c, number).index, _constant(c, operator, 1, "int32").reshape(-1)
    source = c.tensors[index]
    all_axes = {int(a) % 4 for a in axes}
    if source.stride == 0 or not ({1, 2} == all_axes or ({1} == all_axes and source.columns == 1)):
        raise _fault(operator, f"the axes {axes.tolist()}")
    target = add_tensor(c, out, 0, (1, 1, source.channels))
    c.places[out] = Padded(target)
    fraction, exponent = math.frexp(source.scale / c.tensors[target].scale)
    m0 = min(math.floor(math.ldexp(fraction, 31) + 0.5), 2**31 - 1)
    if not 20 <= 31 - exponent <= 60:
        raise _fault(operator, "scales too far apart")
    _add_layer(c, "MEAN", index, target, m0=m0, shift=31 - exponent)


def _pool(c: Compiler, operator: Operator) -> None:
    number, out = _sides(c, operator)
    place, o = place_of(c, number), operator.options
    geometry = _window(c, operator, place, (o["kernel_rows"], o["kernel_columns"]))
    source = c.tensors[place.index]
    stride = source.stride * geometry["stride_rows"]
    shape = (_rows_behind(source, geometry, operator), *_shape4(c, out)[1:])
    target = add_tensor(c, out, stride, shape)
    c.places[out] = Padded(target)
    scale, zero = c.tensors[target].scale, c.tensors[target].zero
    if (scale, zero) != (source.scale, source.zero):
        raise _fault(operator, "another scale or zero point behind it")
    kind = "MAX_POOL" if operator.name == "MAX_POOL_2D" else "AVERAGE_POOL"
    _add_layer(
        c, kind, place.index, target, **geometry, **_limits(o["activation"], scale, zero, operator)
    )


def _alike(c: Compiler, operator: Operator) -> tuple[_Tensor, _Tensor, int, int]:
    number, out = _sides(c, operator)
    index = place_of(c, number).index
    source = c.tensors[index]
    target = add_tensor(c, out, source.stride, (source.rows, source.columns, source.channels))
    c.places[out] = Padded(target)
    return source, c.tensors[target], index, target


def _softmax(c: Compiler, operator: Operator) -> None:
    source, made, index, target = _alike(c, operator)
    if (made.scale, made.zero) != (1 / 256, -128) or not operator.options["beta"] > 0:
        raise _fault(operator, f"the output scale {made.scale:g} and zero point {made.zero}")
    distances = np.exp(-np.arange(256) * source.scale * operator.options["beta"])
    table = np.floor(distances * 65535 + 0.5).astype("<u2")
    _add_layer(c, "SOFTMAX", index, target, weights=_add_constant(c, table.tobytes()))


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
    _add_layer(c, "TABLE", index, target, weights=_add_constant(c, table.tobytes()))


OPERATORS: dict[str, Callable[[Compiler, Operator], None]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
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
