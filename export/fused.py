"""Operators in the form that onnxruntime computes fast: int8 convolutions in one, PReLU in four.

A quantizer writes a convolution as six: both inputs back to floats, the convolution, and its result
rounded again. QLinearConv is the same in one, and does not take 85 bytes for it. Its bias is the
integer that onnxruntime makes of the float one, so that numbers keep every bit.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper

_ZERO = "zero of weights"


def fuse_convolutions(graph: Any) -> None:
    """Make QLinearConv of each Conv between int8 values, in place; what is left unread stays.

    Args:
        graph: of an ONNX model, in the form that the quantizer writes.
    """
    known = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    maker = {name: node for node in graph.node for name in node.output}
    rounding = {n.input[0]: n for n in graph.node if n.op_type == "QuantizeLinear"}
    read = Counter(name for node in graph.node for name in node.input)
    read.update(o.name for o in graph.output)
    for node in [n for n in graph.node if n.op_type == "Conv" and len(n.input) == 3]:
        around: list[Any] = [maker.get(name) for name in node.input[:2]]
        around.append(rounding.get(node.output[0]))
        if not all(_plain(n, known) for n in around) or read[node.output[0]] != 1:
            continue
        w = around[1]
        if {node.input[2], w.input[0]} <= known.keys() and not known[w.input[2]].any():
            _fuse(graph, node, around, known)


def _fuse(graph: Any, conv: Any, around: Any, known: dict[str, NDArray[Any]]) -> None:
    """One operator in the place of a convolution and the three around it."""
    x, w, y = around
    bias = f"{conv.input[2]} of {y.output[0]}"
    step = known[x.input[1]] * known[w.input[1]]
    _constant(graph, bias, np.rint(known[conv.input[2]] / step).astype(np.int32))
    if _ZERO not in known:
        known[_ZERO] = np.zeros((), known[w.input[2]].dtype)
        _constant(graph, _ZERO, known[_ZERO])
    names = [*x.input, *w.input[:2], _ZERO, *y.input[1:], bias]
    made = helper.make_node("QLinearConv", names, y.output)
    made.attribute.extend(conv.attribute)
    conv.CopyFrom(made)
    graph.node.remove(y)


def _plain(node: Any, known: dict[str, NDArray[Any]]) -> bool:
    """Whether a node rounds or widens by a scale and a zero point that are constants."""
    kinds = ("QuantizeLinear", "DequantizeLinear")
    return node is not None and node.op_type in kinds and all(n in known for n in node.input[1:])


def _constant(graph: Any, name: str, value: NDArray[Any]) -> None:
    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))


def spell_out_prelu(graph: Any) -> None:
    """Write each PReLU as relu(x) + slope (x - relu(x)), in place; no bit of a result changes.

    From 1.27 on onnxruntime's own takes ten times as long where signs are mixed
    (findings/onnxruntime-prelu-mixed-signs.sh).

    Args:
        graph: of an ONNX model.
    """
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        if node.op_type != "PRelu":
            graph.node.append(node)
            continue
        x, slope = node.input
        made = node.output[0]
        positive, negative, bent = (f"{made}_{part}" for part in ("positive", "negative", "bent"))
        graph.node.extend(
            [
                helper.make_node("Relu", [x], [positive]),
                helper.make_node("Sub", [x, positive], [negative]),
                helper.make_node("Mul", [negative, slope], [bent]),
                helper.make_node("Add", [positive, bent], [made]),
            ]
        )
