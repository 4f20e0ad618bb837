"""The graph inside an ONNX file, as plain values: nodes, constants, inputs, outputs.

Everything that edgeemo's own writer does not write is refused while it is read: other operator
domains (code of others), control flow, functions, data in other files, tensors whose bytes do not
fit their shape.

Field numbers: onnx.proto3 of ONNX 1.17 (GraphProto, NodeProto, TensorProto, ValueInfoProto).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.int4 import unpack_int4
from edgeemo.artifacts.onnx_operators import OPERATORS
from edgeemo.artifacts.protobuf import fields, message, number, numbers, text
from edgeemo.errors import BadArtifact

DTYPES: Mapping[int, type[np.generic]] = {
    1: np.float32,
    2: np.uint8,
    3: np.int8,
    6: np.int32,
    7: np.int64,
    9: np.bool_,
    11: np.float64,
}
"""Kinds of elements by ONNX's number."""

_INT4 = 22  # of constants alone; read as int8

_GRAPH_FIELDS = {1, 2, 5, 10, 11, 12, 13, 14, 16}  # no sparse initializers
_TENSOR_FIELDS = {1, 2, 8, 9, 12, 14, 16}  # bytes alone; no segment, no external data
_MOST_AXES, _MOST_ELEMENTS = 8, 2**31
_MOST_STRUCTURE = 2**20  # bytes without constants; the largest shipped model has 30 KB
_MOST_TENSOR_FIELDS = 64


@dataclass(frozen=True)
class Node:
    """One operator.

    Attributes:
        operator: its name.
        inputs: names of values; "" where one is left out.
        outputs: names of values.
        attributes: by name: int, float, bytes, a list of ints, or an array.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Port:
    """An input or output of the graph.

    Attributes:
        name: of the value.
        kind: ONNX's number of the elements' kind.
        shape: None where the file leaves a length open.
    """

    name: str
    kind: int
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Graph:
    """What an ONNX file computes."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, NDArray[Any]]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def read_graph(graph: memoryview) -> Graph:
    """Read a GraphProto.

    Raises:
        BadArtifact: truncated, or it holds something that edgeemo's writer does not write.
    """
    nodes: list[Node] = []
    constants: dict[str, NDArray[Any]] = {}
    inputs: list[Port] = []
    outputs: list[Port] = []
    structure = 0
    for at, value in fields(graph, "graph", repeated=(1, 5, 11, 12, 13, 14, 16)):
        if at not in _GRAPH_FIELDS:
            raise BadArtifact(f"field {at} of the graph is not expected")
        structure += len(value) if isinstance(value, memoryview) and at != 5 else 0
        if structure > _MOST_STRUCTURE:
            raise BadArtifact(f"more than {_MOST_STRUCTURE} bytes beside its constants")
        if at == 1:
            nodes.append(_node(message(value, "node")))
        elif at == 5:
            name, array = _tensor(message(value, "initializer"))
            if name in constants:
                raise BadArtifact(f"two constants are called {name!r:.40}")
            constants[name] = array
        elif at in (11, 12):
            (inputs if at == 11 else outputs).append(_port(message(value, "input or output")))
    return Graph(tuple(nodes), constants, tuple(inputs), tuple(outputs))


def check_domain(entry: memoryview, at: int) -> None:
    """Refuse another operator domain: its operators are code that we know nothing of.

    Args:
        entry: a node or an operator set, as protobuf.
        at: number of its field for the domain.

    Raises:
        BadArtifact: another domain than "" and "ai.onnx", or damaged bytes.
    """
    for found, value in fields(entry, "domain", repeated=(1, 2, 5, 9)):
        if found == at and text(value, "domain") not in ("", "ai.onnx"):
            raise BadArtifact(f"operators of the domain {text(value, 'domain')!r:.60} are not run")


