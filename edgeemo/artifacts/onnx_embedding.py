"""The embedding inside an ONNX file: what the heads see, for which files name no output.

A file's bytes are not changed. Protobuf merges a message that comes twice, so an output is added by
bytes behind the file: a second `graph` that holds this output alone.
"""

from __future__ import annotations

from edgeemo.artifacts.onnx_graph import Graph, Node, read_graph
from edgeemo.artifacts.protobuf import fields, message

NAME = "embedding"
"""Output of a file that gives its embedding by itself, as teachers do."""

_HEADS = ("Gemm", "Relu", "Clip", "QuantizeLinear", "DequantizeLinear")
"""Operators of heads; what lies before them is the backbone."""


def find_embedding(data: bytes) -> tuple[str, int] | None:
    """The value that the heads begin with, and its length.

    Args:
        data: an ONNX file that `edgeemo.artifacts.onnx` has checked.

    Returns:
        Name and length, or None for a file whose outputs do not come from one embedding: a step
        model, or the mean of several models.
    """
    graph = _graph(data)
    for port in graph.outputs:
        if port.name == NAME and port.shape[-1:] and port.shape[-1] is not None:
            return NAME, port.shape[-1]
    producers = {output: node for node in graph.nodes for output in node.outputs}
    name, width = graph.outputs[0].name, 0
    while (node := producers.get(name)) is not None and node.operator in _HEADS:
        if node.operator == "Gemm":
            width = _inputs(node, graph, producers)
        name = node.inputs[0]
    # Without a producer the walk has reached an input: no backbone lies in between.
    return (name, width) if width and node is not None else None


def with_output(data: bytes, name: str) -> bytes:
    """The file's bytes with one more output.

    Args:
        data: an ONNX file.
        name: of a float value in its graph.
    """
    float_tensor = _field(1, _field_number(1, 1))  # TypeProto.tensor_type, elem_type FLOAT
    port = _field(1, name.encode()) + _field(2, float_tensor)
    return data + _field(7, _field(12, port))  # ModelProto.graph, GraphProto.output


def _graph(data: bytes) -> Graph:
    graphs = [v for at, v in fields(memoryview(data), "model", repeated=(8, 14)) if at == 7]
    return read_graph(message(graphs[0], "graph"))


def _inputs(node: Node, graph: Graph, producers: dict[str, Node]) -> int:
    """Numbers that a Gemm takes, by the shape of its weights; int8 ones pass a DequantizeLinear."""
    name = node.inputs[1]
    if name in producers:
        name = producers[name].inputs[0]
    weights = graph.constants.get(name)
    if weights is None or weights.ndim != 2:
        return 0
    return int(weights.shape[1 if node.attributes.get("transB") else 0])


def _field(at: int, value: bytes) -> bytes:
    return _varint(at << 3 | 2) + _varint(len(value)) + value


def _field_number(at: int, value: int) -> bytes:
    return _varint(at << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
