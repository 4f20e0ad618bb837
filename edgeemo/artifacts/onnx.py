"""What is inside an ONNX file, read without the onnx package and before any runtime sees it.

A model file may come from anywhere. This reader walks the whole protobuf message, bounds
everything, and knows what edgeemo's own writer puts into a file; all else is refused: other
operator domains (code of others), control flow, functions, data in other files, tensors whose
bytes do not fit their shape, and content that does not fit the digest in the card.

Field numbers: onnx.proto3 of ONNX 1.17 (ModelProto, GraphProto, NodeProto, TensorProto).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeemo.artifacts.card import Card, from_json
from edgeemo.errors import BadArtifact
from edgeemo.loading import read_bytes

CARD_KEY = "edgeemo.card"
"""Key of the card in the file's metadata."""

MAX_BYTES = 64 * 2**20
"""Largest file that is read. The models this is for have some 100 KB."""

OPERATORS = frozenset(
    {
        # Linear maps and their quantized form.
        "Conv",
        "ConvTranspose",
        "Gemm",
        "MatMul",
        "QuantizeLinear",
        "DequantizeLinear",
        "BatchNormalization",
        "LayerNormalization",
        # Arithmetic and activations.
        "Abs",
        "Add",
        "Clip",
        "Div",
        "Erf",
        "Exp",
        "HardSigmoid",
        "HardSwish",
        "LeakyRelu",
        "Log",
        "Max",
        "Min",
        "Mul",
        "Neg",
        "PRelu",
        "Pow",
        "Reciprocal",
        "Relu",
        "Sigmoid",
        "Softmax",
        "Sqrt",
        "Sub",
        "Tanh",
        # Pooling and sums.
        "AveragePool",
        "CumSum",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "MaxPool",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceSum",
        # Shapes and selection.
        "And",
        "Cast",
        "Concat",
        "Constant",
        "ConstantOfShape",
        "Equal",
        "Expand",
        "Flatten",
        "Gather",
        "Greater",
        "Identity",
        "Less",
        "Not",
        "Or",
        "Pad",
        "Range",
        "Reshape",
        "Shape",
        "Slice",
        "Split",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
        "Where",
    }
)
"""Operators that a file may use. None of them runs other code or reads other files."""

_MODEL_VALUES = {1, 2, 3, 4, 5, 6, 7, 8, 14}  # no training_info, no functions
_GRAPH_VALUES = {1, 2, 5, 10, 11, 12, 13, 14, 16}  # no sparse initializers
_TENSOR_VALUES = {1, 2, 4, 5, 7, 8, 9, 10, 11, 12, 16}  # no segment, no external data
_TYPE_BYTES = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 11: 8}  # float, (u)int8, int32, int64, bool, ...
_MAX_ELEMENTS = 2**31

Field = tuple[int, int | memoryview]


@dataclass(frozen=True)
class OnnxFile:
    """A file that has been checked.

    Attributes:
        data: its bytes.
        card: the card, its digest compared with the content.
    """

    data: bytes
    card: Card


def read_onnx(path: Path) -> OnnxFile:
    """Read and check a file.

    Raises:
        BadArtifact: not there, too large, truncated, not ONNX, without a card, or holding
            something that edgeemo's writer does not write.
    """
    data = read_bytes(path, BadArtifact, MAX_BYTES)
    try:
        return OnnxFile(data, check(data))
    except BadArtifact as error:
        raise BadArtifact(f"{path}: {error}") from None


def check(data: bytes) -> Card:
    """The card of an ONNX file's bytes.

    Raises:
        BadArtifact: see `read_onnx`; the message lacks the file's name.
    """
    graphs, metadata = [], []
    for number, value in _fields(memoryview(data), "model"):
        if number not in _MODEL_VALUES:
            raise BadArtifact(f"not an edgeemo model: field {number} of the model is not expected")
        if number == 7:
            graphs.append(_message(value, "graph"))
        elif number == 8:
            _check_domain(_message(value, "opset"), 1)
        elif number == 14:
            metadata.append(_message(value, "metadata"))
    if len(graphs) != 1:
        raise BadArtifact("not an ONNX model (truncated, or another format)")
    card = from_json(_card_bytes(metadata))
    if digest(data) != card.digest:
        raise BadArtifact("the content does not fit the digest in its card; the file is damaged")
    _check_graph(graphs[0])
    return card


