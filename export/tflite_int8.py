"""Int8 for TFLite: activations and weights signed, int8 in and out, scales from the one table.

`ai-edge-quantizer` writes the integers. Ranges are ours: its own calibration keeps a moving average
that depends on the order of the clips.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.step_model import TOKEN
from edgeemo.compress.stages.rounding_int4 import on_int4_steps
from edgeemo.errors import BadArtifact, require

from .int8 import INT4_BITS, ActivationRecorder
from .match_tensors import match, probe_input, step_inputs
from .ranges import Range
from .streaming import Step
from .tflite_graph import check_operators, layer_of, name_of, quiet
from .tflite_pack import pack, schema, unpack
from .writer import QuantConfig

WEIGHT_BITS = 8

LARGEST_WEIGHT = 127
"""What a channel's largest weight becomes: TFLite's range of weights is symmetric."""

_SAME_RANGE = ("PAD", "RESHAPE", "SLICE", "STRIDED_SLICE", "MAX_POOL_2D", "TRANSPOSE")
"""Operators whose result spans no more than what goes in."""

Twins = Mapping[str, str]
"""Name of an activation in the TFLite graph to the one in the table of ranges."""


def match_tensors(
    model: Any, watch: ActivationRecorder, step: Step | None = None
) -> dict[str, str]:
    """Pair the activations of a TFLite graph with those that the table knows.

    Args:
        model: float, from `student_model` or `step_model`; names of inner values kept.
        watch: the float ONNX graph of the same student.
        step: what a step's model was made from.
    """
    data = pack(unpack(pack(model, names=True)), names=True)
    graph = model.subgraphs[0]
    shape = tuple(int(n) for n in graph.tensors[graph.inputs[0]].shape)
    name = graph.tensors[graph.inputs[0]].name.decode()
    if name == "image":
        face = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
        return match(_activations(data, {name: face}), watch.run(face))
    clip = probe_input(*shape[1:3])
    given = {"features": clip[..., None]}
    if step is not None:
        token = _activations(data, given | _last(step_inputs(step)))[TOKEN]
        given |= _last(step_inputs(step, token))
    return match(_activations(data, given), watch.run(clip))


def quantize(model: Any, how: QuantConfig, twins: Twins) -> Any:
    """An int8 model from a float one.

    Args:
        model: float, from `student_model`; it is not changed.
        how: ranges; `float_head` is not for this format: it has no float.
        twins: from `match_tensors`.

    Returns:
        The model's objects.

    Raises:
        BadArtifact: an operator has no int8 form, or an activation has no range; the message
            names the layer.
    """
    check_operators(model)
    copy = unpack(pack(model, names=True))
    with_quantizer = require("ai_edge_quantizer.quantizer", "export")
    quantizer = with_quantizer.Quantizer(bytearray(pack(copy, names=True)), _recipe(copy, how.int4))
    table = {
        name: {
            "min": np.float32(found.low).reshape(shape),
            "max": np.float32(found.high).reshape(shape),
        }
        for name, (found, shape) in _ranges(copy, how, twins).items()
    }
    with quiet():
        made = quantizer.quantize(table, enable_progress_report=False)
    int8 = unpack(bytes(made.quantized_model))
    check_whole(int8)
    _drop_bias_scales(int8)
    return int8


def _drop_bias_scales(model: Any) -> None:
    """Take away what no kernel of four bits reads: a bias counts in steps of input times weight."""
    tensors = model.subgraphs[0].tensors
    for op in model.subgraphs[0].operators:
        if len(op.inputs) == 3 and tensors[op.inputs[1]].type == schema.TensorType.INT4:
            tensors[op.inputs[2]].quantization = None


def _recipe(model: Any, int4: bool) -> Any:
    """Int8 for all, int16 where a softmax weighs hundreds of tokens, four bits where they hold all.

    The steps of an int8 softmax are 1/256 by definition: most weights would be 0.
    """
    manager = require("ai_edge_quantizer.recipe_manager", "export").RecipeManager()
    manager.add_static_config(".*", "*", activation_num_bits=8, weight_num_bits=8)
    special = [(op, 16, 8) for op in _attention(model)]
    special += [(op, 8, INT4_BITS) for op in _few_steps(model) if int4]
    for op, activations, weights in special:
        name = model.subgraphs[0].tensors[op.outputs[0]].name.decode()
        manager.add_static_config(
            f"^{re.escape(name)};?$", name_of(model, op), activations, weights
        )
    return manager.get_quantization_recipe()


def _few_steps(model: Any) -> list[Any]:
    """Convolutions whose weights four bits hold as they are."""
    graph = model.subgraphs[0]
    found = []
    for op in graph.operators:
        if name_of(model, op) == "CONV_2D":
            tensor = graph.tensors[op.inputs[1]]
            data = np.asarray(model.buffers[tensor.buffer].data, np.uint8)
            if on_int4_steps(data.view(np.float32).reshape(tensor.shape)):
                found.append(op)
    return found


def _attention(model: Any) -> list[Any]:
    """Each softmax inside of the graph, and the product with what it weighs."""
    graph = model.subgraphs[0]
    found: list[Any] = []
    for op in graph.operators:
        name = name_of(model, op)
        inside = name == "SOFTMAX" and op.outputs[0] not in graph.outputs
        behind = name == "MUL" and any(o.outputs[0] in op.inputs for o in found)
        if inside or behind:
            found.append(op)
    return found


def check_whole(model: Any) -> None:
    """Refuse a model with a float tensor left in it.

    Raises:
        BadArtifact: names the layer.
    """
    for tensor in model.subgraphs[0].tensors:
        if tensor.type == schema.TensorType.FLOAT32:
            raise BadArtifact(f"layer {layer_of(tensor.name)} was left in float")


def _ranges(model: Any, how: QuantConfig, twins: Twins) -> dict[str, tuple[Range, tuple[int, ...]]]:
    """Range and shape of the range's arrays, by tensor."""
    graph, known = model.subgraphs[0], how.ranges.ranges
    found: dict[int, Range] = {}
    for index in [*graph.inputs, *(i for op in graph.operators for i in op.outputs)]:
        twin = twins.get(graph.tensors[index].name.decode(), "")
        if twin in known:
            found[index] = known[twin]
    # Forwards what follows from what goes in, then backwards: a state has the range of what it
    # is joined to.
    for op in graph.operators:
        _spread(found, op, name_of(model, op), forwards=True)
    for op in reversed(graph.operators):
        _spread(found, op, name_of(model, op), forwards=False)
    named = {}
    for index in [*graph.inputs, *(i for op in graph.operators for i in op.outputs)]:
        tensor = graph.tensors[index]
        if index not in found:
            raise BadArtifact(f"no range is known for layer {layer_of(tensor.name)}")
        named[tensor.name.decode()] = found[index], (1,) * len(tensor.shape)
    return named