def _node(node: memoryview) -> Node:
    operator, inputs, outputs = "", list[str](), list[str]()
    attributes: dict[str, Any] = {}
    check_domain(node, 7)
    for at, value in fields(node, "node", repeated=(1, 2, 5, 9)):
        if at == 1:
            inputs.append(text(value, "input"))
        elif at == 2:
            outputs.append(text(value, "output"))
        elif at == 4:
            operator = text(value, "op_type")
        elif at == 5:
            name, found = _attribute(message(value, "attribute"))
            if name in attributes:
                raise BadArtifact(f"{operator[:40]!r} has two attributes {name!r:.40}")
            attributes[name] = found
    if operator not in OPERATORS:
        raise BadArtifact(f"operator {operator!r:.40} is not one that edgeemo runs")
    return Node(operator, tuple(inputs), tuple(outputs), attributes)


def _attribute(attribute: memoryview) -> tuple[str, Any]:
    name, kind, values = "", 0, dict[int, Any]()
    integers: list[int] = []
    for at, value in fields(attribute, "attribute", repeated=(8,)):
        if at in (6, 9, 10, 11, 15, 22, 23):
            raise BadArtifact("control flow, sparse tensors and lists of tensors are not run")
        if at == 1:
            name = text(value, "name")
        elif at == 2:
            values[1] = struct.unpack("<f", message(value, "float"))[0]
        elif at == 3:
            values[2] = number(value, "int")
        elif at == 4:
            values[3] = bytes(message(value, "string"))
        elif at == 5:
            values[4] = _tensor(message(value, "tensor"))[1]
        elif at == 8:
            integers += numbers(value, "ints")
        elif at == 20:
            kind = number(value, "type")
    values[7] = integers
    if kind not in values:
        raise BadArtifact(f"attribute {name!r:.40} has no value of its type")
    return name, values[kind]


def _port(value: memoryview) -> Port:
    name, kind, shape = "", 0, list[int | None]()
    for at, found in fields(value, "value", repeated=(4,)):
        if at == 1:
            name = text(found, "name")
        elif at == 2:
            for case, tensor in fields(message(found, "type"), "type"):
                if case != 1:
                    raise BadArtifact("an input or output is no tensor")
                kind, shape = _tensor_type(message(tensor, "tensor type"))
    return Port(name, kind, tuple(shape))


def _tensor_type(value: memoryview) -> tuple[int, list[int | None]]:
    kind, shape = 0, list[int | None]()
    for at, found in fields(value, "tensor type"):
        if at == 1:
            kind = number(found, "elem_type")
        elif at == 2:
            for _, axis in fields(message(found, "shape"), "shape", repeated=(1,)):
                length = dict(fields(message(axis, "axis"), "axis")).get(1)
                shape.append(None if length is None else number(length, "dim_value"))
    if len(shape) > _MOST_AXES:
        raise BadArtifact(f"an input or output of {len(shape)} axes; at most {_MOST_AXES}")
    return kind, shape


def _tensor(tensor: memoryview) -> tuple[str, NDArray[Any]]:
    shape: list[int] = []
    name, kind, raw = "", 0, memoryview(b"")
    for at, value in fields(tensor, "tensor", (1, 16), _MOST_TENSOR_FIELDS):
        if at == 13 or (at == 14 and value != 0):
            raise BadArtifact("data in another file (external data) is not read")
        if at not in _TENSOR_FIELDS:
            raise BadArtifact(f"field {at} of a tensor is not expected")
        if at == 1:
            shape += numbers(value, "dims")
        elif at == 2:
            kind = number(value, "data_type")
        elif at == 8:
            name = text(value, "name")
        elif at == 9:
            raw = message(value, "raw_data")
    if len(shape) > _MOST_AXES or any(not 0 <= n < _MOST_ELEMENTS for n in shape):
        raise BadArtifact(f"a tensor of shape {shape[:8]} is too large")
    elements = math.prod(shape)
    if kind == _INT4 and len(raw) == (elements + 1) // 2:
        return name, unpack_int4(np.frombuffer(raw, np.uint8), tuple(shape))
    dtype = DTYPES.get(kind)
    if dtype is None or len(raw) != elements * np.dtype(dtype).itemsize:
        raise BadArtifact(f"a tensor of shape {shape} and type {kind} has {len(raw)} bytes")
    return name, np.frombuffer(raw, dtype).reshape(shape)
