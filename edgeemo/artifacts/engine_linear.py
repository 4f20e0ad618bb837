"""Convolutions and fully connected layers of a TFLite graph as layers of the C engine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.engine_compiler import (
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
    shape4,
    sides,
)
from edgeemo.artifacts.tflite_graph import SAME, Operator


def span(kernel: int, dilation: int) -> int:
    """Rows or columns from the first to the last that a kernel sees.

    Args:
        kernel: rows or columns of the kernel.
        dilation: distance from one to the next, 1 or more.
    """
    return (kernel - 1) * dilation + 1


def _same(size: int, span: int, stride: int) -> tuple[int, int]:
    """TFLite's padding SAME: before and behind."""
    total = max((-(-size // stride) - 1) * stride + span - size, 0)
    return total // 2, total - total // 2


def window(
    c: Compiler, operator: Operator, place: Padded, kernel: tuple[int, int]
) -> dict[str, int]:
    """Geometry of a kernel, the padding of a PAD in front of it included.

    Args:
        c: the compiler; the columns of padding are noted in the tensor.
        operator: of the graph.
        place: what the kernel reads.
        kernel: its rows and columns.

    Raises:
        CannotRun: a stride or dilation below 1, or padding SAME behind a PAD.
    """
    o, tensor = operator.options, c.tensors[place.index]
    rows, columns = o.get("dilation_rows", 1), o.get("dilation_columns", 1)
    if min(rows, columns, o["stride_rows"], o["stride_columns"], *kernel) < 1:
        raise fault(operator, "a stride or dilation below 1")
    top, bottom, left, right = place.top, place.bottom, place.left, place.right
    if o["padding"] == SAME:
        if top or bottom or left or right:
            raise fault(operator, "padding SAME behind a PAD")
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
    int4 = constant.dtype == "int4"
    # The engine unpacks them as bytes that are 16 times as large (edgeemo_kernels.h).
    unit = 16 if int4 else 1
    weights = weights * np.int8(unit)
    if len(constant.scales) not in (1, len(weights)) or constant.zeros.any():
        raise fault(operator, f"{len(constant.scales)} scales, or weights that have a zero point")
    bias = np.zeros(len(weights), np.int64)
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        bias += constant_of(c, operator, 2, "int32").reshape(-1) * np.int64(unit)
    wide = weights.astype(np.int64)
    bias -= zero * wide.sum(axis=1)
    real = scale * constant.scales.astype(np.float64) / unit / out_scale
    multipliers, pre, shift = fixed_point(np.broadcast_to(real, len(weights)))
    # The largest sum there can be, with which the engine must not leave its 32 bits.
    most = int((128 * abs(wide).sum(axis=1) + abs(bias)).max())
    if most << pre >= 2**31 or abs(bias).max() > 2**30:
        raise fault(operator, "sums beyond 32 bits")
    channels = np.zeros((2, -(-len(bias) // 4) * 4), "<i4")
    channels[:, : len(bias)] = bias, multipliers
    by_four = channels.reshape(2, -1, 4).transpose(1, 0, 2)
    packed = _pack_depthwise(weights) if depthwise else _pack_dense(weights)
    if int4:
        packed = _pack_int4(packed)
    add_layer(
        c,
        "DEPTHWISE" if depthwise else "CONV",
        source,
        target,
        pre=pre,
        shift=shift,
        int4=int(int4),
        weights_or_m0=add_constant(c, packed),
        channels_or_m1=add_constant(c, by_four.tobytes()),
        **geometry,
        **limits(operator.options["activation"], out_scale, out_zero, operator),
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


def _pack_int4(packed: bytes) -> bytes:
    """Of eight bytes the upper halves in four: byte i has number i below, number i + 4 above."""
    eights = np.frombuffer(packed, np.uint8).reshape(-1, 2, 4)
    return (eights[:, 0] >> 4 | eights[:, 1] & 0xF0).tobytes()


def _pack_depthwise(weights: NDArray[np.int8]) -> bytes:
    """Taps, in them the channels, filled up to four."""
    channels, taps = weights.shape
    padded = np.zeros((taps, -(-channels // 4) * 4), np.int8)
    padded[:, :channels] = weights.T
    return padded.tobytes()


def conv(c: Compiler, operator: Operator) -> None:
    """CONV_2D.

    Args:
        c: the compiler.
        operator: of the graph; its layer is appended.

    Raises:
        CannotRun: groups, or another form that the engine lacks.
    """
    number, out = sides(c, operator, 2)
    place, weights = place_of(c, number, padded=True), constant_of(c, operator, 1, "int8", "int4")
    if weights.ndim != 4 or weights.shape[3] != c.tensors[place.index].channels:
        raise fault(operator, f"weights of the shape {weights.shape} (groups)")
    _convolve(c, operator, place, out, weights, depthwise=False)


def depthwise(c: Compiler, operator: Operator) -> None:
    """DEPTHWISE_CONV_2D; over one channel it is a convolution.

    Args:
        c: the compiler.
        operator: of the graph; its layer is appended.

    Raises:
        CannotRun: a form that the engine lacks.
    """
    number, out = sides(c, operator, 2)
    place, weights = place_of(c, number, padded=True), constant_of(c, operator, 1, "int8")
    channels = c.tensors[place.index].channels
    if weights.ndim != 4 or weights.shape[0] != 1:
        raise fault(operator, f"weights of the shape {weights.shape}")
    if channels == 1 and weights.shape[3] > 1:
        # Many filters over one channel are a convolution.
        _convolve(c, operator, place, out, weights.transpose(3, 1, 2, 0), depthwise=False)
    elif weights.shape[3] == channels:
        _convolve(c, operator, place, out, weights.transpose(3, 1, 2, 0), depthwise=True)
    else:
        raise fault(operator, f"{weights.shape[3]} filters over {channels} channels")


def rows_behind(tensor: BlobTensor, geometry: dict[str, int], operator: Operator) -> int:
    """Rows of the output of a kernel that `window` has placed.

    Args:
        tensor: what the kernel reads.
        geometry: from `window`.
        operator: for messages.

    Raises:
        CannotRun: the kernel has more rows than there are.
    """
    rows = span(geometry["kernel_rows"], geometry["dilation_rows"])
    room = geometry["top"] + tensor.rows + geometry["bottom"] - rows
    if room < 0:
        raise fault(operator, f"a kernel of {rows} rows over {tensor.rows}")
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
    geometry = window(c, operator, place, (weights.shape[1], weights.shape[2]))
    source = c.tensors[place.index]
    stride = source.stride * geometry["stride_rows"]
    shape = (rows_behind(source, geometry, operator), *shape4(c, out)[1:])
    target = add_tensor(c, out, stride, shape)
    c.places[out] = Padded(target)
    flat = weights.reshape(len(weights), -1)
    _linear(c, operator, place.index, target, flat, geometry, depthwise=depthwise)


def fully_connected(c: Compiler, operator: Operator) -> None:
    """FULLY_CONNECTED, for each row anew.

    Args:
        c: the compiler.
        operator: of the graph; its layer is appended.

    Raises:
        CannotRun: a form that the engine lacks.
    """
    number, out = sides(c, operator, 2)
    place, weights = place_of(c, number), constant_of(c, operator, 1, "int8")
    source = c.tensors[place.index]
    if weights.ndim != 2 or weights.shape[1] != source.channels or source.columns != 1:
        raise fault(operator, f"weights of the shape {weights.shape}")
    target = add_tensor(c, out, source.stride, shape4(c, out))
    c.places[out] = Padded(target)
    _linear(c, operator, place.index, target, weights, {}, depthwise=False)
