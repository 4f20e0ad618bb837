"""ONNX graphs: from a student, joined with the front end, made small."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeemo.compress.students import Student
from edgeemo.compress.students.cost import input_shape
from edgeemo.errors import require
from edgeemo.features import FeatureSpec
from edgeemo.vision.images import ImageSpec

from .frontend import LogMelGraph
from .fused import fuse_convolutions, spell_out_prelu
from .outputs import Outputs
from .streaming import Step

OPSET = 17
IR_VERSION = 8  # what opset 17 came with; older runtimes read it

onnx: Any = require("onnx", "export")


def student_graph(student: Student, temperature: float, frames: int = 200) -> Any:
    """The student as an ONNX model: "features" [1, frames, bands] to its outputs.

    A student of faces takes "image" [1, size, size, channels].

    Args:
        student: in evaluation mode, on the CPU.
        temperature: what class logits are divided by before the softmax.
        frames: length of the example; the axis is free in the graph.
    """
    example, name = torch.zeros(input_shape(student, frames)), input_name(student)
    free: dict[str, dict[int, str]] = {} if name == "image" else {name: {1: "time"}}
    model = Outputs(student, temperature).eval()
    return trace(model, (example,), [name], model.names, free)


def input_name(student: Student) -> Literal["image", "features"]:
    """What the input of an artifact is called."""
    return "image" if isinstance(student.spec, ImageSpec) else "features"


def step_graph(step: Step) -> Any:
    """A step of a causal student as an ONNX model, one hop a call; see Step for its ends."""
    return trace(step.eval(), step.examples(), step.inputs, step.outputs, {})


def frontend_graph(spec: FeatureSpec) -> Any:
    """A front end as an ONNX model: "samples" [1, n] to "features"."""
    example = torch.zeros(1, spec.window + 20 * spec.hop)
    # Folding would turn the small tables of the front end into the big matrices they stand for.
    return trace(
        LogMelGraph(spec).eval(),
        (example,),
        ["samples"],
        ["features"],
        {"samples": {1: "time"}},
        fold=False,
    )


def join(first: Any, second: Any) -> Any:
    """One model: the outputs of `first` feed the inputs of the same name of `second`.

    Args:
        first: an ONNX model.
        second: an ONNX model; all of its inputs are outputs of `first`.
    """
    from onnx import compose

    shared = [(v.name, v.name) for v in second.graph.input]
    # The maps pair names, so those may not be prefixed; everything else of `first` is.
    first = compose.add_prefix(first, "front_", rename_inputs=False, rename_outputs=False)
    return compose.merge_models(first, second, io_map=shared)


def trace(
    model: nn.Module,
    examples: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    axes: Mapping[str, Mapping[int, str]],
    fold: bool = True,
) -> Any:
    """A module as an ONNX model.

    Args:
        model: in evaluation mode, on the CPU.
        examples: an example of each input.
        inputs: names of the inputs.
        outputs: names of the outputs.
        axes: by name of an input or output, its axes of any length and what they are called.
        fold: compute at once what needs no input. Off for a graph whose small constants stand for
            big ones, or whose weights are int8 and would become float.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # The tracing exporter is deprecated, and the only one that exports quantizers too. Its
        # warnings about shapes are about the time axis, which the parity check exercises.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            examples,
            buffer,  # type: ignore[arg-type]  # the tracer writes into it
            dynamo=False,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={name: dict(free) for name, free in axes.items()},
            do_constant_folding=fold,
        )
    made = onnx.load_from_string(buffer.getvalue())
    made.ir_version = IR_VERSION
    if fold:
        fold_constants(made.graph)
        pads_into_convolutions(made.graph)
        _drop_unused(made.graph)
    return made


def fold_constants(graph: Any) -> None:
    """Replace nodes that compute from constants alone by what they compute, in place.

    The tracer leaves eight nodes for the widths of one padding, and a quantizer would not see
    through them.
    """
    from onnx import numpy_helper
    from onnx.reference import ReferenceEvaluator

    known = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    known[""] = np.zeros(0)  # an input that is left out
    for node in list(graph.node):
        if not all(name in known for name in node.input):
            continue
        given = {name: known[name] for name in node.input if name}
        for name, value in zip(node.output, ReferenceEvaluator(node).run(None, given), strict=True):
            known[name] = np.asarray(value)
            graph.initializer.append(numpy_helper.from_array(known[name], name))
        graph.node.remove(node)


def pads_into_convolutions(graph: Any) -> None:
    """Let convolutions do the zero padding that stands before them, in place."""
    from onnx import numpy_helper

    known = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    readers = [name for node in graph.node for name in node.input]
    pads = {n.output[0]: n for n in graph.node if n.op_type == "Pad"}
    for node in graph.node:
        pad = pads.get(node.input[0]) if node.op_type == "Conv" else None
        if pad is None or readers.count(pad.output[0]) != 1 or not _zeros(pad, known):
            continue
        widths = known[pad.input[1]]
        rank = len(widths) // 2
        # Batch and channels come first; a convolution pads the axes behind them alone.
        if widths[:2].any() or widths[rank : rank + 2].any():
            continue
        spatial = [*widths[2:rank], *widths[rank + 2 :]]
        own = next(a for a in node.attribute if a.name == "pads")
        own.ints[:] = [int(a + b) for a, b in zip(own.ints, spatial, strict=True)]
        node.input[0] = pad.input[0]


