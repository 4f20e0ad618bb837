"""TFLite graphs: from a student, tidied so that small engines can run them.

Time is the height of the picture and channels come last, [1, frames, bands, channels], from the
first layer to the last. What `litert_torch` leaves around the first convolution (reshapes, the
normalisation of the bands in two steps, paddings in two steps) is replaced here.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeemo.compress.students import Student
from edgeemo.compress.students.cost import input_shape
from edgeemo.errors import BadArtifact, require
from edgeemo.quiet import quiet as descriptor_quiet

from .graph import input_name
from .outputs import Outputs, output_names
from .streaming import Step, StepPicture
from .tflite_pack import schema, unpack

FRAMES = 300
"""Frames that a file's shapes are written for; LiteRT resizes them to a clip's."""

OPERATORS = (
    "ADD",
    "AVERAGE_POOL_2D",
    "BATCH_MATMUL",
    "CONCATENATION",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "HARD_SWISH",
    "LOGISTIC",
    "MAX_POOL_2D",
    "MEAN",
    "MUL",
    "PAD",
    "QUANTIZE",
    "RESHAPE",
    "SLICE",
    "SOFTMAX",
    "STRIDED_SLICE",
    "SUB",
    "SUM",
    "TRANSPOSE",
)
"""What a file may use: all of it runs in int8 in LiteRT and in TensorFlow Lite Micro."""

_NAMES = {v: k for k, v in vars(schema.BuiltinOperator).items() if not k.startswith("_")}


class _Picture(nn.Module):
    """Features as a picture of one channel, [1, frames, bands, 1], to an artifact's outputs."""

    def __init__(self, outputs: nn.Module) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, features: Tensor) -> Any:
        return self.outputs(features[..., 0])


def student_model(student: Student, temperature: float, frames: int = FRAMES) -> Any:
    """The student as a float TFLite model: "features" [1, frames, bands, 1] to its outputs.

    Args:
        student: in evaluation mode, on the CPU.
        temperature: what class logits are divided by before the softmax.
        frames: length that the shapes are written for.

    Returns:
        The model's objects; names of inner values tell the layer.
    """
    outputs: nn.Module = Outputs(student, temperature)
    shape = input_shape(student, frames)
    if input_name(student) == "features":
        outputs, shape = _Picture(outputs), (*shape, 1)
    model = convert(outputs.eval(), (torch.zeros(shape),))
    name_ends(model, [input_name(student)], output_names(student))
    tidy(model)
    return model


def step_model(step: Step) -> Any:
    """A step of a causal student as a float TFLite model, one hop a call.

    Inputs "features" [1, hop, bands, 1], "mean" [1, pooled], "state0" [1, frames, bands, channels]
    and so on; outputs "adv", "probs" (if there), "token" [1, pooled], "next0" and so on.
    """
    picture = StepPicture(step).eval()
    model = convert(picture, picture.examples())
    name_ends(model, step.inputs, step.outputs)
    tidy(model)
    return model


def convert(module: nn.Module, examples: tuple[Tensor, ...]) -> Any:
    """A module as the objects of a float TFLite model.

    Args:
        module: in evaluation mode.
        examples: an example of each input.
    """
    with quiet():
        litert = require("litert_torch", "export")
        return unpack(litert.convert(module, examples).model_content())


def operators(model: Any) -> list[str]:
    """Names of the operators of the first graph, in order."""
    return [name_of(model, op) for op in model.subgraphs[0].operators]


def name_of(model: Any, op: Any) -> str:
    """Name of an operator, for example "CONV_2D".

    Args:
        model: objects of a TFLite model.
        op: an operator of its first graph.
    """
    code = model.operatorCodes[op.opcodeIndex]
    return str(_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)])


def check_operators(model: Any) -> None:
    """Refuse what a target lacks.

    Raises:
        BadArtifact: names the operator and the layer it comes from.
    """
    graph = model.subgraphs[0]
    for op, name in zip(graph.operators, operators(model), strict=True):
        if name not in OPERATORS:
            layer = layer_of(graph.tensors[op.outputs[0]].name)
            raise BadArtifact(
                f"layer {layer}: the operator {name} has no int8 form in TensorFlow Lite Micro; "
                f"build the layer of: {', '.join(OPERATORS)}"
            )


def layer_of(name: bytes) -> str:
    """A tensor's place in the student: the converter's name without types."""
    last = name.decode("utf-8", "replace").split(";")[0]
    return ".".join(part.rsplit("_", 1)[-1] for part in last.split("/")[1:]) or last


