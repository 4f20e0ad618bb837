"""Several models of faces as one file, which answers with their mean (`tools/average_faces.py`).

The file takes the picture of the first model; the others see it at their own size. Models of
different sizes err on different faces, so their mean is right more often than the best of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from edgeemo.artifacts.card import Calibration, Card, Metric
from edgeemo.artifacts.licences import weights_licence
from edgeemo.artifacts.onnx import read_onnx
from edgeemo.artifacts.trained_on import TrainedOn
from edgeemo.errors import BadArtifact
from edgeemo.export.graph import IR_VERSION, OPSET, onnx
from edgeemo.export.onnx_writer import with_card
from edgeemo.vision.images import ImageSpec, resize_matrix

make_node, make_value = onnx.helper.make_node, onnx.helper.make_tensor_value_info


def averaged(files: Sequence[Path], name: str, metrics: tuple[Metric, ...] = ()) -> bytes:
    """One artifact that gives the mean of the outputs of several.

    Args:
        files: two or more ONNX artifacts that take a face and give the same outputs. Each network
            of a file that was averaged before counts as one.
        name: of the new model, for its card.
        metrics: measured figures of the new model, for its card.

    Raises:
        BadArtifact: a file cannot be read, or does not fit the first; the message names it.
    """
    held = [read_onnx(file) for file in files]
    cards = [one.card for one in held]
    # The bytes that were checked are those that are used.
    graphs = [onnx.load_from_string(one.data).graph for one in held]
    first = cards[0]
    for file, card in zip(files, cards, strict=True):
        _check(file, card, first)
    made = onnx.ModelProto(ir_version=IR_VERSION)
    made.opset_import.add(domain="", version=OPSET)
    graph = made.graph
    graph.name = name
    graph.input.add().CopyFrom(graphs[0].input[0])
    for i, (other, card) in enumerate(zip(graphs, cards, strict=True)):
        seen = graph.input[0].name
        if card.image.size != first.image.size:
            seen = _resized(graph, seen, first.image, card.image.size)
        _add(graph, other, f"m{i}_", seen)
    for output in first.outputs:
        parts = [
            f"m{i}_{part}" for i, other in enumerate(graphs) for part in _parts(other, output.name)
        ]
        all_of_them = output.name + "_each"
        graph.node.append(make_node("Concat", parts, [all_of_them], axis=0))
        graph.node.append(make_node("ReduceMean", [all_of_them], [output.name], axes=[0]))
        shape = [1, len(output.labels)]
        graph.output.append(make_value(output.name, onnx.TensorProto.FLOAT, shape))
    return with_card(made, _card(cards, name, metrics))


def network_of(file: Path, number: int) -> bytes:
    """One network of a file that was averaged, as a file of its own.

    Its card is that of the whole file, with parameters and work counted anew: as the file holds
    them, where batch norms are part of the convolutions before them.

    Args:
        file: from `averaged`.
        number: of the network, from 0 on, in the order in which they were averaged.

    Raises:
        BadArtifact: the file cannot be read, or has no such network.
    """
    held = read_onnx(file)
    model = onnx.load_from_string(held.data)
    graph = model.graph
    networks = [_parts(graph, output.name) for output in graph.output]
    count = len(networks[0])
    if not 0 <= number < count:
        raise BadArtifact(f"{file}: network {number}; it has {count}, counted from 0")
    kept, wanted = [], {parts[number] for parts in networks}
    for node in reversed(graph.node):
        if not wanted.isdisjoint(node.output):
            kept.append(node)
            wanted.update(node.input)
    alone = {parts[number]: out.name for parts, out in zip(networks, graph.output, strict=True)}
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.node[:], made.graph.initializer[:]
    for node in reversed(kept):
        copy = made.graph.node.add()
        copy.CopyFrom(node)
        copy.output[:] = [alone.get(name, name) for name in node.output]
        copy.input[:] = [alone.get(name, name) for name in node.input]
    made.graph.initializer.extend(t for t in graph.initializer if t.name in wanted)
    parameters, macs = _costs(made)
    return with_card(made, replace(held.card, parameters=parameters, macs_per_second=macs))


# Which inputs of a node are its weights and biases; slopes of PReLU stand in a Mul.
_LEARNED = {"QLinearConv": (3, 8), "Conv": (1, 2), "Gemm": (1, 2), "Mul": (1,)}


def _costs(model: Any) -> tuple[int, int]:
    """Parameters of a network, and multiply-accumulates for one picture."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in (*graph.value_info, *graph.output)
    }
    constants = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    shapes |= constants
    parameters = macs = 0
    for node in graph.node:
        if node.op_type == "Mul" and node.input[1] not in constants:
            continue
        learned = [i for i in _LEARNED.get(node.op_type, ()) if i < len(node.input)]
        counts = [math.prod(shapes[node.input[i]]) for i in learned]
        parameters += sum(counts)
        if learned and node.op_type != "Mul":
            places = math.prod(shapes[node.output[0]][2:])
            macs += counts[0] * places
    return parameters, macs


