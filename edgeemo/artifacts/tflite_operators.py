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

from edgeemo.artifacts.budget import check_cost, check_lengths
from edgeemo.artifacts.card import Card
from edgeemo.artifacts.tflite_graph import SAME, Graph, Operator, Tensor
from edgeemo.errors import BadArtifact

Shape = tuple[int, ...]

_BYTES = {"float32": 4, "int8": 1, "int16": 2, "int32": 4, "int64": 8}
_SCALES = 1e-10, 1e10
# Of an output's scale and those that it is made from: LiteRT's fixed-point numbers abort beyond.
# Weights that training has left at 0 have tiny scales.
_RATIOS = 2.0**-100, 2.0**8
_MOST_PAD, _MOST_KERNEL, _MOST_LENGTH = 4096, 1024, 2**24


@dataclass(frozen=True)
class _Step:
    """An operator with what is known of its inputs."""

    operator: Operator
    tensors: Sequence[Tensor]
    shapes: Sequence[Shape]

    def fault(self, what: str) -> BadArtifact:
        """The error for a form that cannot run."""
        return BadArtifact(f"{self.operator.name} with {what}")

    def option(self, name: str) -> int:
        """An option that is a whole number."""
        return int(self.operator.options[name])

    def integers(self, at: int) -> list[int]:
        """A constant of whole numbers."""
        data = self.tensors[at].data
        if data is None or len(data.shape) > 2 or data.size > 64:
            raise self.fault(f"input {at} that is no short list of numbers")
        return [int(n) for n in data.reshape(-1)]

    def axis(self, axis: int) -> int:
        """An axis of the first input, counted from the front."""
        rank = len(self.shapes[0])
        if not -rank <= axis < rank:
            raise self.fault(f"axis {axis} of {rank}")
        return axis % rank


# ---- shapes ----


