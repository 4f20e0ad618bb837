"""The graph inside an int8 TFLite file, as plain values, for the engine's compiler.

`tflite_check.py` checks a file and finds its tables; here they become tensors with their constants
and operators with their options. What the int8 engine cannot run is refused by name in
`engine_layers.py`, not here.

Field numbers: tensorflow/lite/schema/schema.fbs, version 3.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.flatbuffer import Table
from edgeemo.artifacts.int4 import unpack_int4
from edgeemo.artifacts.tflite_check import OPERATORS, check_model
from edgeemo.errors import BadArtifact

_TYPES: Mapping[int, Any] = {0: np.float32, 2: np.int32, 4: np.int64, 7: np.int16, 9: np.int8}
_INT4 = 17

# Options by operator: name of the field, its number, its kind (of struct), its default.
_CONV = (("padding", 0, "<b", 0), ("stride_columns", 1, "<i", 0), ("stride_rows", 2, "<i", 0))
_POOL = (
    *_CONV,
    ("kernel_columns", 3, "<i", 0),
    ("kernel_rows", 4, "<i", 0),
    ("activation", 5, "<b", 0),
)
_ACTIVATION = (("activation", 0, "<b", 0),)
_KEPT = (("keep_dimensions", 0, "<B", 0),)
_OPTIONS: Mapping[str, tuple[tuple[str, int, str, int], ...]] = {
    "CONV_2D": (
        *_CONV,
        ("activation", 3, "<b", 0),
        ("dilation_columns", 4, "<i", 1),
        ("dilation_rows", 5, "<i", 1),
    ),
    "DEPTHWISE_CONV_2D": (
        *_CONV,
        ("multiplier", 3, "<i", 0),
        ("activation", 4, "<b", 0),
        ("dilation_columns", 5, "<i", 1),
        ("dilation_rows", 6, "<i", 1),
    ),
    "AVERAGE_POOL_2D": _POOL,
    "MAX_POOL_2D": _POOL,
    "FULLY_CONNECTED": (
        *_ACTIVATION,
        ("weights_format", 1, "<b", 0),
        ("keep_dimensions", 2, "<B", 0),
    ),
    "ADD": _ACTIVATION,
    "SUB": _ACTIVATION,
    "MUL": _ACTIVATION,
    "SOFTMAX": (("beta", 0, "<f", 0),),
    "CONCATENATION": (("axis", 0, "<i", 0), ("activation", 1, "<b", 0)),
    "MEAN": _KEPT,
    "SUM": _KEPT,
    "BATCH_MATMUL": (("adjoint_x", 0, "<B", 0), ("adjoint_y", 1, "<B", 0)),
    "STRIDED_SLICE": (
        ("begin_mask", 0, "<i", 0),
        ("end_mask", 1, "<i", 0),
        ("ellipsis_mask", 2, "<i", 0),
        ("new_axis_mask", 3, "<i", 0),
        ("shrink_axis_mask", 4, "<i", 0),
        ("offset", 5, "<B", 0),
    ),
}

NONE, RELU, RELU_N1_TO_1, RELU6 = range(4)
"""Fused activations."""

SAME, VALID = range(2)
"""Kinds of padding."""


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph.

    Attributes:
        shape: as the file has it; a model may be run with another number of rows.
        dtype: "int4", "int8", "int16", "int32", "int64" or "float32".
        data: the constant (of int4 as int8, one a byte), or None if an operator or the caller
            makes the tensor.
        scales: [1] or one for each channel of `axis`; empty if not quantized.
        zeros: zero points, as many as scales.
        axis: of the scales.
        name: only inputs and outputs have one for sure.
    """

    shape: tuple[int, ...]
    dtype: str
    data: NDArray[Any] | None
    scales: NDArray[np.float32]
    zeros: NDArray[np.int64]
    axis: int
    name: str


@dataclass(frozen=True)
class Operator:
    """A step: its name, the numbers of its tensors (-1: left out), its options."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Graph:
    """A TFLite file's only subgraph."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_graph(model: bytes) -> Graph:
    """Read the graph of a TFLite flatbuffer.

    Args:
        model: as `tflite.read_tflite` gives it; constants stay views of these bytes.

    Raises:
        BadArtifact: truncated, another format, or offsets and sizes that cannot be.
    """
    if model[4:8] != b"TFL3":
        raise BadArtifact("not a TFLite file (truncated, or another format)")
    check_model(model)
    root = Table(memoryview(model), struct.unpack_from("<I", model)[0], "Model")
    codes = [
        OPERATORS[max(code.number(3), code.number(0, "<b"))]
        for code in root.tables(1, "OperatorCode")
    ]
    buffers = [buffer.vector(0, 1) for buffer in root.tables(4, "Buffer")]
    graph = root.tables(2, "SubGraph")[0]
    return Graph(
        tuple(_read_tensor(table, model, buffers) for table in graph.tables(0, "Tensor")),
        tuple(_read_operator(table, codes) for table in graph.tables(3, "Operator")),
        graph.numbers(1),
        graph.numbers(2),
    )


def _read_tensor(table: Table, model: bytes, buffers: list[tuple[int, int]]) -> Tensor:
    shape, kind = table.numbers(0), table.number(1, "<b")
    start, count = buffers[table.number(2, "<I")]
    name_of_type = "int4" if kind == _INT4 else np.dtype(_TYPES[kind]).name
    constant = None
    if count and kind == _INT4:
        constant = unpack_int4(np.frombuffer(model, np.uint8, count, start), shape)
    elif count:
        constant = np.frombuffer(model, _TYPES[kind], math.prod(shape), start).reshape(shape)
    scales, zeros, axis = np.zeros(0, np.float32), np.zeros(0, np.int64), 0
    found = table.table(4, "Quantization")
    if found is not None:
        scales = np.array(found.numbers(2, "f"), np.float32)
        zeros, axis = np.array(found.numbers(3, "q"), np.int64), found.number(6)
    at, length = table.vector(3, 1)
    name = model[at : at + length].decode("utf-8", "replace")
    return Tensor(shape, name_of_type, constant, scales, zeros, axis, name)


def _read_operator(table: Table, codes: list[str]) -> Operator:
    name, found = codes[table.number(0, "<I")], table.table(4, "Options")
    options = {
        key: default if found is None else _option(found, number, kind, default)
        for key, number, kind, default in _OPTIONS.get(name, ())
    }
    return Operator(name, table.numbers(1), table.numbers(2), options)


def _option(options: Table, number: int, kind: str, default: int) -> float:
    if kind != "<f":
        return options.number(number, kind, default)
    place = options.place(number, 4)
    return (
        float(default) if place is None else float(struct.unpack_from(kind, options.data, place)[0])
    )
