"""The graph inside a TFLite file, read with numpy alone and before anything runs it.

A model file may come from anywhere, so every offset of the flatbuffer is checked against the
file, every constant against its shape, and every number of a list against its list. What the
int8 engine cannot run is refused by name in `_engine_blob.py`, not here.

Field numbers: tensorflow/lite/schema/schema.fbs, version 3.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import BadArtifact

MAX_ITEMS = 4096
"""Most tensors, operators, buffers or operator codes of a file."""

MAX_AXES = 8
_MAX_ELEMENTS = 2**28

OPERATORS: Mapping[int, str] = {
    0: "ADD", 1: "AVERAGE_POOL_2D", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D",
    9: "FULLY_CONNECTED", 14: "LOGISTIC", 17: "MAX_POOL_2D", 18: "MUL", 19: "RELU", 21: "RELU6",
    22: "RESHAPE", 25: "SOFTMAX", 28: "TANH", 34: "PAD", 40: "MEAN", 41: "SUB", 114: "QUANTIZE",
    117: "HARD_SWISH",
}  # fmt: skip
"""Names of builtin operators by code; another one is called by its number."""

_TYPES: Mapping[int, Any] = {0: np.float32, 2: np.int32, 4: np.int64, 9: np.int8}

# Options by operator: name of the field, its number, its kind (b, B, i, f), its default.
_CONV = (("padding", 0, "b", 0), ("stride_columns", 1, "i", 0), ("stride_rows", 2, "i", 0))
_POOL = (*_CONV, ("kernel_columns", 3, "i", 0), ("kernel_rows", 4, "i", 0),
         ("activation", 5, "b", 0))  # fmt: skip
_ACTIVATION = (("activation", 0, "b", 0),)
_OPTIONS: Mapping[str, tuple[tuple[str, int, str, Any], ...]] = {
    "CONV_2D": (*_CONV, ("activation", 3, "b", 0), ("dilation_columns", 4, "i", 1),
                ("dilation_rows", 5, "i", 1)),
    "DEPTHWISE_CONV_2D": (*_CONV, ("multiplier", 3, "i", 0), ("activation", 4, "b", 0),
                          ("dilation_columns", 5, "i", 1), ("dilation_rows", 6, "i", 1)),
    "AVERAGE_POOL_2D": _POOL, "MAX_POOL_2D": _POOL, "FULLY_CONNECTED": _ACTIVATION,
    "ADD": _ACTIVATION, "SUB": _ACTIVATION, "MUL": _ACTIVATION, "SOFTMAX": (("beta", 0, "f", 0.0),),
}  # fmt: skip

NONE, RELU, RELU_N1_TO_1, RELU6 = range(4)
"""Fused activations."""

SAME, VALID = range(2)
"""Kinds of padding."""


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph.

    Attributes:
        shape: as the file has it; a model may be run with another number of rows.
        dtype: "int8", "int32", ...; the type's number if it is another.
        data: the constant, or None if an operator or the caller makes the tensor.
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


def read_graph(data: bytes) -> Graph:
    """Read the graph of a TFLite file's bytes; what lies behind the flatbuffer is ignored.

    Raises:
        BadArtifact: truncated, another format, or offsets and sizes that cannot be.
    """
    if data[4:8] != b"TFL3":
        raise BadArtifact("not a TFLite file (truncated, or another format)")
    try:
        return _read_model(_Table(data, _u32(data, 0)))
    # Every read is checked by struct, which does not wrap around at either end.
    except (struct.error, UnicodeDecodeError) as error:
        raise BadArtifact(f"not a TFLite file: an offset leads outside of it ({error})") from None


def _read_model(model: _Table) -> Graph:
    codes = [_operator_name(code) for code in model.tables(1)]
    graphs = model.tables(2)
    if len(graphs) != 1:
        raise BadArtifact(f"has {len(graphs)} graphs; edgeemo's files have one")
    buffers = _read_buffers(model)
    graph = graphs[0]
    tensors = tuple(_read_tensor(t, buffers) for t in graph.tables(0))
    operators = tuple(_read_operator(o, codes) for o in graph.tables(3))
    made = Graph(tensors, operators, graph.ints(1), graph.ints(2))
    _check_references(made)
    return made


def _read_buffers(model: _Table) -> list[bytes]:
    buffers, total = [], 0
    for buffer in model.tables(4):
        if buffer.number(1, "Q", 0) > 1:
            raise BadArtifact("a constant lies behind the flatbuffer; edgeemo writes none there")
        buffers.append(buffer.bytes(0))
        total += len(buffers[-1])
        # Many buffers over the same bytes would fill the memory.
        if total > 4 * model.size:
            raise BadArtifact(f"constants of {total} bytes in a file of {model.size}")
    return buffers


def _operator_name(code: _Table) -> str:
    # The first field is from a time with fewer than 128 operators; the larger one counts.
    number = max(code.number(0, "b", 0), code.number(3, "i", 0))
    return OPERATORS.get(number, f"operator {number}")


def _read_tensor(table: _Table, buffers: list[bytes]) -> Tensor:
    shape = table.ints(0)
    if len(shape) > MAX_AXES or any(d < 1 for d in shape) or math.prod(shape) > _MAX_ELEMENTS:
        raise BadArtifact(f"a tensor has the shape {shape[:MAX_AXES]}")
    kind, buffer = table.number(1, "b", 0), table.number(2, "I", 0)
    if buffer >= len(buffers):
        raise BadArtifact(f"a tensor asks for buffer {buffer} of {len(buffers)}")
    dtype = _TYPES.get(kind)
    constant = None
    if buffers[buffer] and dtype is not None:
        constant = np.frombuffer(buffers[buffer], np.uint8)
        if len(constant) != math.prod(shape) * np.dtype(dtype).itemsize:
            raise BadArtifact(f"a constant of shape {shape} has {len(constant)} bytes")
        constant = constant.view(dtype).reshape(shape)
    scales, zeros, axis = _read_quantization(table.table(4), shape)
    name = table.bytes(3).decode("utf-8", "replace")
    return Tensor(shape, np.dtype(dtype).name if dtype else str(kind), constant, scales, zeros,
                  axis, name)  # fmt: skip


def _read_quantization(
    table: _Table | None, shape: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
    if table is None:
        return np.zeros(0, np.float32), np.zeros(0, np.int64), 0
    scales, zeros = table.vector(2, np.float32), table.vector(3, np.int64)
    axis = table.number(6, "i", 0)
    if not len(zeros):
        zeros = np.zeros(len(scales), np.int64)
    if len(zeros) == 1:
        zeros = np.repeat(zeros, len(scales))
    per_channel = 0 <= axis < len(shape) and len(scales) == shape[axis]
    if len(scales) != len(zeros) or not (len(scales) <= 1 or per_channel):
        raise BadArtifact(f"a tensor of shape {shape} has {len(scales)} scales on axis {axis}")
    if not (np.isfinite(scales) & (scales > 0)).all() or (abs(zeros) > 2**31).any():
        raise BadArtifact("a tensor has a scale that is not above 0, or a foolish zero point")
    return scales, zeros, axis


def _read_operator(table: _Table, codes: list[str]) -> Operator:
    code = table.number(0, "I", 0)
    if code >= len(codes):
        raise BadArtifact(f"an operator has the code {code} of {len(codes)}")
    name, found = codes[code], table.table(4)
    wanted = _OPTIONS.get(name, ())
    options = {key: found.number(field, kind, default) if found else default
               for key, field, kind, default in wanted}  # fmt: skip
    return Operator(name, table.ints(1), table.ints(2), options)


def _check_references(graph: Graph) -> None:
    count = len(graph.tensors)
    numbers = [*graph.inputs, *graph.outputs]
    for operator in graph.operators:
        numbers += [*operator.outputs, *(i for i in operator.inputs if i != -1)]
    if any(not 0 <= i < count for i in numbers):
        raise BadArtifact(f"an operator asks for a tensor beyond the {count} that there are")


def _u32(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])


class _Table:
    """A table of a flatbuffer: fields by number, each found through the table of offsets."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self.size = len(data)
        self._fields = at - int(struct.unpack_from("<i", data, at)[0])
        if self._fields < 0:
            raise BadArtifact("not a TFLite file: an offset leads in front of it")
        self._bytes = int(struct.unpack_from("<H", data, self._fields)[0])

    def _place(self, field: int) -> int:
        """Where a field's value lies; 0 if it is left out."""
        if 4 + 2 * field + 2 > self._bytes:
            return 0
        offset = int(struct.unpack_from("<H", self._data, self._fields + 4 + 2 * field)[0])
        return self._at + offset if offset else 0

    def number(self, field: int, kind: str, default: Any) -> Any:
        place = self._place(field)
        return struct.unpack_from(f"<{kind}", self._data, place)[0] if place else default

    def _follow(self, field: int) -> int:
        place = self._place(field)
        return place + _u32(self._data, place) if place else 0

    def table(self, field: int) -> _Table | None:
        place = self._follow(field)
        return _Table(self._data, place) if place else None

    def vector(self, field: int, dtype: Callable[..., Any]) -> NDArray[Any]:
        """A list of numbers, copied."""
        place, size = self._follow(field), np.dtype(dtype).itemsize
        count = _u32(self._data, place) if place else 0
        if count * size > len(self._data) - place - 4:
            raise BadArtifact(f"truncated: a list of {count} numbers ends too early")
        found = np.frombuffer(self._data, np.uint8, count * size, place + 4 if count else 0)
        return found.copy().view(dtype)

    def bytes(self, field: int) -> bytes:
        return bytes(self.vector(field, np.uint8))

    def ints(self, field: int) -> tuple[int, ...]:
        found = self.vector(field, np.int32)
        if len(found) > MAX_ITEMS:
            raise BadArtifact(f"a list of {len(found)} numbers; at most {MAX_ITEMS} are read")
        return tuple(found.tolist())

    def tables(self, field: int) -> list[_Table]:
        place = self._follow(field)
        count = _u32(self._data, place) if place else 0
        if count > MAX_ITEMS:
            raise BadArtifact(f"a list of {count} parts; at most {MAX_ITEMS} are read")
        starts = [place + 4 + 4 * i for i in range(count)]
        return [_Table(self._data, at + _u32(self._data, at)) for at in starts]