def _zeros(pad: Any, known: dict[str, NDArray[Any]]) -> bool:
    """True for a padding of constant width with zeros."""
    mode = next((a.s for a in pad.attribute if a.name == "mode"), b"constant")
    value = known.get(pad.input[2], np.ones(1)) if len(pad.input) > 2 and pad.input[2] else 0
    axes = len(pad.input) > 3  # a list of axes, which the tracer does not write
    return mode == b"constant" and not np.any(value) and pad.input[1] in known and not axes


def shrink(model: Any) -> None:
    """Make a model small and fast, in place; what it computes does not change.

    Int8 convolutions and equal constants become one, PReLU becomes four operators, names become
    short, and all that only describes (names of layers, shapes of inner values, stack traces,
    metadata, the card) or is what a reader assumes goes.
    """
    _constants_to_initializers(model.graph)
    fuse_convolutions(model.graph)
    spell_out_prelu(model.graph)
    _merge_initializers(model.graph)
    _drop_unused(model.graph)
    _drop_defaults(model.graph)
    _short_names(model)
    del model.metadata_props[:]
    model.DiscardUnknownFields()
    model.producer_name, model.producer_version, model.doc_string = "edgeemo", "", ""
    model.graph.name, model.graph.doc_string = "edgeemo", ""
    # Ours is the default domain alone; a quantizer may have announced others without using them.
    opset = max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    del model.opset_import[:]
    model.opset_import.add(domain="", version=opset)


def _constants_to_initializers(graph: Any) -> None:
    for node in [n for n in graph.node if n.op_type == "Constant"]:
        value = next((a.t for a in node.attribute if a.name == "value"), None)
        if value is not None:
            tensor = graph.initializer.add()
            tensor.CopyFrom(value)
            tensor.name = node.output[0]
            graph.node.remove(node)


def _merge_initializers(graph: Any) -> None:
    """One name for tensors of equal type, shape and bytes."""
    from onnx import numpy_helper

    kept: dict[tuple[Any, ...], str] = {}
    same: dict[str, str] = {}
    for tensor in list(graph.initializer):
        # One way of storing: the exporters use three, and raw bytes are the smallest.
        values = numpy_helper.to_array(tensor)
        plain = numpy_helper.from_array(np.asarray(values, order="C"), tensor.name)
        plain.data_type = tensor.data_type
        tensor.CopyFrom(plain)
        key = (tensor.data_type, tuple(tensor.dims), tensor.raw_data)
        same[tensor.name] = kept.setdefault(key, tensor.name)
        if same[tensor.name] != tensor.name:
            graph.initializer.remove(tensor)
    for node in graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]


def _drop_defaults(graph: Any) -> None:
    """Remove attributes that say what a reader takes for granted without them."""
    from onnx import defs, helper

    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear":
            shapes[node.output[0]] = shapes.get(node.input[0], [])
        usual = {
            name: helper.get_attribute_value(known.default_value)
            for name, known in defs.get_schema(node.op_type, OPSET).attributes.items()
            if known.default_value.name
        }
        at = {"Conv": 1, "QLinearConv": 3}.get(node.op_type)
        if at is not None and (kernel := shapes.get(node.input[at], [])[2:]):
            ones = [1] * len(kernel)
            usual |= {"kernel_shape": kernel, "strides": ones, "dilations": ones}
            usual["pads"] = [0] * 2 * len(kernel)
        for attribute in list(node.attribute):
            if usual.get(attribute.name) == helper.get_attribute_value(attribute):
                node.attribute.remove(attribute)


def _drop_unused(graph: Any) -> None:
    """Remove nodes and constants that no output needs."""
    needed = {v.name for v in graph.output}
    for node in reversed(list(graph.node)):
        if needed.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            needed.update(node.input)
    for tensor in [t for t in graph.initializer if t.name not in needed]:
        graph.initializer.remove(tensor)


def _short_names(model: Any) -> None:
    graph = model.graph
    keep = {v.name for v in [*graph.input, *graph.output]} | {""}
    used = Counter(tensor.name for tensor in graph.initializer)
    for node in graph.node:
        used.update([*node.input, *node.output])
    # The shortest for those that stand most often in the file.
    often = [name for name, _ in used.most_common() if name not in keep]
    names: dict[str, str] = dict(zip(often, _shorts(keep), strict=False))

    def rename(name: str) -> str:
        return names.get(name, name)

    for node in graph.node:
        node.name = node.doc_string = ""
        del node.metadata_props[:]
        node.input[:] = [rename(n) for n in node.input]
        node.output[:] = [rename(n) for n in node.output]
    for tensor in graph.initializer:
        tensor.name, tensor.doc_string = rename(tensor.name), ""
    for field in (graph.value_info, graph.metadata_props, graph.quantization_annotation):
        del field[:]


def _shorts(taken: set[str]) -> Iterator[str]:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    length = 1
    while True:
        for number in range(len(letters) ** length):
            name = ""
            for _ in range(length):
                number, digit = divmod(number, len(letters))
                name += letters[digit]
            if name not in taken:
                yield name
        length += 1
