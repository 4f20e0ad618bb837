"""Weights of four bits in ONNX: half of the bytes, and int8 again when a runtime has loaded them.

A Cast of a constant is done once, on loading. What is run then are int8 convolutions, as fast as
those of an int8 file and with the bits of the same numbers. Left to DequantizeLinear, onnxruntime
would compute every convolution in floats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edgeemo.artifacts.int4 import pack_int4
from edgeemo.artifacts.onnx import INT4_OPSET
from edgeemo.compress.stages.rounding_int4 import LARGEST

IR_VERSION = 10
"""What this operator set came with."""

_AXES = ("ReduceMax", "ReduceMean", "ReduceMin")
"""Operators whose axes have become an input."""


def to_few_steps(graph: Any, largest: int) -> None:
    """Count weights that stand on fifteen steps in these, in place.

    Args:
        graph: of an ONNX model, in the form that the quantizer writes.
        largest: integer that it has made of a channel's largest weight.
    """
    known = {t.name: t for t in graph.initializer}
    maker = {name: node for node in graph.node for name in node.output}
    for conv in (n for n in graph.node if n.op_type == "Conv"):
        wide = maker.get(conv.input[1])
        if wide is None or any(a.name == "group" and a.i > 1 for a in conv.attribute):
            continue
        weight, scale = (known[name] for name in wide.input[:2])
        held = numpy_helper.to_array(weight).astype(np.float64)
        few = np.rint(held * LARGEST / largest)
        if (np.rint(few * largest / LARGEST) == held).all():
            longer = numpy_helper.to_array(scale) * np.float32(largest / LARGEST)
            weight.CopyFrom(numpy_helper.from_array(few.astype(np.int8), weight.name))
            scale.CopyFrom(numpy_helper.from_array(longer, scale.name))


def pack_weights(model: Any) -> None:
    """Store kernels whose integers are that small in four bits, in place.

    Args:
        model: from `shrink`; it becomes one of a later operator set.
    """
    graph, casts = model.graph, []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.INT8 or len(tensor.dims) < 3:
            continue
        held = numpy_helper.to_array(tensor)
        if np.abs(held.astype(int)).max() > LARGEST:
            continue
        name = f"{tensor.name}_"  # no other name has this letter
        casts.append(helper.make_node("Cast", [name], [tensor.name], to=TensorProto.INT8))
        tensor.name, tensor.data_type, tensor.raw_data = name, TensorProto.INT4, pack_int4(held)
    nodes = [*casts, *graph.node]
    for node in nodes:
        if node.op_type in _AXES and node.attribute:
            axes = next(a for a in node.attribute if a.name == "axes")
            node.attribute.remove(axes)
            node.input.append(f"{node.output[0]}_")
            graph.initializer.append(
                numpy_helper.from_array(np.array(axes.ints, np.int64), node.input[-1])
            )
    del graph.node[:]
    graph.node.extend(nodes)
    model.opset_import[0].version, model.ir_version = INT4_OPSET, IR_VERSION
