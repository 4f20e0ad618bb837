"""What each operator of a TFLite graph must be given, and the shape that it makes of it.

The runtimes take a file at its word: a constant that is none, weights of another rank, scales too
far apart or a padding that is negative end in an aborted process or in gigabytes. So each operator
has a row here: what its inputs are, what its options may be, which shape follows; the scales and
their ratios stay within what the kernels can represent.

Sources: tensorflow/lite/schema/schema.fbs, and the `Prepare` functions of tensorflow/lite/kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edgeemo.artifacts import tflite_shapes as shapes_of
from edgeemo.artifacts.budget import check_cost, check_lengths
from edgeemo.artifacts.card import Card
from edgeemo.artifacts.step_model import lacking
from edgeemo.artifacts.tflite_graph import Graph, Operator, Tensor
from edgeemo.artifacts.tflite_shapes import Shape, Step
from edgeemo.errors import BadArtifact

_BYTES = {"float32": 4, "int4": 1, "int8": 1, "int16": 2, "int32": 4, "int64": 8}
_SCALES = 1e-10, 1e10
# Of an output's scale and those that it is made from: LiteRT's fixed-point numbers abort beyond.
# Weights that training has left at 0 have tiny scales.
_RATIOS = 2.0**-100, 2.0**16  # int8 to int16 multiplies by 256 and a little
_MOST_LENGTH = 2**24


# ---- the table ----


@dataclass(frozen=True)
class _Row:
    """An operator's row.

    Attributes:
        inputs: a letter for each: "a" activation, "w" weights, "b" biases (may be left out),
            "B" biases that must be there, "i" a constant of whole numbers; "+" behind "a" for one
            or more.
        shape: what it makes.
        ratio: from the scales of all activations and weights to the number that must be within
            _RATIOS; "same" where input and output must have one quantization.
    """

    inputs: str
    shape: Callable[[Step], Shape]
    ratio: str = "product"


TABLE: Mapping[str, _Row] = {
    "ADD": _Row("aa", shapes_of.elementwise, "each"),
    "AVERAGE_POOL_2D": _Row("a", shapes_of.pool, "same"),
    "BATCH_MATMUL": _Row("aa", shapes_of.batch_matmul),
    "CONCATENATION": _Row("a+", shapes_of.concatenate, "same"),
    "CONV_2D": _Row("awb", shapes_of.conv),
    "DEPTHWISE_CONV_2D": _Row("awB", shapes_of.depthwise),  # LiteRT 2.3 reads them in any case
    "FULLY_CONNECTED": _Row("awb", shapes_of.fully_connected),
    "HARD_SWISH": _Row("a", shapes_of.same, "each"),
    "LOGISTIC": _Row("a", shapes_of.same, "none"),
    "MAX_POOL_2D": _Row("a", shapes_of.pool, "same"),
    "MEAN": _Row("ai", shapes_of.reduce, "each"),
    "MUL": _Row("aa", shapes_of.elementwise),
    "PAD": _Row("ai", shapes_of.pad, "same"),
    "QUANTIZE": _Row("a", shapes_of.same, "each"),
    "RELU": _Row("a", shapes_of.same, "each"),
    "RELU6": _Row("a", shapes_of.same, "each"),
    "RESHAPE": _Row("ai", shapes_of.reshape, "same"),
    "SLICE": _Row("aii", shapes_of.slice_of, "same"),
    "SOFTMAX": _Row("a", shapes_of.softmax, "none"),
    "STRIDED_SLICE": _Row("aiii", shapes_of.strided_slice, "same"),
    "SUB": _Row("aa", shapes_of.elementwise, "each"),
    "SUM": _Row("ai", shapes_of.reduce, "each"),
    "TRANSPOSE": _Row("ai", shapes_of.transpose, "same"),
}
"""What operators are given, by name."""


def check_operators(graph: Graph, card: Card) -> None:
    """Hold all operators to their rows, and the whole to bounds of memory and work.

    Args:
        graph: of the whole file.
        card: of the same file.

    Raises:
        BadArtifact: the message names the operator and what is wrong with it.
    """
    for i in graph.inputs:
        _check_activation(graph.tensors[i], "the input")
        if graph.tensors[i].data is not None:
            raise BadArtifact("an input that is a constant")
    for operator in graph.operators:
        _check_inputs(graph, operator)
    number = _check_ports(graph, card)
    given = {i: graph.tensors[i].shape for i in graph.inputs}
    for made, shape in _infer(graph, card, given, given[number][1]).items():
        said = graph.tensors[made].shape
        if said != shape:
            raise BadArtifact(f"a tensor of the shape {said}; its operator makes {shape}")

    def measure(length: int) -> None:
        shape = given[number]
        _infer(graph, card, given | {number: (*shape[:1], length, *shape[2:])}, length)

    check_lengths(card, measure)


def _check_ports(graph: Graph, card: Card) -> int:
    """Hold inputs and outputs to the card; the number of the input that the card names."""
    inputs = {graph.tensors[i].name: i for i in graph.inputs}
    outputs = {graph.tensors[i].name: graph.tensors[i].shape for i in graph.outputs}
    shapes = {name: graph.tensors[i].shape for name, i in inputs.items()}
    wanted = card.shape if card.input == "image" else (*card.shape, 1)
    found = shapes.get(card.input, ())
    fits = len(found) == len(wanted) and all(
        want in (None, have) for want, have in zip(wanted, found, strict=True)
    )
    if not fits or (len(graph.inputs) > 1 and not card.hop):
        raise BadArtifact(
            f"inputs {shapes!r:.200}; the card promises {card.input}, {list(wanted)}, alone"
        )
    missing = lacking(inputs, outputs) if card.hop else []
    missing += [o.name for o in card.outputs if o.name not in outputs]
    if missing:
        raise BadArtifact(f"without {', '.join(missing)[:200]}, which the card promises")
    for output in card.outputs:
        if outputs[output.name] != (1, len(output.labels)):
            raise BadArtifact(
                f"output {output.name} has shape {outputs[output.name]}; "
                f"the card promises {(1, len(output.labels))}"
            )
    return inputs[card.input]


def _infer(graph: Graph, card: Card, given: dict[int, Shape], length: int) -> dict[int, Shape]:
    """Shapes of all values for given inputs; refused if they cost too much."""
    shapes = dict(given)
    constants = {i: t.shape for i, t in enumerate(graph.tensors) if t.data is not None}
    steps: list[tuple[Sequence[object], Sequence[object]]] = []
    sizes: dict[object, int] = {}
    work = 0
    for at, operator in enumerate(graph.operators):
        numbers = [i for i in operator.inputs if i >= 0]
        step = Step(
            operator,
            [graph.tensors[i] for i in numbers],
            [constants[i] if i in constants else shapes[i] for i in numbers],
        )
        made = TABLE[operator.name].shape(step)
        if any(not 0 < n < _MOST_LENGTH for n in made) or math.prod(made) >= 2**31:
            raise step.fault(f"an output of the shape {made}")
        shapes[operator.outputs[0]] = made
        terms = _terms(step)
        work += math.prod(made) * terms
        # Kernels of other sizes than 1 may be run on a copy with a row for each position.
        copied = operator.name == "CONV_2D" and step.shapes[1][1:3] != (1, 1)
        sizes[f"copy {at}"] = math.prod(made[:-1]) * terms * 4 if copied else 0
        steps.append((numbers, [operator.outputs[0], f"copy {at}"]))
    sizes |= {
        i: math.prod(shape) * _BYTES[graph.tensors[i].dtype]
        for i, shape in (shapes | constants).items()
    }
    check_cost(card, length, steps, sizes, {*given, *graph.outputs, *constants}, work)
    return shapes


def _terms(step: Step) -> int:
    """Products in one value of the output."""
    name, shapes = step.operator.name, step.shapes
    if name in ("CONV_2D", "FULLY_CONNECTED"):
        return math.prod(shapes[1][1:])
    if name == "DEPTHWISE_CONV_2D":
        return math.prod(shapes[1][1:3])
    if name == "BATCH_MATMUL":
        return max(shapes[0][-2:])
    if name.endswith("POOL_2D"):
        return step.option("kernel_rows") * step.option("kernel_columns")
    return 1


# ---- kinds and scales ----


def _check_inputs(graph: Graph, operator: Operator) -> None:
    row = TABLE[operator.name]
    letters = row.inputs
    if letters == "a+":
        letters = "a" * len(operator.inputs)
    numbers = list(operator.inputs)
    if letters.endswith(("b", "B")) and len(numbers) == len(letters) - 1:
        numbers.append(-1)
    if len(numbers) != len(letters) or not numbers or len(operator.outputs) != 1:
        raise BadArtifact(
            f"{operator.name} with {len(operator.inputs)} inputs and "
            f"{len(operator.outputs)} outputs"
        )
    made = graph.tensors[operator.outputs[0]]
    _check_activation(made, f"an output of {operator.name}")
    for letter, number in zip(letters, numbers, strict=True):
        if number < 0:
            if letter != "b":
                raise BadArtifact(f"{operator.name} without one of its inputs")
            continue
        _check_input(operator, letter.lower(), graph.tensors[number], made)
    if made.data is not None or all(graph.tensors[i].data is not None for i in numbers if i >= 0):
        raise BadArtifact(f"{operator.name} of constants alone")
    if not 0 <= int(operator.options.get("activation", 0)) <= 3:
        raise BadArtifact(f"{operator.name} with the activation {operator.options['activation']}")
    if not 0 <= int(operator.options.get("padding", 0)) <= 1:
        raise BadArtifact(f"{operator.name} with the padding {operator.options['padding']}")
    tensors = [graph.tensors[i] for i in numbers if i >= 0]
    if made.dtype != "float32" and len(tensors[0].scales):
        _check_ratios(operator, row, tensors, made)


def _check_activation(tensor: Tensor, what: str) -> None:
    scales, zeros = tensor.scales, tensor.zeros
    if tensor.dtype == "float32":
        fits = not len(scales)
    else:
        low, high = (0, 0) if tensor.dtype == "int16" else (-128, 127)
        fits = tensor.dtype in ("int8", "int16") and len(scales) == 1
        fits = fits and _SCALES[0] <= scales[0] <= _SCALES[1] and low <= zeros[0] <= high
    if not fits:
        raise BadArtifact(
            f"{what} is {tensor.dtype} with the scales {scales[:4].tolist()} and zero points "
            f"{zeros[:4].tolist()}"
        )


def _check_input(operator: Operator, letter: str, tensor: Tensor, made: Tensor) -> None:
    name = operator.name
    if letter == "a":
        _check_activation(tensor, f"an input of {name}")
        if tensor.dtype != made.dtype and name != "QUANTIZE":
            raise BadArtifact(f"{name} from {tensor.dtype} to {made.dtype}")
        if name == "QUANTIZE" and "float32" in (tensor.dtype, made.dtype):
            raise BadArtifact(f"{name} from {tensor.dtype} to {made.dtype}")
        return
    whole = made.dtype != "float32"
    wide = "int64" if made.dtype == "int16" else "int32"
    dtype = {"w": "int8" if whole else "float32", "b": wide if whole else "float32", "i": "int32"}
    four_bits = tensor.dtype == "int4" and letter == "w" and whole and name == "CONV_2D"
    if tensor.data is None or not (tensor.dtype == dtype[letter] or four_bits):
        raise BadArtifact(f"{name}: {dtype[letter]} constants are expected, not {tensor.dtype}")
    if letter == "i" or not whole:
        if len(tensor.scales):
            raise BadArtifact(f"{name}: a constant of {tensor.dtype} has scales")
        return
    channels = made.shape[-1] if made.shape else 0
    axis = tensor.shape.index(channels) if channels in tensor.shape else 0
    axis = (
        {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}[name]
        if letter == "w"
        else axis
    )
    # Of a convolution no kernel asks for the scales of biases; files with int4 weights have none.
    bare = letter == "b" and name == "CONV_2D" and not len(tensor.scales)
    if not bare and (len(tensor.scales) not in (1, channels) or tensor.zeros.any()):
        raise BadArtifact(f"{name}: {len(tensor.scales)} scales for {channels} channels")
    if len(tensor.scales) > 1 and tensor.axis != axis:
        raise BadArtifact(f"{name}: scales along the axis {tensor.axis}")
    if letter == "b" and tensor.shape != (channels,):
        raise BadArtifact(f"{name}: biases of the shape {tensor.shape} for {channels} channels")


def _check_ratios(operator: Operator, row: _Row, tensors: list[Tensor], made: Tensor) -> None:
    out = float(made.scales[0])
    acts = [
        t
        for t, letter in zip(tensors, row.inputs.replace("+", "a" * 64), strict=False)
        if letter == "a"
    ]
    if row.ratio == "same":
        if any(t.scales[0] != made.scales[0] or t.zeros[0] != made.zeros[0] for t in acts):
            raise BadArtifact(f"{operator.name} with another scale or zero point behind it")
        return
    ratios: list[float] = []
    if row.ratio == "each":
        ratios = [float(t.scales[0]) / out for t in acts]
    elif row.ratio == "product":
        first = math.prod(float(t.scales[0]) for t in acts) / out
        weights = tensors[1].scales.tolist() if row.inputs[1:2] == "w" else [1.0]
        ratios = [first * float(w) for w in weights]
    most = 64.0 if operator.name == "HARD_SWISH" else _RATIOS[1]
    wrong = [r for r in ratios if not _RATIOS[0] <= r <= most]
    if wrong:
        raise BadArtifact(
            f"{operator.name} multiplies by {wrong[0]:g}; its scales are too far apart"
        )
