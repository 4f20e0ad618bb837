"""The shape that each operator of a TFLite graph makes of what it is given.

A runtime computes the same when it is asked for another length of the input; here it is known
before anything is allocated. What cannot run is refused.

Source: the `Prepare` functions of tensorflow/lite/kernels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgeemo.artifacts.tflite_graph import SAME, Operator, Tensor
from edgeemo.errors import BadArtifact

Shape = tuple[int, ...]

_MOST_PAD, _MOST_KERNEL = 4096, 1024


@dataclass(frozen=True)
class Step:
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


def _geometry(step: Step, kernel: tuple[int, int]) -> tuple[int, int]:
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


def conv(step: Step) -> Shape:
    """CONV_2D."""
    shape, weights = step.shapes[0], step.shapes[1]
    if len(shape) != 4 or len(weights) != 4 or shape[3] % weights[3]:
        raise step.fault(f"inputs of the shapes {shape} and {weights}")
    if weights[0] % (shape[3] // weights[3]):
        raise step.fault(f"{weights[0]} outputs in {shape[3] // weights[3]} groups")
    return (shape[0], *_geometry(step, (weights[1], weights[2])), weights[0])


def depthwise(step: Step) -> Shape:
    """DEPTHWISE_CONV_2D."""
    shape, weights = step.shapes[0], step.shapes[1]
    if len(shape) != 4 or len(weights) != 4 or weights[0] != 1 or weights[3] % shape[3]:
        raise step.fault(f"inputs of the shapes {shape} and {weights}")
    if step.option("multiplier") != weights[3] // shape[3]:
        raise step.fault(f"multiplier {step.option('multiplier')} for {shape} and {weights}")
    return (shape[0], *_geometry(step, (weights[1], weights[2])), weights[3])


def pool(step: Step) -> Shape:
    """AVERAGE_POOL_2D and MAX_POOL_2D."""
    kernel = step.option("kernel_rows"), step.option("kernel_columns")
    shape = step.shapes[0]
    return (*shape[:1], *_geometry(step, kernel), *shape[3:])


def fully_connected(step: Step) -> Shape:
    """FULLY_CONNECTED."""
    shape, weights = step.shapes[0], step.shapes[1]
    if len(weights) != 2 or step.option("weights_format") or math.prod(shape) % weights[1]:
        raise step.fault(f"inputs of the shapes {shape} and {weights}")
    if step.option("keep_dimensions"):
        if not shape or shape[-1] != weights[1]:
            raise step.fault(f"inputs of the shapes {shape} and {weights}")
        return (*shape[:-1], weights[0])
    return math.prod(shape) // weights[1], weights[0]


def elementwise(step: Step) -> Shape:
    """ADD, SUB, MUL."""
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


def batch_matmul(step: Step) -> Shape:
    """BATCH_MATMUL."""
    first, second = step.shapes
    if not 2 <= len(first) == len(second) <= 4:
        raise step.fault(f"inputs of the shapes {first} and {second}")
    rows, inner = first[:-3:-1] if step.option("adjoint_x") else first[-2:]
    also, columns = second[:-3:-1] if step.option("adjoint_y") else second[-2:]
    if inner != also or first[:-2] != second[:-2]:
        raise step.fault(f"inputs of the shapes {first} and {second}")
    return (*first[:-2], rows, columns)


def same(step: Step) -> Shape:
    """One value from each value."""
    if not 0 < len(step.shapes[0]) <= 4:
        raise step.fault(f"an input of the shape {step.shapes[0]}")
    return step.shapes[0]


def softmax(step: Step) -> Shape:
    """SOFTMAX."""
    beta, first = float(step.operator.options["beta"]), step.tensors[0]
    scale = float(first.scales[0]) if len(first.scales) else 1.0
    if not 2.0**-20 <= beta * scale <= 2.0**10:
        raise step.fault(f"beta {beta:g} on a scale of {scale:g}")
    return same(step)


def reshape(step: Step) -> Shape:
    """RESHAPE."""
    shape, wanted = step.shapes[0], step.integers(1)
    rest = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) == 1 and rest > 0 and math.prod(shape) % rest == 0:
        wanted[wanted.index(-1)] = math.prod(shape) // rest
    if min(wanted, default=1) < 1 or math.prod(wanted) != math.prod(shape) or len(wanted) > 5:
        raise step.fault(f"{shape} to {wanted[:8]}")
    return tuple(wanted)


def pad(step: Step) -> Shape:
    """PAD."""
    shape, widths = step.shapes[0], step.integers(1)
    fits = step.shapes[1] == (len(shape), 2) and 0 < len(shape) <= 4
    if not fits or not all(0 <= w <= _MOST_PAD for w in widths):
        raise step.fault(f"padding of {widths[:8]} around {shape}")
    return tuple(n + widths[2 * i] + widths[2 * i + 1] for i, n in enumerate(shape))


def reduce(step: Step) -> Shape:
    """MEAN and SUM."""
    axes = {step.axis(a) for a in step.integers(1)}
    shape = step.shapes[0]
    if not axes or len(axes) != step.shapes[1][0] or len(step.shapes[1]) != 1 or len(shape) > 4:
        raise step.fault(f"the axes {step.integers(1)[:8]} of {shape}")
    kept = step.option("keep_dimensions")
    return tuple(1 if i in axes else n for i, n in enumerate(shape) if kept or i not in axes)


def transpose(step: Step) -> Shape:
    """TRANSPOSE."""
    shape, order = step.shapes[0], step.integers(1)
    if sorted(order) != list(range(len(shape))) or not 0 < len(shape) <= 4:
        raise step.fault(f"the order {order[:8]} of {len(shape)} axes")
    return tuple(shape[i] for i in order)


def concatenate(step: Step) -> Shape:
    """CONCATENATION."""
    axis, first = step.axis(step.option("axis")), step.shapes[0]
    sides = {(s[:axis], s[axis + 1 :]) for s in step.shapes}
    if len(sides) != 1 or not 0 < len(first) <= 4 or step.option("activation"):
        raise step.fault(f"inputs of the shapes {list(step.shapes)[:3]}")
    return (*first[:axis], sum(s[axis] for s in step.shapes), *first[axis + 1 :])


def slice_of(step: Step) -> Shape:
    """SLICE."""
    shape, begin, size = step.shapes[0], step.integers(1), step.integers(2)
    if not 0 < len(shape) == len(begin) == len(size) <= 4:
        raise step.fault(f"begin {begin[:8]}, size {size[:8]} of {shape}")
    size = [n - b if s == -1 else s for n, b, s in zip(shape, begin, size, strict=True)]
    for n, b, s in zip(shape, begin, size, strict=True):
        if not (0 <= b < n and 0 < s <= n - b):
            raise step.fault(f"begin {begin[:8]}, size {size[:8]} of {shape}")
    return tuple(size)


def strided_slice(step: Step) -> Shape:
    """STRIDED_SLICE."""
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