def _parts(graph: Any, output: str) -> list[str]:
    """What an output is the mean of, in a file that was made here; else the output alone.

    So each network counts the same, however often files were averaged.
    """
    made_by = {name: node for node in graph.node for name in node.output}
    mean = made_by[output]
    joined = made_by.get(mean.input[0])
    if mean.op_type == "ReduceMean" and joined is not None and joined.op_type == "Concat":
        return list(joined.input)
    return [output]


def _check(file: Path, card: Card, first: Card) -> None:
    if not isinstance(card.spec, ImageSpec):
        raise BadArtifact(f"{file}: takes {card.input}; only models of faces are averaged")
    if replace(card.spec, size=first.image.size) != first.spec:
        raise BadArtifact(f"{file}: takes {card.spec}; expected {first.spec}, of any size")
    if card.outputs != first.outputs:
        raise BadArtifact(f"{file}: gives {card.outputs}; expected {first.outputs}")


def _resized(graph: Any, name: str, spec: ImageSpec, size: int) -> str:
    """The name of the picture at another size, made by the filter that cuts faces."""
    made, old = f"{name}{size}", spec.size
    if any(made in node.output for node in graph.node):
        return made
    _constant(graph, made + "_filter", resize_matrix(old, size))
    shapes = {
        "rows": [old, old * spec.channels],
        "columns": [size, old, spec.channels],
        "whole": [1, size, size, spec.channels],
    }
    for step, shape in shapes.items():
        _constant(graph, f"{made}_{step}", np.array(shape, np.int64))
    graph.node.extend(
        [
            make_node("Reshape", [name, made + "_rows"], [made + "_a"]),
            make_node("MatMul", [made + "_filter", made + "_a"], [made + "_b"]),
            make_node("Reshape", [made + "_b", made + "_columns"], [made + "_c"]),
            make_node("MatMul", [made + "_filter", made + "_c"], [made + "_d"]),
            make_node("Reshape", [made + "_d", made + "_whole"], [made]),
        ]
    )
    return made


def _add(graph: Any, other: Any, prefix: str, seen: str) -> None:
    """Put another graph in, under names of its own, to look at `seen`."""
    held = other.input[0].name

    def renamed(value: str) -> str:
        return seen if value == held else prefix + value if value else ""

    for tensor in other.initializer:
        graph.initializer.add().CopyFrom(tensor)
        graph.initializer[-1].name = prefix + tensor.name
    for node in other.node:
        copy = graph.node.add()
        copy.CopyFrom(node)
        copy.name = prefix + node.name
        copy.input[:] = [renamed(value) for value in node.input]
        copy.output[:] = [renamed(value) for value in node.output]


def _constant(graph: Any, name: str, value: Any) -> None:
    graph.initializer.append(onnx.numpy_helper.from_array(value, name))


def _card(cards: Sequence[Card], name: str, metrics: tuple[Metric, ...]) -> Card:
    """The first card, with what all models bring together."""
    first = cards[0]
    teachers = tuple(dict.fromkeys(s for card in cards for s in card.teachers))
    data = tuple(dict.fromkeys(s for card in cards for s in card.data))
    seen = [card.trained_on for card in cards if card.trained_on is not None]
    return replace(
        first,
        name=name,
        teachers=teachers,
        data=data,
        licence=weights_licence((*teachers, *data)),
        attributions=tuple(dict.fromkeys(text for card in cards for text in card.attributions)),
        trained_on=reduce(TrainedOn.joined, seen) if len(seen) == len(cards) else None,
        parameters=sum(card.parameters for card in cards),
        macs_per_second=sum(card.macs_per_second for card in cards),
        # Each model's temperature is in its own softmax.
        calibration=Calibration(1.0, first.calibration.fitted_on),
        metrics=metrics,
    )
