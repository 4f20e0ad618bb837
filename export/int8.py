"""Int8 for ONNX: activations unsigned, weights per channel and 7-bit, scales from one table."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import require

from .graph import onnx
from .onnx_int4 import to_few_steps
from .ranges import Observer
from .writer import QuantConfig

# 8-bit weights overflow silently on x86 processors without VNNI: two products of 8-bit values
# are added in 16 bits there. With 7 bits they fit, and the same file gives the same numbers.
WEIGHT_BITS, INT4_BITS = 7, 4

LARGEST_WEIGHT = 64
"""What onnxruntime makes of a channel's largest weight in its reduced range."""

OUTPUTS = ("adv", "probs")
"""Outputs that have a head; others of a graph are inner values."""

_LINEAR = ("Conv", "Gemm", "MatMul")
_QUANTIZED = (
    *_LINEAR,
    "Add",
    "Mul",
    "Relu",
    "Clip",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Concat",
    "Reshape",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "Slice",
    "Pad",
    "Flatten",
)


class ActivationRecorder:
    """A float graph all of whose values can be looked at.

    Args:
        model: from `student_graph`.
    """

    def __init__(self, model: Any) -> None:
        ort = require("onnxruntime", "onnx")
        wide = onnx.ModelProto()
        wide.CopyFrom(model)
        floats = _float_values(model)
        kept = {o.name for o in wide.graph.output}
        wide.graph.output.extend(floats[name] for name in floats if name not in kept)
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        # Fused layers would round differently from the ones that are watched.
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        self._session = ort.InferenceSession(
            wide.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._names = [o.name for o in wide.graph.output]
        self._first = model.graph.input[0].name

    def run(
        self, clip: NDArray[np.float32], **others: NDArray[np.float32]
    ) -> dict[str, NDArray[np.float32]]:
        """Activations by name, inputs among them, for features [1, frames, bands] or an image.

        Args:
            clip: the features, or the image.
            **others: the other inputs, if the graph has any.
        """
        given = {self._first: clip} | others
        values = self._session.run(self._names, given)
        return dict(zip(self._names, values, strict=True)) | given

    def observe(self, clips: list[NDArray[np.float32]]) -> Observer:
        """What the activations span over clips."""
        return Observer(clips, self.run)


def quantize(model: Any, how: QuantConfig) -> Any:
    """A float graph with int8 layers (QDQ form).

    Args:
        model: from `student_graph`; it is not changed.
        how: ranges of all activations, and what is done about the heads.
    """
    kinds = require("onnxruntime.quantization", "export")
    data = require("onnxruntime.quantization.calibrate", "export")
    qdq = require("onnxruntime.quantization.qdq_quantizer", "export")
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    heads, behind = _tail(copy.graph)
    ranges = {
        name: data.TensorData(lowest=np.float32(r.low), highest=np.float32(r.high))
        for name, r in how.ranges.ranges.items()
    }
    # Biases stay float here: int32 ones would need a scale each (7 KB of 119 in wav2small-stream),
    # where `fused` and, for the others, onnxruntime make the same bits of them without.
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # it advises a step that makes things worse
    try:
        quantizer = qdq.QDQQuantizer(
            copy,
            per_channel=True,
            reduce_range=True,
            weight_qType=kinds.QuantType.QInt8,
            activation_qType=kinds.QuantType.QUInt8,
            tensors_range=data.TensorsData(kinds.CalibrationMethod.MinMax, ranges),
            nodes_to_quantize=[],
            nodes_to_exclude=_scalings(copy.graph) + behind + (heads if how.float_head else []),
            op_types_to_quantize=list(_QUANTIZED),
            extra_options={"QuantizeBias": False},
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
    finally:
        logging.getLogger().setLevel(level)
    made = quantizer.model.model
    if how.int4:
        to_few_steps(made.graph, LARGEST_WEIGHT)
    _float_outputs(
        made.graph, {name for n in model.graph.node if n.name in heads for name in n.output}
    )
    return made


def _tail(graph: Any) -> tuple[list[str], list[str]]:
    """The last linear layers before the outputs, and the nodes behind these layers."""
    maker = {name: node for node in graph.node for name in node.output}
    heads: set[str] = set()
    behind = []
    for output in graph.output:
        name = output.name if output.name in OUTPUTS else ""
        while name in maker:
            node = maker[name]
            if node.op_type in _LINEAR:
                heads.add(node.name)
                break
            behind.append(node.name)
            name = next((i for i in node.input if i in maker), "")
    return sorted(heads), behind


def _scalings(graph: Any) -> list[str]:
    """Multiplications by constants: the normalisation of the features stays exact."""
    constants = {t.name for t in graph.initializer}
    return [n.name for n in graph.node if n.op_type == "Mul" and not constants.isdisjoint(n.input)]


def _float_outputs(graph: Any, names: set[str]) -> None:
    """Take away the rounding of the heads' results: they leave the graph as floats anyway."""
    maker = {name: node for node in graph.node for name in node.output}
    rename: dict[str, str] = {}
    for node in list(graph.node):
        if node.op_type != "DequantizeLinear" or node.input[0] not in maker:
            continue
        rounding = maker[node.input[0]]
        if rounding.op_type == "QuantizeLinear" and _plain(rounding.input[0]) in names:
            rename[node.output[0]] = rounding.input[0]
            graph.node.remove(rounding)
            graph.node.remove(node)
    outputs = {o.name for o in graph.output}
    for name, source in rename.items():
        # The graph's output keeps its name: its maker is renamed; else readers are.
        old, new = (source, name) if name in outputs else (name, source)
        for node in graph.node:
            node.input[:] = [new if i == old else i for i in node.input]
            node.output[:] = [new if o == old else o for o in node.output]


def _plain(name: str) -> str:
    """The name that a value had before the quantizer: it renames what feeds a graph output."""
    return name.removesuffix("_QuantizeLinear_Input")


def _float_values(model: Any) -> dict[str, Any]:
    """Value infos of the float activations that layers make."""
    inferred = onnx.shape_inference.infer_shapes(model)
    found = [*inferred.graph.value_info, *inferred.graph.output]
    made = {name for n in model.graph.node if n.op_type != "Constant" for name in n.output}
    return {
        v.name: v
        for v in found
        if v.name in made and v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
