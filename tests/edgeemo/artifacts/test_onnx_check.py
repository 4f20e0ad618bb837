"""ONNX graphs under a right digest: shapes against the card, and cost before allocation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeemo.artifacts.card import Card, from_json
from edgeemo.artifacts.models import shipped
from edgeemo.artifacts.onnx import check, digest, find_card
from edgeemo.artifacts.onnx_check import measure
from edgeemo.artifacts.onnx_graph import Graph, Node, Port, read_graph
from edgeemo.artifacts.onnx_operators import OPERATORS
from edgeemo.artifacts.protobuf import fields, message
from edgeemo.errors import BadArtifact
from edgeemo.export.onnx_writer import card_behind

onnx = pytest.importorskip("onnx")
numpy_helper = pytest.importorskip("onnx.numpy_helper")


def sealed(model: Any, **changes: Any) -> bytes:
    data = model.SerializeToString()
    card = replace(from_json(find_card(data)), **changes)
    del model.metadata_props[:]  # the card of an older file
    model.DiscardUnknownFields()
    return card_behind(model.SerializeToString(), replace(card, digest=digest(data)))


def graph_of(model: Any) -> Graph:
    data = model.SerializeToString()
    found = dict(fields(memoryview(data), "model", repeated=(8, 14)))
    return read_graph(message(found[7], "graph"))


@pytest.fixture
def model() -> Any:
    (path,) = (m.path for m in shipped() if m.name == "wav2small-stream" and m.format == "onnx")
    return onnx.load(path)


@pytest.mark.parametrize("frames", [12, 98, 377, 6272])
def test_inferred_shapes_are_what_the_runtime_makes(model: Any, frames: int) -> None:
    """Each value of the graph, at several lengths, against onnxruntime."""
    ort = pytest.importorskip("onnxruntime")
    card = check(model.SerializeToString()).card
    values = measure(graph_of(model), card, frames)
    del model.graph.output[:]
    names = [name for node in model.graph.node for name in node.output]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found = session.run(names, {"features": np.zeros((1, frames, 40), np.float32)})
    for name, array in zip(names, found, strict=True):
        value = values[name]
        assert (value.shape, value.dtype) == (array.shape, array.dtype), name
        if value.data is not None:
            assert np.array_equal(value.data, array), name


def _outer_product(model: Any) -> None:
    """A constant [n, 1, 1] in place of [1, 1, n]: each layer behind it is n times as large."""
    for node in model.graph.node:
        if node.op_type == "Unsqueeze":
            name = node.output[0]
            break
    wide = onnx.helper.make_node("Add", [name, "wide"], [name + "_wide"])
    for other in model.graph.node:
        other.input[:] = [name + "_wide" if i == name else i for i in other.input]
    nodes = list(model.graph.node)
    at = next(i for i, n in enumerate(nodes) if name in n.output)
    del model.graph.node[:]
    model.graph.node.extend([*nodes[: at + 1], wide, *nodes[at + 1 :]])
    array = np.zeros((60_000, 1, 1, 1), np.float32)
    model.graph.initializer.append(numpy_helper.from_array(array, "wide"))


def _large_constant(model: Any) -> None:
    shape = numpy_helper.from_array(np.array([1 << 10, 1 << 10, 1 << 10], np.int64), "shape")
    model.graph.initializer.append(shape)
    node = onnx.helper.make_node("ConstantOfShape", ["shape"], ["unused"])
    model.graph.node.insert(0, node)


def _unknown_shape(model: Any) -> None:
    """A shape that follows from sound cannot be bounded."""
    cast = onnx.helper.make_node("Cast", ["features"], ["whole"], to=7)
    made = onnx.helper.make_node("ConstantOfShape", ["whole"], ["unused"])
    model.graph.node.insert(0, made)
    model.graph.node.insert(0, cast)


def _fixed_length(model: Any) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2**40


def _bands(model: Any) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 41


def _second_input(model: Any) -> None:
    model.graph.input.append(model.graph.input[0])
    model.graph.input[1].name = "more"


def _operator_set(model: Any) -> None:
    model.opset_import[0].version = 18


def _attribute_twice(model: Any) -> None:
    node = next(n for n in model.graph.node if n.attribute)
    node.attribute.append(node.attribute[0])


def _order(model: Any) -> None:
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes[::-1])


def _made_twice(model: Any) -> None:
    model.graph.node.append(model.graph.node[0])


def _lost_output(model: Any) -> None:
    for node in model.graph.node:
        node.output[:] = ["lost" if name == "probs" else name for name in node.output]


def _groups(model: Any) -> None:
    node = next(n for n in model.graph.node if n.op_type.endswith("Conv"))
    node.attribute.add(name="group", type=onnx.AttributeProto.INT, i=3)


def _pads(model: Any) -> None:
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "pads":
                attribute.ints[0] = 2**40


def _type_of_an_attribute(model: Any) -> None:
    node = next(n for n in model.graph.node if n.op_type.endswith("Conv"))
    node.attribute.append(onnx.helper.make_attribute("auto_pad", [1, 2]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_type_of_an_attribute, "Conv with auto_pad of the type list"),
        (_outer_product, "it would take|with an output of the shape"),
        (_large_constant, "it would take"),
        (_unknown_shape, "ConstantOfShape with input 0, which decides its shape"),
        (_fixed_length, "the card promises features"),
        (_bands, "the card promises features"),
        (_second_input, "the card promises features alone"),
        (_operator_set, "operator set 18"),
        (_attribute_twice, "has two attributes"),
        (_order, "reads a value that nothing has made before"),
        (_made_twice, "made twice"),
        (_lost_output, "'probs' is made by no operator"),
        (_groups, "Conv with 3 groups"),
        (_pads, "Conv with strides"),
    ],
)
def test_altered_graphs(model: Any, change: Callable[[Any], None], says: str) -> None:
    change(model)
    with pytest.raises(BadArtifact, match=says) as caught:
        check(sealed(model))
    assert str(caught.value).isprintable()


def test_a_card_that_asks_for_hours(model: Any) -> None:
    window = replace(check(model.SerializeToString()).card.window, min_seconds=3600.0)
    with pytest.raises(BadArtifact, match=r"it would take .* for 359998 rows"):
        check(sealed(model, window=window))


def test_a_field_that_comes_twice(model: Any) -> None:
    """Readers do not agree on which of both counts."""
    data = sealed(model)
    with pytest.raises(BadArtifact, match="has two fields 7"):
        check(data + onnx.ModelProto(graph=onnx.GraphProto(name="x")).SerializeToString())


def test_every_writers_operator_has_a_rule(artifacts: dict[str, Path]) -> None:
    used = {
        node.op_type
        for path in [m.path for m in shipped() if m.format == "onnx"] + [*artifacts.values()]
        for node in onnx.load(path).graph.node
    }
    assert len(used) > 25 and used <= set(OPERATORS)


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes", "want"),
    [
        ("Slice", [np.arange(10), [8], [-20], [0], [-3]], {}, [8, 5, 2]),
        ("Slice", [np.arange(10), [-3], [100]], {}, [7, 8, 9]),
        ("Range", [np.int64(2), np.int64(11), np.int64(4)], {}, [2, 6, 10]),
        ("Concat", [[1, 2], [3]], {"axis": 0}, [1, 2, 3]),
        ("Gather", [[5, 6, 7], np.array(-1)], {"axis": 0}, 7),
        ("Where", [np.array([True, False]), [1, 1], [2, 2]], {}, [1, 2]),
        ("Div", [[-7, 7], [2, 2]], {}, [-3, 3]),
        ("Max", [[1, 5], [4, 2], [0, 9]], {}, [4, 9]),
        ("Unsqueeze", [[3, 4], [0]], {}, [[3, 4]]),
        ("Reshape", [[1, 2, 3, 4], [2, -1]], {}, [[1, 2], [3, 4]]),
        ("Expand", [[7], [3]], {}, [7, 7, 7]),
        ("Split", [[1, 2, 3]], {"axis": 0, "split": [2, 1]}, [1, 2]),
        ("Transpose", [[[1, 2], [3, 4]]], {}, [[1, 3], [2, 4]]),
    ],
)
def test_small_values_are_computed(
    operator: str, inputs: list[Any], attributes: dict[str, Any], want: Any, card: Card
) -> None:
    names = [f"i{k}" for k in range(len(inputs))]
    outputs = ("out", "more") if operator == "Split" else ("out",)
    graph = Graph(
        (Node(operator, tuple(names), outputs, attributes),),
        {n: np.asarray(v) for n, v in zip(names, inputs, strict=True)},
        (Port("features", 1, (1, None, 40)),),
        (Port("out", 7, ()),),
    )
    value = measure(graph, card, 98)["out"]
    assert value.constant and value.data is not None
    assert value.data.tolist() == want and value.shape == np.shape(want)
