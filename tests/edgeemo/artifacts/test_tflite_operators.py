"""TFLite files whose fields were altered under a right digest are refused before a runtime."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgeemo.artifacts.card import Card
from edgeemo.artifacts.models import shipped
from edgeemo.artifacts.tflite import read_tflite
from edgeemo.artifacts.tflite_graph import Graph, read_graph
from edgeemo.artifacts.tflite_operators import TABLE, check_operators
from edgeemo.errors import BadArtifact

pytest.importorskip("ai_edge_litert")

from edgeemo.export.tflite_graph import OPERATORS as WRITTEN
from edgeemo.export.tflite_pack import flatbuffers, schema, unpack

NAMES = {v: k for k, v in vars(schema.BuiltinOperator).items() if not k.startswith("_")}


@pytest.fixture(scope="module")
def sound() -> tuple[bytes, Card]:
    (model,) = (m for m in shipped() if m.format == "tflite" and m.name == "wav2small-stream")
    file = read_tflite(model.path)
    return file.model, file.card


def altered(model: bytes, change: Callable[[Any], None]) -> Graph:
    tree = unpack(model)
    for tensor in tree.subgraphs[0].tensors:
        tensor.shape = np.array(tensor.shape, np.int32)
    change(tree)
    builder = flatbuffers.Builder(1 << 18)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return read_graph(bytes(builder.Output()))


def first(tree: Any, name: str) -> Any:
    graph = tree.subgraphs[0]
    codes = [NAMES[max(c.builtinCode, c.deprecatedBuiltinCode)] for c in tree.operatorCodes]
    return next(op for op in graph.operators if codes[op.opcodeIndex] == name)


def tensor(tree: Any, name: str, at: int = 0, side: str = "inputs") -> Any:
    return tree.subgraphs[0].tensors[getattr(first(tree, name), side)[at]]


def constant(tree: Any, name: str, values: list[int]) -> None:
    old = tensor(tree, name, 1)
    data = np.frombuffer(np.array(values, np.int32).tobytes(), np.uint8)
    tree.buffers.append(schema.BufferT())
    tree.buffers[-1].data = data
    old.buffer, old.shape = len(tree.buffers) - 1, np.array([*np.array(values).shape], np.int32)


def _stride(tree: Any) -> None:
    first(tree, "CONV_2D").builtinOptions.strideH = 0


def _dilation(tree: Any) -> None:
    first(tree, "DEPTHWISE_CONV_2D").builtinOptions.dilationHFactor = 1 << 20


def _padding(tree: Any) -> None:
    first(tree, "CONV_2D").builtinOptions.padding = 7


def _activation(tree: Any) -> None:
    first(tree, "CONV_2D").builtinOptions.fusedActivationFunction = 99


def _multiplier(tree: Any) -> None:
    first(tree, "DEPTHWISE_CONV_2D").builtinOptions.depthMultiplier = 3


def _options(tree: Any) -> None:
    first(tree, "CONV_2D").builtinOptionsType = 5


def _no_options(tree: Any) -> None:
    op = first(tree, "SOFTMAX")
    op.builtinOptionsType, op.builtinOptions = 0, None


def _weights_that_are_none(tree: Any) -> None:
    op = first(tree, "CONV_2D")
    op.inputs = [op.inputs[0], op.inputs[0], op.inputs[2]]


def _no_weights(tree: Any) -> None:
    op = first(tree, "FULLY_CONNECTED")
    op.inputs = [op.inputs[0], -1, op.inputs[2]]


def _two_inputs(tree: Any) -> None:
    op = first(tree, "ADD")
    op.inputs = list(op.inputs[:1])


def _output_twice(tree: Any) -> None:
    op = first(tree, "ADD")
    op.outputs = [op.outputs[0], op.outputs[0]]


def _rank(tree: Any) -> None:
    found = tensor(tree, "CONV_2D", 1)
    found.shape = np.array([math.prod(found.shape), 1, 1], np.int32)
    found.quantization.scale = found.quantization.scale[:1]
    found.quantization.zeroPoint = found.quantization.zeroPoint[:1]


def _kind(tree: Any) -> None:
    found = tensor(tree, "CONV_2D", 2)
    found.type = schema.TensorType.FLOAT32


def _dimension(tree: Any) -> None:
    found = tensor(tree, "ADD", side="outputs")
    found.shape = np.array([1, 2**20, 200, 1], np.int32)


def _huge_input(tree: Any) -> None:
    graph = tree.subgraphs[0]
    graph.tensors[graph.inputs[0]].shape = np.array([1, 2**23, 40, 1], np.int32)


def _scale(tree: Any) -> None:
    found = tensor(tree, "ADD", side="outputs").quantization
    found.scale = np.array([1e-9], np.float32)


def _scale_of_softmax(tree: Any) -> None:
    first(tree, "SOFTMAX").builtinOptions.beta = 1e-9


def _no_scale(tree: Any) -> None:
    tensor(tree, "ADD", side="outputs").quantization = None


def _axis_of_scales(tree: Any) -> None:
    tensor(tree, "FULLY_CONNECTED", 1).quantization.quantizedDimension = 1


def _zero_of_weights(tree: Any) -> None:
    found = tensor(tree, "CONV_2D", 1).quantization
    found.zeroPoint = np.ones(len(found.zeroPoint), np.int64)


def _wide_pad(tree: Any) -> None:
    constant(tree, "PAD", [[0, 0], [4097, 0], [0, 0], [0, 0]])  # type: ignore[list-item]


def _negative_pad(tree: Any) -> None:
    constant(tree, "PAD", [[0, 0], [-1, 0], [0, 0], [0, 0]])  # type: ignore[list-item]


def _axes(tree: Any) -> None:
    constant(tree, "MEAN", [9])


def _shape(tree: Any) -> None:
    constant(tree, "RESHAPE", [1, -1, -1, 7])


def _metadata(tree: Any) -> None:
    tree.metadata = [schema.MetadataT()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_stride, "CONV_2D with steps of 0"),
        (_dilation, "DEPTHWISE_CONV_2D with steps of"),
        (_padding, "with the padding 7"),
        (_activation, "with the activation 99"),
        (_multiplier, "DEPTHWISE_CONV_2D with multiplier 3"),
        (_options, "CONV_2D with the options 5"),
        (_no_options, "SOFTMAX with the options 0, or without"),
        (_weights_that_are_none, "CONV_2D: int8 constants are expected"),
        (_no_weights, "FULLY_CONNECTED without one of its inputs"),
        (_two_inputs, "ADD with 1 inputs"),
        (_output_twice, "ADD with 2 inputs and 2 outputs"),
        (_rank, "CONV_2D with inputs of the shapes"),
        (_kind, "CONV_2D: int32 constants are expected, not float32"),
        (_dimension, "its operator makes"),
        (_huge_input, "it would take|its operator makes|an output of the shape"),
        (_scale, "ADD multiplies by .* too far apart"),
        (_scale_of_softmax, "SOFTMAX with beta 1e-09"),
        (_no_scale, "an output of ADD is int8 with the scales"),
        (_axis_of_scales, "scales on a tensor|scales along the axis 1"),
        (_zero_of_weights, "scales for"),
        (_wide_pad, "PAD with padding of"),
        (_negative_pad, "PAD with padding of"),
        (_axes, "MEAN with axis 9 of 4"),
        (_shape, "RESHAPE with"),
        (_metadata, "metadata"),
    ],
)
def test_altered_fields(
    sound: tuple[bytes, Card], change: Callable[[Any], None], message: str
) -> None:
    model, card = sound
    with pytest.raises(BadArtifact, match=message) as caught:
        check_operators(altered(model, change), card)
    assert str(caught.value).isprintable()


def test_a_depthwise_convolution_needs_its_biases(sound: tuple[bytes, Card]) -> None:
    model, card = sound
    graph = altered(model, lambda tree: None)
    without = tuple(
        replace(op, inputs=op.inputs[:2]) if op.name == "DEPTHWISE_CONV_2D" else op
        for op in graph.operators
    )
    with pytest.raises(BadArtifact, match="DEPTHWISE_CONV_2D without one of its inputs"):
        check_operators(replace(graph, operators=without), card)


def test_what_is_written_is_read(sound: tuple[bytes, Card]) -> None:
    """Packed again and unaltered it passes; and each operator of the writer has its row."""
    model, card = sound
    check_operators(altered(model, lambda tree: None), card)
    assert set(WRITTEN) <= set(TABLE)


def _rename(which: str) -> Callable[[Any], None]:
    def change(tree: Any) -> None:
        graph = tree.subgraphs[0]
        graph.tensors[getattr(graph, which)[0]].name = b"another"

    return change


def _twice(tree: Any) -> None:
    graph = tree.subgraphs[0]
    graph.inputs = np.array([*graph.inputs] * 2, np.int32)


def _no_output(tree: Any) -> None:
    tree.subgraphs[0].outputs = tree.subgraphs[0].outputs[1:]


def _operator_of_many(tree: Any) -> None:
    first(tree, "CONV_2D").inputs = np.zeros(65, np.int32)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_rename("inputs"), "the card promises features"),
        (_rename("outputs"), "without .*, which the card promises"),
        (_twice, "the card promises features, .* alone"),
        (_no_output, "without .*, which the card promises"),
        (_operator_of_many, "an operator of 65 inputs"),
    ],
)
def test_inputs_and_outputs_are_those_of_the_card(
    sound: tuple[bytes, Card], change: Callable[[Any], None], says: str
) -> None:
    with pytest.raises(BadArtifact, match=says):
        check_operators(altered(sound[0], change), sound[1])


def test_a_card_of_another_shape(sound: tuple[bytes, Card]) -> None:
    """What the card promises is compared before a runtime allocates anything."""
    model, card = sound
    graph = altered(model, lambda tree: None)
    adv, probs = card.outputs
    with pytest.raises(BadArtifact, match=r"output probs has shape .*; the card promises \(1, 3\)"):
        check_operators(
            graph, replace(card, outputs=(adv, replace(probs, labels=probs.labels[:3])))
        )
    with pytest.raises(BadArtifact, match=r"the card promises features, \[1, None, 24, 1\]"):
        check_operators(graph, replace(card, spec=replace(card.features, bands=24)))