def digest(data: bytes) -> str:
    """sha256 (hex) of an ONNX file's fields, in order, without its metadata."""
    sha = hashlib.sha256()
    for number, value in _fields(memoryview(data), "model"):
        if number == 14:
            continue
        body = value if isinstance(value, memoryview) else str(value).encode()
        # The length keeps two neighbours from sharing a byte.
        sha.update(f"{number}:{len(body)};".encode())
        sha.update(body)
    return sha.hexdigest()


def _card_bytes(metadata: list[memoryview]) -> bytes:
    cards = []
    for entry in metadata:
        pair = dict(_fields(entry, "metadata"))
        if bytes(_message(pair.get(1, b""), "metadata key")) == CARD_KEY.encode():
            cards.append(bytes(_message(pair.get(2, b""), "card")))
    if len(cards) != 1:
        raise BadArtifact(f"has {len(cards) or 'no'} card; a file made by `edgeemo export` has one")
    return cards[0]


def _check_graph(graph: memoryview) -> None:
    for number, value in _fields(graph, "graph"):
        if number not in _GRAPH_VALUES:
            raise BadArtifact(f"field {number} of the graph is not expected")
        if number == 1:
            _check_node(_message(value, "node"))
        elif number == 5:
            _check_tensor(_message(value, "initializer"))


def _check_node(node: memoryview) -> None:
    operator = ""
    for number, value in _fields(node, "node"):
        if number == 4:
            operator = bytes(_message(value, "op_type")).decode("ascii", "replace")
        elif number == 7:
            _check_domain(node, 7)
        elif number == 5:
            _check_attribute(_message(value, "attribute"))
    if operator not in OPERATORS:
        raise BadArtifact(f"operator {operator!r:.40} is not one that edgeemo runs")


def _check_attribute(attribute: memoryview) -> None:
    for number, value in _fields(attribute, "attribute"):
        if number in (6, 11, 22, 23):
            raise BadArtifact("control flow and sparse tensors are not run")
        if number in (5, 10):
            _check_tensor(_message(value, "tensor"))


def _check_domain(message: memoryview, field: int) -> None:
    """Refuse another operator domain: its operators are code that we know nothing of."""
    for number, value in _fields(message, "domain"):
        if number == field:
            name = bytes(_message(value, "domain")).decode("ascii", "replace")
            if name not in ("", "ai.onnx"):
                raise BadArtifact(f"operators of the domain {name!r:.60} are not run")


def _check_tensor(tensor: memoryview) -> None:
    dims: list[int] = []
    kind, raw = 0, None
    for number, value in _fields(tensor, "tensor"):
        if number == 13 or (number == 14 and value != 0):
            raise BadArtifact("data in another file (external data) is not read")
        if number not in _TENSOR_VALUES and number != 14:
            raise BadArtifact(f"field {number} of a tensor is not expected")
        if number == 1:
            dims += [value] if isinstance(value, int) else _varints(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 9:
            raw = _message(value, "raw_data")
    elements = math.prod(dims)
    if not 0 <= elements < _MAX_ELEMENTS or any(d >= _MAX_ELEMENTS for d in dims):
        raise BadArtifact(f"a tensor of shape {dims[:8]} is too large")
    if raw is not None and len(raw) != elements * _TYPE_BYTES.get(kind, -1):
        raise BadArtifact(f"a tensor of shape {dims[:8]} and type {kind} has {len(raw)} bytes")


def _message(value: int | memoryview | bytes, name: str) -> memoryview:
    if isinstance(value, int):
        raise BadArtifact(f"not an ONNX model: {name} is a number")
    return memoryview(value)


def _varints(data: memoryview) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at, "dims")
        values.append(value)
        if len(values) > 16:
            raise BadArtifact("a tensor has more than 16 axes")
    return values


def _fields(data: memoryview, name: str) -> Iterator[Field]:
    """Number and value of each field of a protobuf message: an int, or the bytes of a field."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at, name)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise BadArtifact(f"not an ONNX model: {name} has a field 0")
        if wire == 0:
            value, at = _varint(data, at, name)
            yield number, value
            continue
        if wire == 2:
            length, at = _varint(data, at, name)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise BadArtifact(f"not an ONNX model: {name} has a field of wire type {wire}")
        if length > len(data) - at:
            raise BadArtifact(f"truncated, or not an ONNX model: {name} ends too early")
        yield number, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int, name: str) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise BadArtifact(f"truncated, or not an ONNX model: {name} ends too early")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise BadArtifact(f"not an ONNX model: {name} has a number of more than 10 bytes")
