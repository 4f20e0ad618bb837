"""An ONNX graph against its card, and what it will cost, before a runtime allocates anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgeemo.artifacts.budget import check_cost, check_lengths, usual_length
from edgeemo.artifacts.card import Card
from edgeemo.artifacts.onnx_graph import DTYPES, Graph, Node, Port
from edgeemo.artifacts.onnx_operators import OPERATORS
from edgeemo.artifacts.onnx_values import MOST_KNOWN, Value
from edgeemo.artifacts.step_model import lacking
from edgeemo.errors import BadArtifact, one_line


def check_graph(graph: Graph, card: Card) -> None:
    """Hold a graph to its card.

    Args:
        graph: of the whole file.
        card: of the same file.

    Raises:
        BadArtifact: inputs or outputs are not what the card promises, an operator cannot run, or
            the graph takes more memory or work than any model of edgeemo.
    """
    names = [port.name for port in graph.inputs]
    first = graph.inputs[0] if names else Port("", 0, ())
    shape = _shape(card, usual_length(card))
    if first.name != card.input or first.kind != 1 or not _fits(first.shape, card, shape):
        raise BadArtifact(
            f"input {first.name!r:.40} of the shape {list(first.shape)}; the card promises "
            f"{card.input}, float32 {list(card.shape)}"
        )
    promised = [o.name for o in card.outputs]
    found = [port.name for port in graph.outputs]
    if found[: len(promised)] != promised:
        raise BadArtifact(f"outputs {found!r:.200}; the card promises {promised}")
    if len(names) > 1 and not card.hop:
        raise BadArtifact(f"inputs {names!r:.200}; the card promises {card.input} alone")
    if card.hop and (missing := lacking(names, found)):
        raise BadArtifact(f"the card promises a step; it lacks {', '.join(missing)[:200]}")
    values = check_lengths(card, lambda length: measure(graph, card, length))
    for output in card.outputs:
        value = values[output.name]
        if value.shape != (1, len(output.labels)) or value.dtype != np.float32:
            raise BadArtifact(
                f"output {output.name} has shape {value.shape} of {value.dtype}; the card promises "
                f"{(1, len(output.labels))} of float32"
            )


def measure(graph: Graph, card: Card, length: int) -> Mapping[str, Value]:
    """What is known of every value for an input of `length` frames or samples.

    Args:
        graph: to look at.
        card: of its file.
        length: of the input's second axis.

    Raises:
        BadArtifact: an operator cannot run on what it is given, or it takes too much.
    """
    values = {
        name: Value(a.shape, a.dtype, a if a.size <= MOST_KNOWN else None, constant=True)
        for name, a in graph.constants.items()
    }
    for port in graph.inputs:
        if port.name in values or port.kind not in DTYPES:
            raise BadArtifact(f"input {port.name!r:.40} is a constant too, or of no known type")
        shape = _shape(card, length) if port.name == card.input else port.shape
        lengths = [n for n in shape if n is not None and 0 < n < 2**24]
        if len(lengths) != len(shape):
            raise BadArtifact(f"input {port.name!r:.40} of the shape {list(port.shape)}")
        values[port.name] = Value(tuple(lengths), np.dtype(DTYPES[port.kind]))
    steps = []
    for node in graph.nodes:
        if any(name and name not in values for name in node.inputs):
            raise BadArtifact(f"{node.operator} reads a value that nothing has made before")
        inputs = [values[name] if name else None for name in node.inputs]
        made = _made(node, inputs)
        if len(made) != len(node.outputs) or any(name in values for name in node.outputs):
            raise BadArtifact(
                f"{node.operator} with {len(node.outputs)} outputs, or one made twice"
            )
        same = all(value is None or value.constant for value in inputs)
        values |= {
            name: replace(value, constant=same)
            for name, value in zip(node.outputs, made, strict=True)
        }
        steps.append((node.inputs, node.outputs))
    missing = [port.name for port in graph.outputs if port.name not in values]
    if missing:
        raise BadArtifact(f"output {missing[0]!r:.40} is made by no operator")
    kept = {name for name, value in values.items() if value.constant}
    kept |= {port.name for port in (*graph.inputs, *graph.outputs)}
    sizes: dict[object, int] = {name: value.bytes for name, value in values.items()}
    check_cost(card, length, steps, sizes, kept, sum(value.work for value in values.values()))
    return values


def _made(node: Node, inputs: list[Value | None]) -> Sequence[Value]:
    try:
        return OPERATORS[node.operator](node, inputs)
    # What numpy raises where small values do not fit each other.
    except (ValueError, TypeError, IndexError, OverflowError, ArithmeticError) as error:
        raise BadArtifact(f"{node.operator} cannot run: {one_line(error)}") from None


def _shape(card: Card, length: int) -> tuple[int, ...]:
    """Shape of the input at a length, where the card leaves it open."""
    return tuple(length if n is None else n for n in card.shape)


def _fits(declared: tuple[int | None, ...], card: Card, shape: tuple[int, ...]) -> bool:
    """Whether a file's input is the card's; its length may be open, or that of a step."""
    if len(declared) != len(shape):
        return False
    return all(
        have == want or (wanted is None and have is None)
        for have, want, wanted in zip(declared, shape, card.shape, strict=True)
    )
