"""A student that goes on from a file that `edgeemo export` wrote: weights back from their rounding.

An exported file has no batch norms: they are part of the weights in front of them, and a student
without them trains badly. So each one comes back with the mean and the variance of its convolution
on the training rows, and with a scale and a shift that undo both. The student then computes what
the file computes, and trains as it did before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from edgeemo.errors import BadArtifact, one_line, require
from edgeemo.io.loading import read_bytes

from ..students.base import Student
from .batches import Batches

_MOST = 64 << 20
_ROWS = 1024
"""Training rows from which mean and spread are taken."""

_Array = np.ndarray[Any, Any]
_Values = dict[str, _Array]
_Pair = tuple[nn.Conv2d, nn.BatchNorm2d | None]


@torch.no_grad()
def load_onnx_weights(student: Student, path: Path) -> None:
    """Give a student the weights of an exported ONNX file of the same shape.

    Its batch norms do nothing afterwards; `recalibrate_batchnorm` must follow before it is trained.

    Args:
        student: fresh; changed in place.
        path: float or int8.

    Raises:
        BadArtifact: not such a file, or of another student.
    """
    onnx = require("onnx", "export")
    try:
        graph = onnx.load_model_from_string(read_bytes(path, BadArtifact, _MOST)).graph
        values = _constants(graph)
        layers, normal = list(_layers(graph, values)), _normalization(graph, values)
    except BadArtifact:
        raise
    except Exception as error:  # protobuf and numpy raise a dozen kinds on damaged files
        raise BadArtifact(
            f"{path}: not an ONNX file that edgeemo exported from a student "
            f"({one_line(error)}); give one, a student.pt, or the name of a shipped model"
        ) from None
    places = list(_places(student))
    names = {id(value): key for key, value in student.named_parameters()}
    for place, (weight, _) in zip(places, layers, strict=False):
        if place.weight.shape != weight.shape:
            key = names[id(place.weight)]
            raise other_shape(path, student, key, weight.shape, place.weight.shape)
    if len(places) != len(layers):
        raise BadArtifact(
            f"{path}: its {len(layers)} layers are not the {len(places)} of {student.name} with "
            f"the options {dict(student.options)}"
        )
    neutralize_batchnorm(student)
    for place, (weight, bias) in zip(places, layers, strict=True):
        place.weight.copy_(torch.from_numpy(weight))
        place.bias.copy_(torch.from_numpy(bias))
    if normal is not None:
        student.normalize_from(*(torch.tensor(values) for values in normal))


def other_shape(
    path: Path, student: Student, key: str, given: Sequence[int], expected: Sequence[int]
) -> BadArtifact:
    """The error for first weights of a student of another shape.

    Args:
        path: of the first weights.
        student: is to begin with them.
        key: name of the weights in the student.
        given: their shape in the file.
        expected: their shape in the student.
    """
    return BadArtifact(
        f"{path}: layer {key} has the shape {list(given)}, that of {student.name} "
        f"{list(expected)}; give $.student.name and $.student.options as the start has"
    )


@torch.no_grad()
def neutralize_batchnorm(student: Student) -> None:
    """Let batch norms do nothing but shift, as where they are part of the weights before them."""
    for _, norm in _pairs(student):
        _neutral(norm)
    student.folded = True


@torch.no_grad()
def recalibrate_batchnorm(student: Student, rows: Batches) -> None:
    """Give batch norms the statistics of the rows, without changing what is computed.

    Args:
        student: after `load_onnx_weights` or `neutralize_batchnorm`; changed in place.
        rows: the training rows.
    """
    moments: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {}

    def watch(module: nn.Module, given: Any, result: Tensor) -> None:
        moments.setdefault(module, []).append(
            (result.mean((0, 2, 3)), result.square().mean((0, 2, 3)))
        )

    pairs = [(conv, norm) for conv, norm in _pairs(student) if norm is not None]
    hooks = [conv.register_forward_hook(watch) for conv, _ in pairs]
    student.eval()
    picked = torch.arange(0, len(rows), max(1, len(rows) // _ROWS))
    for part in picked.split(64):
        batch = rows.batch(part)
        student(batch.features, batch.lengths)
    for hook in hooks:
        hook.remove()
    for conv, norm in pairs:
        mean, square = (torch.stack(values).mean(0) for values in zip(*moments[conv], strict=True))
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_((square - mean**2).clamp(min=0))
        norm.weight.copy_(torch.sqrt(norm.running_var + norm.eps))
        norm.bias.add_(mean)
    student.folded = False


@torch.no_grad()
def settle_batchnorm(student: Student, rows: Batches) -> None:
    """Give batch norms that were never trained the statistics of the rows.

    Without them a fresh student computes something else in evaluation than in training, and
    projections that were fitted to the one are a thousand times too large for the other.

    Args:
        student: changed in place if its batch norms have seen nothing.
        rows: the training rows.
    """
    norms = [m for m in student.modules() if isinstance(m, nn.BatchNorm2d)]
    if not norms or any(n.num_batches_tracked for n in norms):
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # the plain mean over all batches
    training = student.training
    student.train()
    picked = torch.arange(0, len(rows), max(1, len(rows) // _ROWS))
    for part in picked.split(64):
        batch = rows.batch(part)
        student(batch.features, batch.lengths)
    student.train(training)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _pairs(student: Student) -> list[_Pair]:
    """Convolutions in the order in which they run, each with the batch norm behind it, if any."""
    pairs: list[_Pair] = []
    for module in student.modules():
        if isinstance(module, nn.Conv2d):
            pairs.append((module, None))
        elif isinstance(module, nn.BatchNorm2d) and pairs:
            pairs[-1] = (pairs[-1][0], module)
    return pairs


class _Place(NamedTuple):
    """Where a layer of the file goes."""

    weight: Tensor
    bias: Tensor


def _places(student: Student) -> Iterator[_Place]:
    """Convolutions, then linear layers; the bias of the file is the shift of a batch norm."""
    for conv, norm in _pairs(student):
        yield _Place(conv.weight, (conv if norm is None else norm).bias)  # type: ignore[arg-type]
    for module in student.modules():
        if isinstance(module, nn.Linear):
            yield _Place(module.weight, module.bias)


def _neutral(norm: nn.BatchNorm2d | None) -> None:
    if norm is not None:
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)
        norm.weight.fill_(1)


def _layers(graph: Any, values: _Values) -> Iterator[tuple[_Array, _Array]]:
    """Weight and bias of each convolution, then of each linear layer, in order.

    Not of those that only the sounds need: what tells them is trained anew on any backbone.
    """
    needed = {output.name for output in graph.output if output.name != "sounds"}
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
    for kinds in (("Conv", "QLinearConv"), ("Gemm",)):
        for node in graph.node:
            if node.op_type in kinds and needed.intersection(node.output):
                weight, bias = _layer(node, values)
                yield weight.astype(np.float32), bias.astype(np.float32)


def _layer(node: Any, values: _Values) -> tuple[_Array, _Array]:
    if node.op_type == "QLinearConv":
        given = [values.get(name, np.zeros(0)).astype(np.float64) for name in node.input]
        zero, scale = (given[i].reshape(-1, 1, 1, 1) for i in (5, 4))
        return (given[3] - zero) * scale, given[8] * given[4] * given[1]
    weight = values[node.input[1]]
    return weight, values[node.input[2]] if len(node.input) > 2 else np.zeros(len(weight))


def _constants(graph: Any) -> _Values:
    """Everything that does not depend on the input, by name; int8 multiplied by its scale."""
    to_array = require("onnx.numpy_helper", "export").to_array
    values = {held.name: to_array(held) for held in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in values:
            whole, scale, zero = (values[name].astype(np.float64) for name in node.input)
            axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
            shape = [-1 if i == axis and scale.ndim else 1 for i in range(whole.ndim)]
            values[node.output[0]] = (whole - zero.reshape(shape)) * scale.reshape(shape)
    return values


def _normalization(graph: Any, values: _Values) -> tuple[_Array, _Array] | None:
    """Mean and standard deviation of the features, where the graph begins with them."""
    first = next((n for n in graph.node if n.op_type == "Sub" and n.input[0] == "features"), None)
    if first is None or first.input[1] not in values:
        return None
    second = next(node for node in graph.node if first.output[0] in node.input)
    factor = values[second.input[1]]
    return values[first.input[1]], factor if second.op_type == "Div" else 1 / factor
