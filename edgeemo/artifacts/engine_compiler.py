"""The state of the engine's compiler: tensors, layers and constants of a blob on their way.

The integers are those of the file: weights as they are, biases with the input's zero point folded
in, and for each layer one multiplier a channel that stands for input scale * weight scale / output
scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo import _native
from edgeemo.artifacts.tflite_graph import NONE, RELU, RELU6, Graph, Operator, Tensor
from edgeemo.errors import BadArtifact

LAYOUT = _native.model_layout()
KINDS: dict[str, int] = LAYOUT["kinds"]
_MAX_PRE = 15


class CannotRun(BadArtifact):
    """A sound model, but not one for this engine."""


@dataclass
class BlobTensor:
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
    tensors: list[BlobTensor] = field(default_factory=list)
    layers: list[dict[str, int]] = field(default_factory=list)
    places: dict[int, Padded] = field(default_factory=dict)  # tensor of the graph to its place
    constants: bytearray = field(default_factory=bytearray)


# ---- tensors ----


def fault(operator: Operator, what: str) -> CannotRun:
    """The error for an operator that the engine does not run in this form.

    Args:
        operator: of the graph.
        what: the form that is not run; follows "with".
    """
    return CannotRun(f"the c backend does not run {operator.name} with {what}")


def quantization(tensor: Tensor) -> tuple[float, int]:
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
    """A tensor of the blob for one of the graph; its number.

    Args:
        c: the compiler; the tensor is appended to its list.
        origin: number of the tensor in the graph.
        stride: rows of the model's input for each of its rows; 0 for one row only.
        shape: rows, columns, channels.

    Raises:
        CannotRun: it is not int8 with one scale.
    """
    scale, zero = quantization(c.graph.tensors[origin])
    rows, columns, channels = shape
    c.tensors.append(BlobTensor(origin, rows, columns, channels, stride, zero, scale))
    return len(c.tensors) - 1


def place_of(c: Compiler, number: int, *, padded: bool = False) -> Padded:
    """Where a tensor of the graph lies in the blob.

    Args:
        c: the compiler.
        number: of the tensor in the graph.
        padded: whether the reader can take a border.

    Raises:
        CannotRun: nothing has made it, or it has a border that the reader cannot take.
    """
    place = c.places.get(number)
    if place is None:
        raise CannotRun("an operator reads a tensor that nothing has made")
    if not padded and (place.top or place.bottom or place.left or place.right):
        raise CannotRun("the c backend runs PAD only in front of a convolution")
    return place


def constant_of(c: Compiler, operator: Operator, at: int, *dtypes: str) -> NDArray[Any]:
    """The constant that is input `at` of an operator.

    Args:
        c: the compiler.
        operator: of the graph.
        at: place among its inputs, from 0.
        dtypes: of which the constant must have one: "int8", "int32".

    Raises:
        CannotRun: there is no such input, or it is no constant of them.
    """
    if at >= len(operator.inputs) or operator.inputs[at] < 0:
        raise fault(operator, f"no input {at}")
    tensor = c.graph.tensors[operator.inputs[at]]
    if tensor.data is None or tensor.dtype not in dtypes:
        raise fault(operator, f"input {at} that is no constant of {' or '.join(dtypes)}")
    return tensor.data


def sides(c: Compiler, operator: Operator, inputs: int = 1) -> tuple[int, int]:
    """Numbers of the first input and the output in the graph; the counts are checked.

    Args:
        c: the compiler.
        operator: of the graph.
        inputs: least count of them; outputs are one.

    Raises:
        CannotRun: fewer inputs, or not one output.
    """
    if len(operator.inputs) < inputs or len(operator.outputs) != 1:
        raise fault(operator, f"{len(operator.inputs)} inputs, {len(operator.outputs)} outputs")
    return operator.inputs[0], operator.outputs[0]


def shape4(c: Compiler, number: int) -> tuple[int, int, int]:
    """Rows, columns, channels of a tensor of the graph: [1, n] is one row of one column.

    Args:
        c: the compiler.
        number: of the tensor in the graph: [1, n] or [1, rows, columns, channels].

    Raises:
        CannotRun: another shape.
    """
    shape = c.graph.tensors[number].shape
    if shape[:1] != (1,) or len(shape) not in (2, 4):
        raise CannotRun(f"the c backend does not run tensors of the shape {shape}")
    return (1, 1, shape[1]) if len(shape) == 2 else (shape[1], shape[2], shape[3])


# ---- numbers ----


def fixed_point(real: NDArray[np.float64]) -> tuple[NDArray[np.int32], int, int]:
    """Integers m, and pre and shift, with m * 2^(pre - 32 - shift) near `real`."""
    largest = math.frexp(float(real.max()))[1]
    shift = min(max(-1 - largest, 1), LAYOUT["max_shift"])
    pre = max(shift + 1 + largest, 0)
    if pre > _MAX_PRE:
        raise CannotRun(f"a layer multiplies by {real.max():g}; its scales are foolish")
    found = np.floor(np.ldexp(real, 32 + shift - pre) + 0.5)
    return np.minimum(found, 2**31 - 1).astype(np.int32), pre, shift


def limits(activation: int, scale: float, zero: int, operator: Operator) -> dict[str, int]:
    """The lowest and highest integer that a fused activation lets through.

    Args:
        activation: NONE, RELU or RELU6.
        scale: of the output.
        zero: zero point of the output, -128..127.
        operator: for messages.

    Raises:
        CannotRun: another activation than ReLU and ReLU6.
    """
    if activation not in (NONE, RELU, RELU6):
        raise fault(operator, f"the fused activation {activation}")
    low = -128 if activation == NONE else zero
    high = min(127, zero + math.floor(6 / scale + 0.5)) if activation == RELU6 else 127
    return {"act_min": max(low, -128), "act_max": max(high, low, -128)}


def add_constant(c: Compiler, data: bytes) -> int:
    """Offset among the constants, a multiple of 4; equal constants are not joined.

    Args:
        c: the compiler; its constants grow.
        data: bytes as they are to lie in the blob.
    """
    c.constants += bytes(-len(c.constants) % 4)
    c.constants += data
    return len(c.constants) - len(data)


def add_layer(c: Compiler, kind: str, source: int, target: int, **values: int) -> None:
    """Append a layer; what `values` does not name is at its neutral value.

    Args:
        c: the compiler; the layer is appended to its list.
        kind: key of KINDS.
        source: number of the tensor of the blob that it reads.
        target: number of the tensor of the blob that it writes.
        values: further fields of the layer, by the names in LAYOUT.
    """
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
