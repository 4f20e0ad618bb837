"""What a student costs: parameters, and multiply-accumulates of a second of sound or a face."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from edgeemo.vision.images import ImageSpec

from .base import Student


def parameters(student: nn.Module) -> int:
    """Trained parameters; batch norm's running figures are not counted."""
    return sum(p.numel() for p in student.parameters())


def macs(student: Student, frames: int = 0) -> int:
    """Multiply-accumulates of convolutions and linear layers for one clip or one picture.

    The front end is not counted: edgeemo's C code makes the features, by FFT.

    Args:
        student: in any mode.
        frames: of the clip; not used for a student of faces.
    """
    total = 0

    def count(module: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Linear):
            total += output.numel() * module.in_features
        elif isinstance(module, (nn.Conv1d, nn.Conv2d)):
            total += output.numel() * module.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in student.modules()]
    training = student.training
    device = next(student.parameters()).device
    try:
        with torch.inference_mode():
            student.eval()(torch.zeros(input_shape(student, frames), device=device), None)
    finally:
        student.train(training)
        for hook in hooks:
            hook.remove()
    return total


def activation_bytes(student: Student) -> int:
    """Memory of a layer's input and output in int8, of the layer that needs most.

    It is what a runtime that works layer by layer needs at least for one second of sound or one
    picture; the C engine streams and needs less.

    Args:
        student: on the CPU, in any mode.
    """
    most = 0

    def look(module: nn.Module, given: Any, output: Tensor) -> None:
        nonlocal most
        if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            most = max(most, given[0].numel() + output.numel())

    hooks = [m.register_forward_hook(look) for m in student.modules()]
    spec = student.spec
    frames = 0 if isinstance(spec, ImageSpec) else round(spec.sample_rate / spec.hop)
    training = student.training
    try:
        with torch.inference_mode():
            student.eval()(torch.zeros(input_shape(student, frames)), None)
    finally:
        student.train(training)
        for hook in hooks:
            hook.remove()
    return most


def stream_bytes(student: Student) -> int | None:
    """RAM that the C engine needs at least for a causal student, frame by frame, in int8.

    It is what layers keep of earlier frames, and a row of input and output of the layer that needs
    most. The engine's tables, the front end and the gate come beside it (docs/guides/firmware.md).

    Args:
        student: on the CPU, in any mode.

    Returns:
        Bytes; None for a student that looks ahead, or at pictures.
    """
    kept, largest = 0, 0

    def keep(module: nn.Module, given: Any, output: Tensor) -> None:
        nonlocal kept
        conv = next(m for m in module.modules() if isinstance(m, nn.Conv2d))
        rows = int(module.past) + conv.stride[0]  # type: ignore[arg-type]
        kept += rows * given[0][0, :, 0].numel()

    def look(module: nn.Module, given: Any, output: Tensor) -> None:
        nonlocal largest
        row = [x[0, :, 0].numel() if x.ndim == 4 else x[0].numel() for x in (given[0], output)]
        largest = max(largest, sum(row))

    causal = [m for m in student.modules() if getattr(m, "past", 0)]
    if not causal or isinstance(student.spec, ImageSpec):
        return None
    hooks = [m.register_forward_hook(keep) for m in causal]
    hooks += [
        m.register_forward_hook(look)
        for m in student.modules()
        if isinstance(m, (nn.Linear, nn.Conv2d))
    ]
    training = student.training
    try:
        with torch.inference_mode():
            student.eval()(torch.zeros(input_shape(student, 4 * student.stride)), None)
    finally:
        student.train(training)
        for hook in hooks:
            hook.remove()
    return kept + largest


def input_shape(student: Student, frames: int) -> tuple[int, ...]:
    """Shape of one input: [1, frames, bands], or [1, size, size, channels] of a picture.

    Args:
        student: of speech or faces.
        frames: of the clip; not used for a student of faces.
    """
    spec = student.spec
    if isinstance(spec, ImageSpec):
        return (1, spec.size, spec.size, spec.channels)
    return (1, frames, spec.bands)


def macs_per_second(student: Student, seconds: int = 10) -> float:
    """Multiply-accumulates for each second of sound inside a long clip; of one picture of a face.

    Args:
        student: on any device.
        seconds: length of the clip whose last part is measured.

    Returns:
        The slope between a clip of `seconds` and one of twice that, so that work done once a clip
        (heads) and at its borders does not count.
    """
    if isinstance(student.spec, ImageSpec):
        return macs(student)
    rate = student.spec.sample_rate / student.spec.hop
    short, long = round(seconds * rate), round(2 * seconds * rate)
    # A multiple of 32 frames: pools and strides then divide both clips without remainder.
    short, long = short - short % 32, long - long % 32
    return (macs(student, long) - macs(student, short)) / (long - short) * rate
