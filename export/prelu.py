"""PReLU in the operators that onnxruntime computes fast."""

from __future__ import annotations

from typing import Any


def spell_out_prelu(graph: Any) -> None:
    """Write each PReLU as relu(x) + slope (x - relu(x)), in place; no bit of a result changes.

    One of the two terms is always 0. From 1.27 on onnxruntime's own operator chooses by the sign of
    each value, which costs ten times as much where signs are mixed
    (findings/onnxruntime-prelu-mixed-signs.sh): with the four, MobileFaceNet in int8 takes a third
    of the time. They stand between two roundings to int8, so nothing is rounded between them.

    Args:
        graph: of a model, quantized or not.
    """
    from onnx import helper

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
