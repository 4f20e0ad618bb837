"""The graph inside a TFLite file, checked for what the runtimes take for granted.

They trust a flatbuffer: shapes that fit their bytes, strides that are not 0, indexes that exist,
operators with the inputs that they ask for. Everything that edgeemo's own writer does not write is
refused here.
"""

from __future__ import annotations

import math
import struct

from edgeemo.artifacts.flatbuffer import Table
from edgeemo.errors import BadArtifact

OPERATORS = {
    0: "ADD",
    1: "AVERAGE_POOL_2D",
    2: "CONCATENATION",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    9: "FULLY_CONNECTED",
    14: "LOGISTIC",
    17: "MAX_POOL_2D",
    18: "MUL",
    19: "RELU",
    21: "RELU6",
    22: "RESHAPE",
    25: "SOFTMAX",
    34: "PAD",
    39: "TRANSPOSE",
    40: "MEAN",
    41: "SUB",
    45: "STRIDED_SLICE",
    65: "SLICE",
    74: "SUM",
    114: "QUANTIZE",
    117: "HARD_SWISH",
    126: "BATCH_MATMUL",
}
"""Operators that a file may use, by number. None of them runs other code or reads other files."""

_MAX_ELEMENTS = 2**28
_MOST_INPUTS = 64
_TYPE_BITS = {0: 32, 2: 32, 4: 64, 7: 16, 9: 8, 17: 4}  # float32, int32, int64, int16, int8, int4

# Kind of the options' table by operator (BuiltinOptions in schema.fbs); and those operators that
# have none, or may be without.
_OPTIONS = {
    0: 11,
    1: 5,
    2: 10,
    3: 1,
    4: 2,
    9: 8,
    17: 5,
    18: 21,
    22: 17,
    25: 9,
    34: 22,
    39: 26,
    40: 27,
    41: 28,
    45: 32,
    65: 48,
    74: 27,
    114: 89,
    117: 91,
    126: 101,
}
_WITHOUT_OPTIONS = {14, 19, 21, 22, 34, 39, 65, 114, 117}


def check_model(model: bytes) -> None:
    """Walk a flatbuffer.

    Raises:
        BadArtifact: an offset leads out of it, a part is not of the kind that edgeemo writes, or
            the graph asks for what a runtime does not check.
    """
    try:
        root = Table(memoryview(model), struct.unpack_from("<I", model)[0], "Model")
        root.verify()
        _check_graph(root)
    except (struct.error, IndexError, RecursionError):
        raise BadArtifact("truncated, or not a TFLite model: an offset leads out of it") from None


def _check_graph(model: Table) -> None:
    if model.number(0, "<I") != 3:
        raise BadArtifact(f"TFLite version {model.number(0, '<I')}; 3 is read")
    graphs, buffers = model.tables(2, "SubGraph"), model.tables(4, "Buffer")
    if model.vector(6, 4)[1] or model.vector(5, 4)[1]:
        raise BadArtifact("metadata; edgeemo writes none")
    if len(graphs) != 1 or not buffers:
        raise BadArtifact(f"{len(graphs)} graphs; a model has one")
    sizes = [b.vector(0, 1) for b in buffers]
    tensors = graphs[0].tables(0, "Tensor")
    for tensor in tensors:
        _check_tensor(tensor, sizes)
    codes = [_operator(code) for code in model.tables(1, "OperatorCode")]
    made = set(_indexes(graphs[0].numbers(1), len(tensors)))
    made |= {i for i, t in enumerate(tensors) if sizes[t.number(2, "<I")][1]}
    for op in graphs[0].tables(3, "Operator"):
        inputs = [i for i in op.numbers(1) if i != -1]
        if len(inputs) > _MOST_INPUTS:
            raise BadArtifact(f"an operator of {len(inputs)} inputs; at most {_MOST_INPUTS}")
        outputs = _indexes(op.numbers(2), len(tensors))
        if not set(_indexes(inputs, len(tensors))) <= made or not made.isdisjoint(outputs):
            raise BadArtifact("operators are not in the order in which they can run")
        made.update(outputs)
        code = op.number(0, "<I")
        if code >= len(codes):
            raise BadArtifact(f"operator number {code} of {len(codes)}")
        _check_options(codes[code], op)
    if not set(_indexes(graphs[0].numbers(2), len(tensors))) <= made:
        raise BadArtifact("an output is made by no operator")
    for signature in model.tables(7, "SignatureDef"):
        ends = [*signature.tables(0, "TensorMap"), *signature.tables(1, "TensorMap")]
        _indexes([end.number(1, "<I") for end in ends], len(tensors))
        if signature.number(4, "<I"):
            raise BadArtifact("a signature of a graph that is not there")


def _operator(code: Table) -> int:
    number = max(code.number(3), code.number(0, "<b"))
    if number not in OPERATORS:
        raise BadArtifact(f"operator {number} is not one that edgeemo runs")
    return number


def _check_tensor(tensor: Table, sizes: list[tuple[int, int]]) -> None:
    shape, kind, buffer = tensor.numbers(0), tensor.number(1, "<b"), tensor.number(2, "<I")
    if kind not in _TYPE_BITS or tensor.number(5, "<b"):
        raise BadArtifact(f"a tensor of type {kind}, or a variable; edgeemo writes neither")
    if len(shape) > 5 or any(not 0 < n < _MAX_ELEMENTS for n in shape):
        raise BadArtifact(f"a tensor of shape {shape[:8]}")
    if buffer >= len(sizes):
        raise BadArtifact(f"buffer {buffer} of {len(sizes)}")
    count = sizes[buffer][1]
    if count and count != -(-math.prod(shape) * _TYPE_BITS[kind] // 8):
        raise BadArtifact(f"a tensor of shape {shape} and type {kind} has {count} bytes")
    found = tensor.table(4, "Quantization")
    if found is not None:
        if found.number(4, "<B"):
            raise BadArtifact("a tensor with a quantization of its own kind")
        scales, zeros, axis = found.numbers(2, "f"), found.numbers(3, "q"), found.number(6)
        many = len(scales) > 1
        if len(scales) != len(zeros) or (
            many and (not 0 <= axis < len(shape) or shape[axis] != len(scales))
        ):
            raise BadArtifact(f"{len(scales)} scales on a tensor of shape {shape}")
        if not all(0 < s < 1e30 for s in scales) or any(not -128 <= z <= 127 for z in zeros):
            raise BadArtifact("a scale or a zero point that int8 does not have")


def _check_options(code: int, op: Table) -> None:
    options, kind = op.table(4, "Options"), op.number(3, "<B")
    without = options is None and kind == 0 and code in _WITHOUT_OPTIONS
    if not without and (options is None or kind != _OPTIONS.get(code)):
        raise BadArtifact(f"{OPERATORS[code]} with the options {kind}, or without any")
    if options is not None and code == 22:
        options.vector(0, 4)
    if op.vector(7, 1)[1] or op.vector(8, 4)[1]:
        raise BadArtifact(f"{OPERATORS[code]} with intermediates or inputs that it changes")


def _indexes(found: tuple[int, ...] | list[int], count: int) -> tuple[int, ...]:
    if any(not 0 <= i < count for i in found):
        raise BadArtifact(f"tensor {next(i for i in found if not 0 <= i < count)} of {count}")
    return tuple(found)