def _geometry(step: _Step, kernel: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns behind a kernel."""
    shape, made = step.shapes[0], []
    if len(shape) != 4:
        raise step.fault(f"an input of the shape {shape}")
    for axis, name in ((1, "rows"), (2, "columns")):
        stride = step.option(f"stride_{name}")
        dilation = int(step.operator.options.get(f"dilation_{name}", 1))
        size = kernel[axis - 1]
        if not (0 < stride <= _MOST_PAD and 0 < dilation <= _MOST_PAD and 0 < size <= _MOST_KERNEL):
            raise step.fault(f"steps of {stride}, {dilation} and a kernel of {kernel}")
        span = (size - 1) * dilation + 1
        same = step.option("padding") == SAME
        count = -(-shape[axis] // stride) if same else (shape[axis] - span) // stride + 1
        if count < 1:
            raise step.fault(f"a kernel of {kernel} over {shape}")
        made.append(count)
    return made[0], made[1]


def _conv(step: _Step) -> Shape:
    shape, weights = step.shapes[0], step.shapes[1]
    if len(shape) != 4 or len(weights) != 4 or shape[3] % weights[3]:
        raise step.fault(f"inputs of the shapes {shape} and {weights}")
    if weights[0] % (shape[3] // weights[3]):
        raise step.fault(f"{weights[0]} outputs in {shape[3] // weights[3]} groups")
    return (shape[0], *_geometry(step, (weights[1], weights[2])), weights[0])


def _depthwise(step: _Step) -> Shape:
    shape, weights = step.shapes[0], step.shapes[1]
    if len(shape) != 4 or len(weights) != 4 or weights[0] != 1 or weights[3] % shape[3]:
        raise step.fault(f"inputs of the shapes {shape} and {weights}")
    if step.option("multiplier") != weights[3] // shape[3]:
        raise step.fault(f"multiplier {step.option('multiplier')} for {shape} and {weights}")
    return (shape[0], *_geometry(step, (weights[1], weights[2])), weights[3])


def _pool(step: _Step) -> Shape:
    kernel = step.option("kernel_rows"), step.option("kernel_columns")
    shape = step.shapes[0]
    return (*shape[:1], *_geometry(step, kernel), *shape[3:])


def _fully_connected(step: _Step) -> Shape:
    shape, weights = step.shapes[0], step.shapes[1]
    if len(weights) != 2 or step.option("weights_format") or math.prod(shape) % weights[1]:
        raise step.fault(f"inputs of the shapes {shape} and {weights}")
    if step.option("keep_dimensions"):
        if not shape or shape[-1] != weights[1]:
            raise step.fault(f"inputs of the shapes {shape} and {weights}")
        return (*shape[:-1], weights[0])
    return math.prod(shape) // weights[1], weights[0]


def _elementwise(step: _Step) -> Shape:
    first, second = step.shapes
    rank = max(len(first), len(second))
    if not 0 < rank <= 4:
        raise step.fault(f"inputs of the shapes {first} and {second}")
    made = []
    for a, b in zip(*((1,) * (rank - len(s)) + s for s in step.shapes), strict=True):
        if a != b and 1 not in (a, b):
            raise step.fault(f"inputs of the shapes {first} and {second}")
        made.append(max(a, b))
    return tuple(made)


def _batch_matmul(step: _Step) -> Shape:
    first, second = step.shapes
    if not 2 <= len(first) == len(second) <= 4:
        raise step.fault(f"inputs of the shapes {first} and {second}")
    rows, inner = first[:-3:-1] if step.option("adjoint_x") else first[-2:]
    also, columns = second[:-3:-1] if step.option("adjoint_y") else second[-2:]
    if inner != also or first[:-2] != second[:-2]:
        raise step.fault(f"inputs of the shapes {first} and {second}")
    return (*first[:-2], rows, columns)


def _same(step: _Step) -> Shape:
    if not 0 < len(step.shapes[0]) <= 4:
        raise step.fault(f"an input of the shape {step.shapes[0]}")
    return step.shapes[0]


def _softmax(step: _Step) -> Shape:
    beta, first = float(step.operator.options["beta"]), step.tensors[0]
    scale = float(first.scales[0]) if len(first.scales) else 1.0
    if not 2.0**-20 <= beta * scale <= 2.0**10:
        raise step.fault(f"beta {beta:g} on a scale of {scale:g}")
    return _same(step)


def _reshape(step: _Step) -> Shape:
    shape, wanted = step.shapes[0], step.integers(1)
    rest = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) == 1 and rest > 0 and math.prod(shape) % rest == 0:
        wanted[wanted.index(-1)] = math.prod(shape) // rest
    if min(wanted, default=1) < 1 or math.prod(wanted) != math.prod(shape) or len(wanted) > 5:
        raise step.fault(f"{shape} to {wanted[:8]}")
    return tuple(wanted)


def _pad(step: _Step) -> Shape:
    shape, widths = step.shapes[0], step.integers(1)
    fits = step.shapes[1] == (len(shape), 2) and 0 < len(shape) <= 4
    if not fits or not all(0 <= w <= _MOST_PAD for w in widths):
        raise step.fault(f"padding of {widths[:8]} around {shape}")
    return tuple(n + widths[2 * i] + widths[2 * i + 1] for i, n in enumerate(shape))


def _reduce(step: _Step) -> Shape:
    axes = {step.axis(a) for a in step.integers(1)}
    shape = step.shapes[0]
    if not axes or len(axes) != step.shapes[1][0] or len(step.shapes[1]) != 1 or len(shape) > 4:
        raise step.fault(f"the axes {step.integers(1)[:8]} of {shape}")
    kept = step.option("keep_dimensions")
    return tuple(1 if i in axes else n for i, n in enumerate(shape) if kept or i not in axes)


def _transpose(step: _Step) -> Shape:
    shape, order = step.shapes[0], step.integers(1)
    if sorted(order) != list(range(len(shape))) or not 0 < len(shape) <= 4:
        raise step.fault(f"the order {order[:8]} of {len(shape)} axes")
    return tuple(shape[i] for i in order)


def _concatenate(step: _Step) -> Shape:
    axis, first = step.axis(step.option("axis")), step.shapes[0]
    sides = {(s[:axis], s[axis + 1 :]) for s in step.shapes}
    if len(sides) != 1 or not 0 < len(first) <= 4 or step.option("activation"):
        raise step.fault(f"inputs of the shapes {list(step.shapes)[:3]}")
    return (*first[:axis], sum(s[axis] for s in step.shapes), *first[axis + 1 :])


def _slice(step: _Step) -> Shape:
    shape, begin, size = step.shapes[0], step.integers(1), step.integers(2)
    if not 0 < len(shape) == len(begin) == len(size) <= 4:
        raise step.fault(f"begin {begin[:8]}, size {size[:8]} of {shape}")
    size = [n - b if s == -1 else s for n, b, s in zip(shape, begin, size, strict=True)]
    for n, b, s in zip(shape, begin, size, strict=True):
        if not (0 <= b < n and 0 < s <= n - b):
            raise step.fault(f"begin {begin[:8]}, size {size[:8]} of {shape}")
    return tuple(size)


def _strided_slice(step: _Step) -> Shape:
    shape = step.shapes[0]
    begin, end, strides = (step.integers(i) for i in (1, 2, 3))
    masks = [step.option(m) for m in ("ellipsis_mask", "new_axis_mask", "offset")]
    if any(masks) or not 0 < len(shape) == len(begin) == len(end) == len(strides) <= 4:
        raise step.fault(f"begin {begin[:8]}, end {end[:8]} of {shape}")
    made = []
    for i, n in enumerate(shape):
        low = 0 if step.option("begin_mask") >> i & 1 else begin[i]
        high = n if step.option("end_mask") >> i & 1 else end[i]
        if not (-n <= low < n and -n <= high and 0 < strides[i] <= n):
            raise step.fault(f"begin {begin[:8]}, end {end[:8]}, strides {strides[:8]} of {shape}")
        if step.option("shrink_axis_mask") >> i & 1:
            continue
        made.append(len(range(low % n, high % n if high < 0 else min(high, n), strides[i])))
    if not made or min(made) < 1:
        raise step.fault(f"begin {begin[:8]}, end {end[:8]} of {shape}")
    return tuple(made)


# ---- the table ----


@dataclass(frozen=True)
class _Row:
    """An operator's row.

    Attributes:
        inputs: a letter for each: "a" activation, "w" weights, "b" biases (may be left out),
            "i" a constant of whole numbers; "+" behind "a" for one or more.
        shape: what it makes.
        ratio: from the scales of all activations and weights to the number that must be within
            _RATIOS; "same" where input and output must have one quantization.
    """

    inputs: str
    shape: Callable[[_Step], Shape]
    ratio: str = "product"


TABLE: Mapping[str, _Row] = {
    "ADD": _Row("aa", _elementwise, "each"),
    "AVERAGE_POOL_2D": _Row("a", _pool, "same"),
    "BATCH_MATMUL": _Row("aa", _batch_matmul),
    "CONCATENATION": _Row("a+", _concatenate, "same"),
    "CONV_2D": _Row("awb", _conv),
    "DEPTHWISE_CONV_2D": _Row("awb", _depthwise),
    "FULLY_CONNECTED": _Row("awb", _fully_connected),
    "HARD_SWISH": _Row("a", _same, "each"),
    "LOGISTIC": _Row("a", _same, "none"),
    "MAX_POOL_2D": _Row("a", _pool, "same"),
    "MEAN": _Row("ai", _reduce, "each"),
    "MUL": _Row("aa", _elementwise),
    "PAD": _Row("ai", _pad, "same"),
    "QUANTIZE": _Row("a", _same, "each"),
    "RELU": _Row("a", _same, "each"),
    "RELU6": _Row("a", _same, "each"),
    "RESHAPE": _Row("ai", _reshape, "same"),
    "SLICE": _Row("aii", _slice, "same"),
    "SOFTMAX": _Row("a", _softmax, "none"),
    "STRIDED_SLICE": _Row("aiii", _strided_slice, "same"),
    "SUB": _Row("aa", _elementwise, "each"),
    "SUM": _Row("ai", _reduce, "each"),
    "TRANSPOSE": _Row("ai", _transpose, "same"),
}
"""What operators are given, by name."""


def check_operators(graph: Graph, card: Card) -> None:
    """Hold all operators to their rows, and the whole to bounds of memory and work.

    Raises:
        BadArtifact: the message names the operator and what is wrong with it.
    """
    for number in graph.inputs:
        _check_activation(graph.tensors[number], "the input")
        if graph.tensors[number].data is not None:
            raise BadArtifact("an input that is a constant")
    for operator in graph.operators:
        _check_inputs(graph, operator)
    shapes = _infer(graph, card, {i: graph.tensors[i].shape for i in graph.inputs})
    for number, shape in shapes.items():
        if graph.tensors[number].shape != shape:
            said = graph.tensors[number].shape
            raise BadArtifact(f"a tensor of the shape {said}; its operator makes {shape}")
    first = {i: graph.tensors[i] for i in graph.inputs if graph.tensors[i].name == card.input}
    if len(first) != 1:
        raise BadArtifact(f"no input {card.input}, which the card promises")
    ((number, tensor),) = first.items()

    def measure(length: int) -> None:
        shape = (*tensor.shape[:1], length, *tensor.shape[2:])
        _infer(graph, card, {i: graph.tensors[i].shape for i in graph.inputs} | {number: shape})

    if len(tensor.shape) < 2:
        raise BadArtifact(f"input {card.input} of the shape {tensor.shape}")
    check_lengths(card, measure)


def _infer(graph: Graph, card: Card, given: dict[int, Shape]) -> dict[int, Shape]:
    """Shapes of all values for given inputs; refused if they cost too much."""
    shapes = dict(given)
    constants = {i: t.shape for i, t in enumerate(graph.tensors) if t.data is not None}
    steps: list[tuple[Sequence[object], Sequence[object]]] = []
    sizes: dict[object, int] = {}
    work = 0
    for at, operator in enumerate(graph.operators):
        numbers = [i for i in operator.inputs if i >= 0]
        step = _Step(
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
    length = max(given[i][1] for i in given if graph.tensors[i].name == card.input)
    check_cost(card, length, steps, sizes, {*given, *graph.outputs, *constants}, work)
    return shapes


def _terms(step: _Step) -> int:
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
    if letters.endswith("b") and len(numbers) == len(letters) - 1:
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
        _check_input(operator, letter, graph.tensors[number], made)
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
    if tensor.data is None or tensor.dtype != dtype[letter]:
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
    if len(tensor.scales) not in (1, channels) or tensor.zeros.any():
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
