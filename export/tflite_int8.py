"""Int8 for TFLite: activations and weights signed, int8 in and out, scales from the one table.

`ai-edge-quantizer` writes the integers. Ranges are ours: its own calibration keeps a moving average
that depends on the order of the clips.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import BadArtifact, require
from edgeemo.export.int8 import Watch
from edgeemo.export.ranges import Range
from edgeemo.export.tflite_graph import check_operators, layer_of, name_of
from edgeemo.export.tflite_pack import pack, schema, unpack
from edgeemo.export.writer import Int8

WEIGHT_BITS = 8

_SAME_RANGE = ("PAD", "RESHAPE", "SLICE", "STRIDED_SLICE", "MAX_POOL_2D", "TRANSPOSE")
"""Operators whose result spans no more than what goes in."""

Twins = Mapping[str, str]
"""Name of an activation in the TFLite graph to the one in the table of ranges."""


def find_twins(model: Any, watch: Watch) -> dict[str, str]:
    """Pair the activations of a TFLite graph with those that the table knows.

    The converters name and fuse layers in their own ways, but they compute the same numbers: two
    activations are one if they hold the same values for the same input, whatever the layout.

    Args:
        model: float, from `student_model`; names of inner values kept.
        watch: the float ONNX graph of the same student.
    """
    graph = model.subgraphs[0]
    _, frames, bands, _ = (int(n) for n in graph.tensors[graph.inputs[0]].shape)
    noise = np.random.default_rng(0).normal(-4, 4, (1, frames, bands)).astype(np.float32)
    theirs = watch.run(noise)
    by_size: dict[int, list[tuple[str, NDArray[np.float32]]]] = {}
    for name, values in theirs.items():
        by_size.setdefault(values.size, []).append((name, values))
    twins = {}
    for name, values in _activations(pack(model, names=True), noise[..., None]).items():
        found = next((n for n, v in by_size.get(values.size, []) if _same(values, v)), None)
        if found is not None:
            twins[name] = found
    return twins


def quantize(model: Any, how: Int8, twins: Twins) -> Any:
    """An int8 model from a float one.

    Args:
        model: float, from `student_model`; it is not changed.
        how: ranges and shifts; `float_head` is not for this format, which has no float at all.
        twins: from `find_twins`.

    Returns:
        The model's objects.

    Raises:
        BadArtifact: an operator has no int8 form, or an activation has no range; the message
            names the layer.
    """
    check_operators(model)
    copy = unpack(pack(model, names=True))
    for output, shift in how.shifts.items():
        _shift(copy, output, shift)
    with_quantizer = require("ai_edge_quantizer.quantizer", "export")
    recipe = require("ai_edge_quantizer.recipe", "export")
    quantizer = with_quantizer.Quantizer(
        bytearray(pack(copy, names=True)), recipe.static_wi8_ai8()
    )
    table = {
        name: {"min": np.float32(found.low).reshape(shape),
               "max": np.float32(found.high).reshape(shape)}
        for name, (found, shape) in _ranges(copy, how, twins).items()
    }  # fmt: skip
    made = quantizer.quantize(table, enable_progress_report=False)
    int8 = unpack(bytes(made.quantized_model))
    check_whole(int8)
    return int8


def check_whole(model: Any) -> None:
    """Refuse a model with a float tensor left in it.

    Raises:
        BadArtifact: names the layer.
    """
    for tensor in model.subgraphs[0].tensors:
        if tensor.type == schema.TensorType.FLOAT32:
            raise BadArtifact(f"layer {layer_of(tensor.name)} was left in float")


def _ranges(
    model: Any, how: Int8, twins: Twins
) -> dict[str, tuple[Range, tuple[int, ...]]]:
    graph, known = model.subgraphs[0], how.ranges.ranges
    found: dict[str, tuple[Range, tuple[int, ...]]] = {}

    def add(index: int, value: Range) -> None:
        tensor = graph.tensors[index]
        found[tensor.name.decode()] = value, (1,) * len(tensor.shape)

    for index in graph.inputs:
        add(index, known[twins.get(graph.tensors[index].name.decode(), "features")])
    for op in graph.operators:
        for index in op.outputs:
            tensor = graph.tensors[index]
            twin = twins.get(tensor.name.decode(), "")
            if twin in known:
                add(index, known[twin])
            elif name_of(model, op) in _SAME_RANGE:
                add(index, found[graph.tensors[op.inputs[0]].name.decode()][0])
            else:
                raise BadArtifact(f"no range is known for layer {layer_of(tensor.name)}")
    return found


def _shift(model: Any, output: str, shift: NDArray[np.float32]) -> None:
    """Add to the biases of the linear layer before an output."""
    graph = model.subgraphs[0]
    maker = {i: op for op in graph.operators for i in op.outputs}
    at = next(i for i in graph.outputs if graph.tensors[i].name == output.encode())
    while at in maker:
        op = maker[at]
        if name_of(model, op) in ("FULLY_CONNECTED", "CONV_2D"):
            buffer = model.buffers[graph.tensors[op.inputs[2]].buffer]
            # A buffer of its own: equal constants of other layers share one.
            values = np.asarray(buffer.data, np.uint8).view(np.float32) + shift
            made = schema.BufferT()
            made.data = np.frombuffer(values.astype(np.float32).tobytes(), np.uint8)
            model.buffers.append(made)
            graph.tensors[op.inputs[2]].buffer = len(model.buffers) - 1
            return
        at = op.inputs[0]


def _activations(data: bytes, picture: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """All values that a float model computes, by name."""
    litert = require("ai_edge_litert.interpreter", "export")
    runner = litert.Interpreter(
        model_content=data, experimental_preserve_all_tensors=True, num_threads=1,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )  # fmt: skip
    runner.allocate_tensors()
    runner.set_tensor(runner.get_input_details()[0]["index"], picture)
    runner.invoke()
    graph = unpack(data).subgraphs[0]
    names = {i: graph.tensors[i].name.decode() for op in graph.operators for i in op.outputs}
    names |= {i: graph.tensors[i].name.decode() for i in graph.inputs}
    return {name: runner.get_tensor(i) for i, name in names.items()}


def _same(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> bool:
    """Equal values in the same order, or after moving channels to the end."""
    limit = 1e-4 * max(1.0, float(np.abs(theirs).max()))
    if float(np.ptp(theirs)) <= limit:
        return False  # a constant is like any other
    orders = [theirs.reshape(-1)]
    if theirs.ndim == 4:
        orders.append(theirs.transpose(0, 2, 3, 1).reshape(-1))
    return any(float(np.abs(ours.reshape(-1) - o).max()) <= limit for o in orders)