def _spread(found: dict[int, Range], op: Any, name: str, forwards: bool) -> None:
    if name == "CONCATENATION":
        source = next((found[i] for i in reversed(op.inputs) if i in found), None)
        ends = [*op.inputs, *op.outputs]
    elif name in _SAME_RANGE:
        source = found.get(op.inputs[0] if forwards else op.outputs[0])
        ends = [op.outputs[0] if forwards else op.inputs[0]]
    else:
        return
    for index in ends:
        if source is not None:
            found.setdefault(index, source)


def _activations(data: bytes, given: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    """All values that a float model computes, by name, in order."""
    litert = require("ai_edge_litert.interpreter", "export")
    runner = litert.Interpreter(
        model_content=data,
        experimental_preserve_all_tensors=True,
        num_threads=1,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    runner.allocate_tensors()
    for detail in runner.get_input_details():
        runner.set_tensor(detail["index"], given[detail["name"]])
    runner.invoke()
    graph = unpack(data).subgraphs[0]
    order = [*graph.inputs, *(i for op in graph.operators for i in op.outputs)]
    return {graph.tensors[i].name.decode(): runner.get_tensor(i) for i in order}


def _last(given: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """States with channels last."""
    return {
        n: np.ascontiguousarray(v.transpose(0, 2, 3, 1)) if v.ndim == 4 else v
        for n, v in given.items()
    }