def name_ends(model: Any, inputs: list[str], outputs: list[str]) -> None:
    """Give a graph's inputs and outputs names, in the graph and in its signature.

    Args:
        model: objects of a TFLite model; changed in place.
        inputs: names, in order.
        outputs: names, in order.
    """
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    ends = ((graph.inputs, inputs, signature.inputs), (graph.outputs, outputs, signature.outputs))
    for tensors, names, pairs in ends:
        for tensor, name in zip(tensors, names, strict=True):
            graph.tensors[tensor].name = name.encode()
            pair = next(p for p in pairs if p.tensorIndex == tensor)
            pair.name = name.encode()


def tidy(model: Any) -> None:
    """Rewrite what stands before the first convolution, and join what can be one, in place."""
    graph = _Graph(model)
    graph.straighten_head()
    graph.join_pads()
    graph.join_turns()


class _Graph:
    """The first graph of a model, to be changed."""

    def __init__(self, model: Any) -> None:
        self.model, self.graph = model, model.subgraphs[0]

    def value(self, index: int) -> NDArray[Any] | None:
        """A constant, or None for what is computed."""
        tensor = self.graph.tensors[index]
        data = self.model.buffers[tensor.buffer].data
        if data is None or not len(data):
            return None
        kind = {
            schema.TensorType.FLOAT32: np.float32,
            schema.TensorType.INT32: np.int32,
            schema.TensorType.INT64: np.int64,
        }[tensor.type]
        return np.asarray(data, np.uint8).view(kind).reshape(tensor.shape)

    def constant(self, values: NDArray[Any], name: str) -> int:
        """Add a constant."""
        kinds = {"float32": schema.TensorType.FLOAT32, "int32": schema.TensorType.INT32}
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        at = len(self.model.buffers) - 1
        return self._tensor(values.shape, kinds[values.dtype.name], name, at)

    def activation(self, shape: tuple[int, ...], name: str) -> int:
        """Add a value that an operator makes."""
        return self._tensor(shape, schema.TensorType.FLOAT32, name, 0)

    def operator(self, name: str, inputs: list[int], outputs: list[int], options: Any) -> Any:
        """An operator, not yet in the graph."""
        code = getattr(schema.BuiltinOperator, name)
        known = [max(c.builtinCode, c.deprecatedBuiltinCode) for c in self.model.operatorCodes]
        if code not in known:
            made = schema.OperatorCodeT()
            made.builtinCode, made.deprecatedBuiltinCode, made.version = code, min(code, 127), 1
            self.model.operatorCodes.append(made)
            known.append(code)
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = known.index(code), inputs, outputs
        kind = type(options).__name__.removesuffix("T")
        op.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        op.builtinOptions = options
        return op

    def straighten_head(self) -> None:
        """From the input to the first layer that is more than arithmetic, without detours.

        The converter works on [1, frames, bands] and [1, 1, frames, bands] there. A scale and an
        offset of each band become one depthwise convolution over bands as channels: one rounding,
        and a scale of its own for each band.
        """
        start = at = self.graph.inputs[0]
        bands = int(self.graph.tensors[at].shape[2])
        scale, offset = np.ones(bands, np.float32), np.zeros(bands, np.float32)
        pad, chain = np.zeros(4, np.int32), []
        while True:
            readers = [op for op in self.graph.operators if at in op.inputs]
            name = name_of(self.model, readers[0]) if len(readers) == 1 else ""
            if name not in ("RESHAPE", "SUB", "MUL", "ADD", "PAD"):
                break
            others = [self.value(i) for i in readers[0].inputs if i != at]
            if len(others) != 1 or others[0] is None:
                break
            other = others[0]
            if name == "PAD":
                time = _time_axis(self.graph.tensors[at].shape)
                pad += other[time : time + 2].reshape(4).astype(np.int32)
            elif name != "RESHAPE":
                each = np.broadcast_to(other.reshape(-1), (bands,))
                scale, offset = {
                    "SUB": (scale, offset - each),
                    "ADD": (scale, offset + each),
                    "MUL": (scale * each, offset * each),
                }[name]
            chain.append(readers[0])
            at = readers[0].outputs[0]
        if chain:
            self._rebuild_head(start, chain, scale, offset, pad)

    def _rebuild_head(
        self,
        start: int,
        chain: list[Any],
        scale: NDArray[Any],
        offset: NDArray[Any],
        pad: NDArray[Any],
    ) -> None:
        last, at, made = chain[-1].outputs[0], start, []
        _, frames, bands, _ = (int(n) for n in self.graph.tensors[start].shape)
        shape = [int(n) for n in self.graph.tensors[last].shape]
        time = _time_axis(shape)
        shape[time], shape[time + 1] = frames, bands
        sizes = [-1 if axis == time else n for axis, n in enumerate(shape)]
        if (scale != 1).any() or offset.any():
            flat = self.activation((1, frames, 1, bands), "bands as channels")
            scaled = self.activation((1, frames, 1, bands), "normalized channels")
            made += [
                self._reshape(at, flat, [1, -1, 1, bands]),
                self._scale(flat, scaled, scale, offset),
            ]
            at = scaled
        if shape != [int(n) for n in self.graph.tensors[at].shape]:
            straight = self.activation(tuple(shape), "normalized")
            made.append(self._reshape(at, straight, sizes))
            at = straight
        if pad.any():
            widths = np.zeros((len(shape), 2), np.int32)
            widths[time : time + 2] = pad.reshape(2, 2)
            padded = self.activation(tuple(np.add(shape, widths.sum(1)).tolist()), "padded")
            made.append(
                self.operator(
                    "PAD", [at, self.constant(widths, "pad")], [padded], schema.PadOptionsT()
                )
            )
            at = padded
        first = self.graph.operators.index(chain[0])
        rest = [op for op in self.graph.operators if op not in chain]
        for op in rest:
            op.inputs = [at if i == last else i for i in op.inputs]
        self.graph.operators = rest[:first] + made + rest[first:]

    def _reshape(self, at: int, to: int, shape: list[int]) -> Any:
        options = schema.ReshapeOptionsT()
        options.newShape = np.array(shape, np.int32)
        # -1: the number of frames is the caller's.
        sizes = self.constant(np.array(shape, np.int32), f"shape {to}")
        return self.operator("RESHAPE", [at, sizes], [to], options)

    def _scale(self, at: int, to: int, scale: NDArray[Any], offset: NDArray[Any]) -> Any:
        options = schema.DepthwiseConv2DOptionsT()
        options.padding = schema.Padding.VALID
        options.strideH = options.strideW = options.depthMultiplier = 1
        options.dilationHFactor = options.dilationWFactor = 1
        weights = self.constant(scale.reshape(1, 1, 1, -1).astype(np.float32), "scale of bands")
        bias = self.constant(offset.astype(np.float32), "offset of bands")
        return self.operator("DEPTHWISE_CONV_2D", [at, weights, bias], [to], options)

    def join_pads(self) -> None:
        """One padding for two that follow each other: time first, then bands."""
        ops = self.graph.operators
        readers = [i for op in ops for i in op.inputs]
        pads = {op.outputs[0]: op for op in ops if name_of(self.model, op) == "PAD"}
        for second in list(pads.values()):
            first = pads.get(second.inputs[0])
            if first is None or readers.count(second.inputs[0]) != 1:
                continue
            widths = [self.value(op.inputs[1]) for op in (first, second)]
            assert widths[0] is not None and widths[1] is not None
            total = (widths[0] + widths[1]).astype(np.int32)
            second.inputs = [first.inputs[0], self.constant(total, f"pad {second.outputs[0]}")]
            ops.remove(first)

    def join_turns(self) -> None:
        """One transposition for one and a reshape that only moves axes of length 1.

        The reshape would write down how many frames there are.
        """
        ops = self.graph.operators
        turns = {op.outputs[0]: op for op in ops if name_of(self.model, op) == "TRANSPOSE"}
        for op in [op for op in ops if name_of(self.model, op) == "RESHAPE"]:
            turn = turns.get(op.inputs[0])
            if turn is None:
                continue
            order = self.value(turn.inputs[1])
            assert order is not None
            start, end = (self.graph.tensors[i].shape for i in (turn.inputs[0], op.outputs[0]))
            ones = [a for a in order if start[a] == 1]
            others = [a for a in order if start[a] != 1]
            if len(start) == len(end) and [start[a] for a in others] == [n for n in end if n != 1]:
                joined = [(ones if n == 1 else others).pop(0) for n in end]
                made = self.constant(np.array(joined, np.int32), f"order {op.outputs[0]}")
                turn.inputs, turn.outputs = [turn.inputs[0], made], op.outputs
                ops.remove(op)

    def _tensor(self, shape: tuple[int, ...], kind: int, name: str, buffer: int) -> int:
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = list(shape), kind, buffer
        tensor.name = f"{name} {len(self.graph.tensors)}".encode()
        tensor.quantization = schema.QuantizationParametersT()
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1


def _time_axis(shape: Any) -> int:
    """Which axis is time, in [1, time, bands], [1, 1, time, bands] or [1, time, bands, 1]."""
    return len(shape) - 2 if len(shape) == 3 or int(shape[-1]) != 1 else 1


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what the converter's libraries print and warn of, and the handler they install."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    nowhere = io.StringIO()
    try:
        with (
            descriptor_quiet(),  # what C++ writes; around the others, so that it finds sys.stderr
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
            warnings.catch_warnings(),
        ):
            # Of the converter about its own use of torch.
            warnings.simplefilter("ignore")
            yield
    finally:
        root.handlers[:], root.level = handlers, level
