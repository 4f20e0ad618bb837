"""From an int8 TFLite graph to the blob of the C engine (cmake_ext/include/edgeemo_model.h).

The integers are those of the file: weights as they are, biases with the input's zero point folded
in, and for each layer one multiplier a channel that stands for input scale * weight scale / output
scale. A blob is little-endian, made of int32 tables and constants aligned to 16 bytes; the names
and the order of the fields come from the C side (`_native.model_layout`).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo import _native
from edgeemo.backends._tflite_graph import NONE, RELU, RELU6, SAME, Graph, Operator, Tensor
from edgeemo.errors import BadArtifact

_LAYOUT = _native.model_layout()
_KINDS: dict[str, int] = _LAYOUT["kinds"]
_FOREVER = 10**9
_MAX_PRE = 15


@dataclass(frozen=True)
class Blob:
    """What the engine runs.

    Attributes:
        data: the bytes.
        origin: for each tensor of the blob, the number of the tensor of the TFLite graph.
        rows: rows of the input in the file; a model that is not streamable takes exactly these.
        streamable: whether frames may come one by one.
    """

    data: bytes
    origin: tuple[int, ...]
    rows: int
    streamable: bool


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
class _Padded:
    """A tensor of the graph: a tensor of the blob, with padding that a PAD has put around."""

    index: int
    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


@dataclass
class _Compiler:
    graph: Graph
    tensors: list[_Tensor] = field(default_factory=list)
    layers: list[dict[str, int]] = field(default_factory=list)
    places: dict[int, _Padded] = field(default_factory=dict)  # tensor of the graph to its place
    constants: bytearray = field(default_factory=bytearray)


class CannotRun(BadArtifact):
    """A sound model, but not one for this engine."""


def compile_graph(graph: Graph, *, rows: int | None = None, share: bool = True) -> Blob:
    """Make the engine's blob.

    Args:
        graph: of a full-integer model with one input of int8.
        rows: of the input, where that is not what the file says; it matters to a model that is
            not streamable.
        share: let tensors that are never used at the same time lie in the same memory; without
            it every row of every tensor can be looked at afterwards.

    Raises:
        CannotRun: an operator or a form of it that the engine does not run; the message
            names it.
    """
    if len(graph.inputs) != 1:
        raise CannotRun(f"has {len(graph.inputs)} inputs; the c backend runs models with one")
    c = _Compiler(graph)
    first = graph.tensors[graph.inputs[0]]
    if len(first.shape) != 4 or first.shape[0] != 1:
        raise CannotRun(f"the input has the shape {first.shape}; expected [1, rows, columns, n]")
    shape = (rows or first.shape[1], *first.shape[2:])
    c.places[graph.inputs[0]] = _Padded(_add_tensor(c, graph.inputs[0], 1, shape))
    for operator in graph.operators:
        compile_one = _COMPILERS.get(operator.name)
        if compile_one is None:
            raise CannotRun(f"the c backend does not run {operator.name}; use backend 'tflite'")
        compile_one(c, operator)
    streamable = _is_streamable(c)
    outputs = [_place(c, i).index for i in graph.outputs]
    if share:
        _share_memory(c, outputs, streamable)
    origin = tuple(t.origin for t in c.tensors)
    return Blob(_pack(c, outputs), origin, shape[0], streamable)


# ---- tensors ----


def _fault(operator: Operator, what: str) -> CannotRun:
    return CannotRun(f"the c backend does not run {operator.name} with {what}")


def _quantization(tensor: Tensor) -> tuple[float, int]:
    """Scale and zero point of an activation."""
    if tensor.dtype != "int8" or len(tensor.scales) != 1:
        raise CannotRun(f"an activation is {tensor.dtype} with {len(tensor.scales)} scales; "
                          "the c backend runs int8 with one")  # fmt: skip
    zero = int(tensor.zeros[0])
    scale = float(tensor.scales[0])
    if not (-128 <= zero <= 127 and 1e-20 < scale < 1e20):
        raise CannotRun(f"an int8 activation has the scale {scale:g}, the zero point {zero}")
    return scale, zero


def _add_tensor(c: _Compiler, origin: int, stride: int, shape: tuple[int, ...]) -> int:
    scale, zero = _quantization(c.graph.tensors[origin])
    rows, columns, channels = shape
    c.tensors.append(_Tensor(origin, rows, columns, channels, stride, zero, scale))
    return len(c.tensors) - 1


def _place(c: _Compiler, number: int, *, padded: bool = False) -> _Padded:
    place = c.places.get(number)
    if place is None:
        raise CannotRun("an operator reads a tensor that nothing has made")
    if not padded and (place.top or place.bottom or place.left or place.right):
        raise CannotRun("the c backend runs PAD only in front of a convolution")
    return place


def _constant(c: _Compiler, operator: Operator, at: int, dtype: str) -> NDArray[Any]:
    if at >= len(operator.inputs) or operator.inputs[at] < 0:
        raise _fault(operator, f"no input {at}")
    tensor = c.graph.tensors[operator.inputs[at]]
    if tensor.data is None or tensor.dtype != dtype:
        raise _fault(operator, f"input {at} that is no constant of {dtype}")
    return tensor.data


def _sides(c: _Compiler, operator: Operator, inputs: int = 1) -> tuple[int, int]:
    """Numbers of the first input and the output in the graph; the counts are checked."""
    if len(operator.inputs) < inputs or len(operator.outputs) != 1:
        raise _fault(operator, f"{len(operator.inputs)} inputs, {len(operator.outputs)} outputs")
    return operator.inputs[0], operator.outputs[0]


def _shape4(c: _Compiler, number: int) -> tuple[int, int, int]:
    """Rows, columns, channels of a tensor of the graph: [1, n] is one row of one column."""
    shape = c.graph.tensors[number].shape
    if shape[:1] != (1,) or len(shape) not in (2, 4):
        raise CannotRun(f"the c backend does not run tensors of the shape {shape}")
    return (1, 1, shape[1]) if len(shape) == 2 else (shape[1], shape[2], shape[3])


# ---- numbers ----


def _multipliers(real: NDArray[np.float64]) -> tuple[NDArray[np.int32], int, int]:
    """Integers m, and pre and shift, with m * 2^(pre - 32 - shift) near `real`."""
    largest = math.frexp(float(real.max()))[1]
    shift = min(max(-1 - largest, 1), _LAYOUT["max_shift"])
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
    return {"low": max(low, -128), "high": max(high, low, -128)}


def _add_constant(c: _Compiler, data: bytes) -> int:
    """Offset among the constants, a multiple of 16; equal constants are not joined."""
    c.constants += bytes(-len(c.constants) % 16)
    c.constants += data
    return len(c.constants) - len(data)


def _add_layer(c: _Compiler, kind: str, source: int, target: int, **values: int) -> None:
    made = dict.fromkeys(_LAYOUT["layer"], 0)
    made |= {"kind": _KINDS[kind], "input": source, "second": -1, "output": target, "high": 127,
             "low": -128, "kernel_rows": 1, "kernel_columns": 1, "stride_rows": 1,
             "stride_columns": 1, "dilation_rows": 1, "dilation_columns": 1}  # fmt: skip
    c.layers.append(made | values)


# ---- layers ----


def _span(kernel: int, dilation: int) -> int:
    return (kernel - 1) * dilation + 1


def _same(size: int, span: int, stride: int) -> tuple[int, int]:
    """TFLite's padding SAME: before and behind."""
    total = max((-(-size // stride) - 1) * stride + span - size, 0)
    return total // 2, total - total // 2


def _window(
    c: _Compiler, operator: Operator, place: _Padded, kernel: tuple[int, int]
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
        top, bottom = _same(tensor.rows, _span(kernel[0], rows), o["stride_rows"])
        left, right = _same(tensor.columns, _span(kernel[1], columns), o["stride_columns"])
    tensor.left, tensor.right = max(tensor.left, left), max(tensor.right, right)
    return {
        "kernel_rows": kernel[0], "kernel_columns": kernel[1], "stride_rows": o["stride_rows"],
        "stride_columns": o["stride_columns"], "dilation_rows": rows,
        "dilation_columns": columns, "top": top, "bottom": bottom, "left": left, "right": right,
    }  # fmt: skip


def _linear(
    c: _Compiler, operator: Operator, source: int, target: int, weights: NDArray[np.int8],
    geometry: dict[str, int], *, depthwise: bool,
) -> None:  # fmt: skip
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
        c, "DEPTHWISE" if depthwise else "CONV", source, target, pre=pre, shift=shift,
        weights=_add_constant(c, packed), channels=_add_constant(c, channels.tobytes()),
        **geometry, **_limits(operator.options["activation"], out_scale, out_zero, operator),
    )  # fmt: skip


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


def _conv(c: _Compiler, operator: Operator) -> None:
    number, out = _sides(c, operator, 2)
    place, weights = _place(c, number, padded=True), _constant(c, operator, 1, "int8")
    if weights.ndim != 4 or weights.shape[3] != c.tensors[place.index].channels:
        raise _fault(operator, f"weights of the shape {weights.shape} (groups)")
    _convolve(c, operator, place, out, weights, depthwise=False)


def _depthwise(c: _Compiler, operator: Operator) -> None:
    number, out = _sides(c, operator, 2)
    place, weights = _place(c, number, padded=True), _constant(c, operator, 1, "int8")
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
    span = _span(geometry["kernel_rows"], geometry["dilation_rows"])
    room = geometry["top"] + tensor.rows + geometry["bottom"] - span
    if room < 0:
        raise _fault(operator, f"a kernel of {span} rows over {tensor.rows}")
    return room // geometry["stride_rows"] + 1


def _convolve(
    c: _Compiler, operator: Operator, place: _Padded, out: int, weights: NDArray[np.int8],
    *, depthwise: bool,
) -> None:  # fmt: skip
    geometry = _window(c, operator, place, (weights.shape[1], weights.shape[2]))
    source = c.tensors[place.index]
    stride = source.stride * geometry["stride_rows"]
    shape = (_rows_behind(source, geometry, operator), *_shape4(c, out)[1:])
    target = _add_tensor(c, out, stride, shape)
    c.places[out] = _Padded(target)
    flat = weights.reshape(len(weights), -1)
    _linear(c, operator, place.index, target, flat, geometry, depthwise=depthwise)


def _fully_connected(c: _Compiler, operator: Operator) -> None:
    number, out = _sides(c, operator, 2)
    place, weights = _place(c, number), _constant(c, operator, 1, "int8")
    source = c.tensors[place.index]
    if weights.ndim != 2 or weights.shape[1] != source.channels or source.columns != 1:
        raise _fault(operator, f"weights of the shape {weights.shape}")
    target = _add_tensor(c, out, source.stride, _shape4(c, out))
    c.places[out] = _Padded(target)
    _linear(c, operator, place.index, target, weights, {}, depthwise=False)


def _pad(c: _Compiler, operator: Operator) -> None:
    number, out = _sides(c, operator, 2)
    place, amounts = _place(c, number), _constant(c, operator, 1, "int32")
    here, there = c.graph.tensors[number], c.graph.tensors[out]
    if amounts.shape != (4, 2) or amounts[[0, 3]].any() or (amounts < 0).any():
        raise _fault(operator, f"the amounts {amounts.tolist()}")
    if _quantization(here) != _quantization(there):
        raise _fault(operator, "another scale or zero point behind it")
    (top, bottom), (left, right) = amounts[1].tolist(), amounts[2].tolist()
    c.places[out] = _Padded(place.index, top, bottom, left, right)


def _reshape(c: _Compiler, operator: Operator) -> None:
    """The same values in the same order: a tensor gets its shape when nothing has read it."""
    number, out = _sides(c, operator)
    place = _place(c, number)
    tensor, shape = c.tensors[place.index], _shape4(c, out)
    c.places[out] = place
    if (tensor.columns, tensor.channels) == shape[1:]:
        return
    read = any(place.index in (layer["input"], layer["second"]) for layer in c.layers)
    maker = next((x["kind"] for x in c.layers if x["output"] == place.index), None)
    whole = tensor.columns * tensor.channels == shape[1] * shape[2]
    if read or not whole or maker not in (None, _KINDS["DEPTHWISE"]):
        raise _fault(operator, f"the shape {(tensor.columns, tensor.channels)} to {shape[1:]}")
    tensor.columns, tensor.channels = shape[1:]


def _pair(c: _Compiler, operator: Operator) -> tuple[int, int, int]:
    """Places of two inputs and the output, which has the shape of the first."""
    number, out = _sides(c, operator, 2)
    first, second = _place(c, number).index, _place(c, operator.inputs[1]).index
    a, b = c.tensors[first], c.tensors[second]
    if operator.name == "MUL" and a.stride == 0 and b.stride != 0:
        first, second, a, b = second, first, b, a
    same = (a.columns, a.channels, a.stride) == (b.columns, b.channels, b.stride)
    one = operator.name == "MUL" and (b.columns, b.stride, b.channels) == (1, 0, a.channels)
    if not same and not one:
        raise _fault(operator, "inputs of different shapes")
    target = _add_tensor(c, out, a.stride, (a.rows, a.columns, a.channels))
    c.places[out] = _Padded(target)
    return first, second, target


def _add(c: _Compiler, operator: Operator) -> None:
    first, second, target = _pair(c, operator)
    scale, zero = c.tensors[target].scale, c.tensors[target].zero
    sign = -1 if operator.name == "SUB" else 1
    a, b = c.tensors[first].scale / scale, sign * c.tensors[second].scale / scale
    most = _LAYOUT["max_add"].bit_length() - 1
    shift = min(max(most - math.frexp(max(abs(a), abs(b)))[1], 1), 29)
    m0, m1 = (math.floor(math.ldexp(x, shift) + 0.5) for x in (a, b))
    if max(abs(m0), abs(m1)) > _LAYOUT["max_add"]:
        raise _fault(operator, "scales too far apart")
    _add_layer(c, "ADD", first, target, second=second, m0=m0, m1=m1, shift=shift,
               **_limits(operator.options["activation"], scale, zero, operator))  # fmt: skip


def _multiply(c: _Compiler, operator: Operator) -> None:
    first, second, target = _pair(c, operator)
    scale, zero = c.tensors[target].scale, c.tensors[target].zero
    real = np.array([c.tensors[first].scale * c.tensors[second].scale / scale])
    m, pre, shift = _multipliers(real)
    if 2 * 255**2 << pre >= 2**31:
        raise _fault(operator, "products beyond 32 bits")
    _add_layer(c, "MULTIPLY", first, target, second=second, m0=int(m[0]), pre=pre, shift=shift,
               **_limits(operator.options["activation"], scale, zero, operator))  # fmt: skip


def _mean(c: _Compiler, operator: Operator) -> None:
    number, out = _sides(c, operator, 2)
    index, axes = _place(c, number).index, _constant(c, operator, 1, "int32").reshape(-1)
    source = c.tensors[index]
    all_axes = {int(a) % 4 for a in axes}
    if source.stride == 0 or not ({1, 2} == all_axes or ({1} == all_axes and source.columns == 1)):
        raise _fault(operator, f"the axes {axes.tolist()}")
    target = _add_tensor(c, out, 0, (1, 1, source.channels))
    c.places[out] = _Padded(target)
    fraction, exponent = math.frexp(source.scale / c.tensors[target].scale)
    m0 = min(math.floor(math.ldexp(fraction, 31) + 0.5), 2**31 - 1)
    if not 20 <= 31 - exponent <= 60:
        raise _fault(operator, "scales too far apart")
    _add_layer(c, "MEAN", index, target, m0=m0, shift=31 - exponent)


def _pool(c: _Compiler, operator: Operator) -> None:
    number, out = _sides(c, operator)
    place, o = _place(c, number), operator.options
    geometry = _window(c, operator, place, (o["kernel_rows"], o["kernel_columns"]))
    source = c.tensors[place.index]
    stride = source.stride * geometry["stride_rows"]
    shape = (_rows_behind(source, geometry, operator), *_shape4(c, out)[1:])
    target = _add_tensor(c, out, stride, shape)
    c.places[out] = _Padded(target)
    scale, zero = c.tensors[target].scale, c.tensors[target].zero
    if (scale, zero) != (source.scale, source.zero):
        raise _fault(operator, "another scale or zero point behind it")
    kind = "MAX_POOL" if operator.name == "MAX_POOL_2D" else "AVERAGE_POOL"
    _add_layer(c, kind, place.index, target, **geometry,
               **_limits(o["activation"], scale, zero, operator))  # fmt: skip


def _alike(c: _Compiler, operator: Operator) -> tuple[_Tensor, _Tensor, int, int]:
    number, out = _sides(c, operator)
    index = _place(c, number).index
    source = c.tensors[index]
    target = _add_tensor(c, out, source.stride, (source.rows, source.columns, source.channels))
    c.places[out] = _Padded(target)
    return source, c.tensors[target], index, target


def _softmax(c: _Compiler, operator: Operator) -> None:
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


def _table(c: _Compiler, operator: Operator) -> None:
    """Any function of one value: 256 answers."""
    source, made, index, target = _alike(c, operator)
    values = (np.arange(-128, 128) - source.zero) * source.scale
    found = np.floor(_FUNCTIONS[operator.name](values) / made.scale + 0.5) + made.zero
    table = np.clip(found, -128, 127).astype(np.int8)
    _add_layer(c, "TABLE", index, target, weights=_add_constant(c, table.tobytes()))


_COMPILERS: dict[str, Callable[[_Compiler, Operator], None]] = {
    "CONV_2D": _conv, "DEPTHWISE_CONV_2D": _depthwise, "FULLY_CONNECTED": _fully_connected,
    "PAD": _pad, "RESHAPE": _reshape, "ADD": _add, "SUB": _add, "MUL": _multiply, "MEAN": _mean,
    "AVERAGE_POOL_2D": _pool, "MAX_POOL_2D": _pool, "SOFTMAX": _softmax,
    **dict.fromkeys(_FUNCTIONS, _table),
}  # fmt: skip


# ---- memory and bytes ----


def _is_streamable(c: _Compiler) -> bool:
    """As is_streamable() in edgeemo_model_check.c; a test compares the two."""
    for layer in c.layers:
        if c.tensors[layer["output"]].stride == 0:
            continue
        late = layer["second"] >= 0 and c.tensors[layer["second"]].stride == 0
        past = _span(layer["kernel_rows"], layer["dilation_rows"]) - layer["stride_rows"]
        if late or layer["bottom"] or layer["top"] != past:
            return False
    return True


def _share_memory(c: _Compiler, outputs: list[int], streamable: bool) -> None:
    """Give tensors that are never used at once the same pool, the first that is free."""
    busy_until = [-1] * _LAYOUT["pools"]
    for at, layer in enumerate(c.layers):
        index = layer["output"]
        readers = [i for i, x in enumerate(c.layers) if index in (x["input"], x["second"])]
        # In a stream a kernel over time needs rows of earlier pushes.
        kept = streamable and any(
            c.layers[i]["kernel_rows"] > 1 or c.layers[i]["stride_rows"] > 1 for i in readers
        )
        last = _FOREVER if index in outputs else max(readers, default=at)
        free = [p for p, until in enumerate(busy_until) if until < at]
        if kept or not free:
            continue
        c.tensors[index].pool = free[0]
        busy_until[free[0]] = last


def _float_bits(value: float) -> int:
    return int(struct.unpack("<i", struct.pack("<f", value))[0])


def _pack(c: _Compiler, outputs: list[int]) -> bytes:
    """Header, tables, constants."""
    header = dict.fromkeys(_LAYOUT["header"], 0)
    start = 4 * len(header)
    tables = bytearray()

    def add(name: str, data: bytes, count: int) -> None:
        header[name], header[f"{name}_at"] = count, start + len(tables)
        tables.extend(data)

    rows = [vars(t) | {"scale": _float_bits(t.scale)} for t in c.tensors]
    add("tensors", b"".join(_words(r, "tensor") for r in rows), len(rows))
    first = c.tensors[0]
    add("scales", struct.pack("<2f", 1 / first.scale, first.zero), 1)
    add("outputs", np.array(outputs, "<i4").tobytes(), len(outputs))
    layers_bytes = 4 * len(_LAYOUT["layer"]) * len(c.layers)
    base = -(-(start + len(tables) + layers_bytes) // 16) * 16
    moved = [layer | {k: layer[k] + base for k in _offsets(layer)} for layer in c.layers]
    add("layers", b"".join(_words(layer, "layer") for layer in moved), len(moved))
    header |= {"magic": _LAYOUT["magic"], "version": _LAYOUT["version"],
               "bytes": base + len(c.constants)}  # fmt: skip
    made = _words(header, "header") + bytes(tables)
    return made + bytes(base - len(made)) + bytes(c.constants)


def _offsets(layer: dict[str, int]) -> tuple[str, ...]:
    kinds = {v: k for k, v in _KINDS.items()}
    kind = kinds[layer["kind"]]
    if kind in ("CONV", "DEPTHWISE"):
        return "weights", "channels"
    return ("weights",) if kind in ("SOFTMAX", "TABLE") else ()


def _words(values: dict[str, Any], table: str) -> bytes:
    return struct.pack(f"<{len(_LAYOUT[table])}i", *(values[name] for name in _LAYOUT[table]))
