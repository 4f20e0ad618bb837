"""What is known of the values of an ONNX graph before it runs, and how its operators ask for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import BadArtifact

if TYPE_CHECKING:
    from edgeemo.artifacts.onnx_graph import Node

MOST_KNOWN = 1024
"""Elements up to which values are computed and not only their shape."""

_MOST_ELEMENTS = 2**31


@dataclass(frozen=True)
class Value:
    """What is known of a value before the graph runs.

    Attributes:
        shape: lengths of its axes.
        dtype: of its elements.
        data: the value itself, where it is a small constant or follows from shapes.
        constant: whether it is the same for every input: a runtime computes it once and keeps it.
        work: multiply-accumulates that made it.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    data: NDArray[Any] | None = None
    constant: bool = False
    work: int = 0

    @property
    def elements(self) -> int:
        """Count of its elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return self.elements * self.dtype.itemsize


Inputs = Sequence[Value | None]
Rule = Callable[["Node", Inputs], Sequence[Value]]


def fault(node: Node, what: str) -> BadArtifact:
    """The error for an operator in a form that cannot run.

    Args:
        node: the operator.
        what: the form that cannot run; follows "with".
    """
    return BadArtifact(f"{node.operator} with {what}")


T = TypeVar("T")


def option(node: Node, name: str, default: T) -> T:
    """An attribute, or its default.

    Args:
        node: the operator.
        name: of the attribute.
        default: where it is left out; its type is the type to expect.

    Raises:
        BadArtifact: it is of another type than the default.
    """
    value = node.attributes.get(name, default)
    if type(value) is not type(default):
        raise fault(node, f"{name} of the type {type(value).__name__}")
    return value


def value_of(node: Node, inputs: Inputs, at: int = 0) -> Value:
    """An input that must be there.

    Args:
        node: the operator, for messages.
        inputs: its inputs.
        at: place among them, from 0.

    Raises:
        BadArtifact: it is left out.
    """
    found = inputs[at] if at < len(inputs) else None
    if found is None:
        raise fault(node, f"no input {at}")
    return found


def known(node: Node, inputs: Inputs, at: int) -> NDArray[Any]:
    """A value that decides a shape.

    Args:
        node: the operator, for messages.
        inputs: its inputs.
        at: place among them, from 0.

    Raises:
        BadArtifact: it is left out, or not known before the graph runs.
    """
    data = value_of(node, inputs, at).data
    if data is None:
        raise fault(node, f"input {at}, which decides its shape, and is not known before")
    return data


def integers(node: Node, inputs: Inputs, at: int, attribute: str) -> list[int] | None:
    """Integers of an attribute, or of an input; None where both are left out.

    Args:
        node: the operator.
        inputs: its inputs.
        at: place of the input, from 0.
        attribute: name of the attribute, which comes first.

    Raises:
        BadArtifact: an attribute of another type, or an input that is not known before.
    """
    if attribute in node.attributes:
        return option(node, attribute, list[int]())
    if at < len(inputs) and inputs[at] is not None:
        return [int(n) for n in known(node, inputs, at).reshape(-1)]
    return None


def axis_of(node: Node, axis: int, rank: int) -> int:
    """An axis counted from the front, checked.

    Args:
        node: the operator, for messages.
        axis: -rank..rank-1; below 0 it counts from the end.
        rank: count of axes.

    Raises:
        BadArtifact: no such axis.
    """
    if not -rank <= axis < rank:
        raise fault(node, f"axis {axis} of {rank}")
    return axis % rank


def axes_of(node: Node, axes: Sequence[int], rank: int) -> set[int]:
    """Axes counted from the front, each once.

    Args:
        node: the operator, for messages.
        axes: each as for `axis_of`.
        rank: count of axes.

    Raises:
        BadArtifact: no such axis, or one twice.
    """
    found = {axis_of(node, a, rank) for a in axes}
    if len(found) != len(axes):
        raise fault(node, f"the axes {list(axes)[:8]}")
    return found


def make(
    node: Node, shape: Sequence[int], dtype: Any, data: NDArray[Any] | None = None, work: int = 0
) -> Value:
    """A value of that shape, if there can be one.

    Args:
        node: the operator, for messages.
        shape: lengths of its axes.
        dtype: of its elements.
        data: the value itself, where it is known.
        work: multiply-accumulates that make it.

    Raises:
        BadArtifact: a length below 0, or 2**31 elements or more.
    """
    if any(not 0 <= n < _MOST_ELEMENTS for n in shape) or math.prod(shape) >= _MOST_ELEMENTS:
        raise fault(node, f"an output of the shape {list(shape)[:8]}")
    return Value(tuple(shape), np.dtype(dtype), data, work=work)


def computed(node: Node, dtype: Any, data: NDArray[Any]) -> Value:
    """A value that is known before the graph runs; a large one only by its shape.

    Args:
        node: the operator, for messages.
        dtype: that it gets.
        data: the value; up to MOST_KNOWN elements are kept.

    Raises:
        BadArtifact: as for `make`.
    """
    data = np.asarray(data, dtype)
    return make(node, data.shape, dtype, data if data.size <= MOST_KNOWN else None)
