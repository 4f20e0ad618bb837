"""The parity matrix: one student on each runtime that reads its files.

Everything is compared on clips of one length, because TensorFlow Lite Micro takes no other than the
one a file was written for.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edgeemo.artifacts.tflite import TfliteFile, read_tflite
from edgeemo.backends import Backend
from edgeemo.backends.tflite import TfliteBackend
from edgeemo.compress.evaluation.parity_set import ParitySet
from edgeemo.compress.students import Student
from edgeemo.evaluation.metrics import ccc

from .parity import as_shown
from .tflite_graph import FRAMES, operators
from .tflite_pack import unpack
from .tflm import MicroBackend

STEPS = 1.0
"""Largest difference of TensorFlow Lite Micro from LiteRT's reference kernels, in integers."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Runtime:
    """A file on one runtime.

    Attributes:
        runtime: what ran it, and which kernels.
        clips: number of clips or faces.
        ccc: with the float student, by dimension, both as users see them.
        rmse: of the dimensions, as the runtime gives them.
        largest: largest difference of a dimension, as the runtime gives it.
        steps: largest difference from LiteRT (its reference kernels, where they are right) in
            integers of the output, for TensorFlow Lite Micro.
        arena: bytes of tensors and of structures, for TensorFlow Lite Micro.
        bytes: of the file; of a C folder the flash that network and tables take.
        milliseconds: median for one, features made before.
        faults: why the file is refused; empty if it is not.
    """

    runtime: str
    clips: int
    ccc: Mapping[str, float]
    rmse: float
    largest: float
    steps: float | None
    arena: tuple[int, int] | None
    bytes: int
    milliseconds: float
    faults: tuple[str, ...] = ()


def tile_to_length(student: Student, clips: ParitySet) -> tuple[list[Floats], Floats]:
    """Features of FRAMES frames (or faces), and the float student's dimensions of them.

    Args:
        student: in evaluation mode.
        clips: the shorter ones are repeated until they are long enough.
    """
    features = list(clips.features)
    if clips.features[0].ndim == 2:
        features = [np.resize(f, (FRAMES, *f.shape[1:])) for f in features]
    with torch.inference_mode():
        dimensions = [
            student(torch.from_numpy(f)[None], None).dimensions[0].numpy() for f in features
        ]
    return features, np.stack(dimensions)


def on_runtimes(
    path: Path, backend: Backend, cuts: tuple[list[Floats], Floats]
) -> tuple[Runtime, ...]:
    """A file on each runtime that reads it.

    Args:
        path: the file.
        backend: it is loaded in.
        cuts: from `tile_to_length`.
    """
    if backend.card.input == "samples":
        return ()  # a file with the front end inside: the same graph behind it
    features, wanted = cuts
    size, kind = path.stat().st_size, backend.card.quantization.precision
    names = {"c": "edgeemo C", "onnx": "onnxruntime", "tflite": "LiteRT XNNPACK"}
    row, found = _measure(f"{names[backend.name]} {kind}", backend, features, wanted, size)
    if not isinstance(backend, TfliteBackend) or kind == "float":
        return (row,)
    held = read_tflite(path)
    if _sums_anew(held):
        # XNNPACK rounds in its own way: three integers from the reference kernels have been seen.
        return row, _micro(MicroBackend(path), features, wanted, found, size, 4 * STEPS)
    slow = TfliteBackend(path, held, reference=True)
    reference, judged = _measure(f"LiteRT reference {kind}", slow, features, wanted, size)
    micro = MicroBackend(path)
    return row, reference, _micro(micro, features, wanted, judged, size)


def _sums_anew(file: TfliteFile) -> bool:
    """Whether a sum has a scale of its own, which LiteRT's reference kernel does not turn to."""
    model = unpack(file.model)
    graph = model.subgraphs[0]
    scales = [
        graph.tensors[i].quantization.scale[0]
        for op, name in zip(graph.operators, operators(model), strict=True)
        if name == "SUM"
        for i in (op.inputs[0], op.outputs[0])
    ]
    return scales[::2] != scales[1::2]


def _micro(
    micro: MicroBackend,
    features: list[Floats],
    wanted: Floats,
    judged: Floats,
    size: int,
    limit: float = STEPS,
) -> Runtime:
    row, found = _measure(
        f"TFLM {micro.card.quantization.precision}", micro, features, wanted, size
    )
    steps = float(np.abs(found - judged).max() / micro.step_of("adv"))
    arena = micro.arena()
    faults: tuple[str, ...] = ()
    if steps > limit + 1e-3:
        faults = (
            f"TensorFlow Lite Micro differs from LiteRT by {steps:.3g} "
            f"integers; the limit is {limit:g}",
        )
    return Runtime(
        row.runtime,
        row.clips,
        row.ccc,
        row.rmse,
        row.largest,
        steps,
        (arena.tensors, arena.structures),
        size,
        row.milliseconds,
        faults,
    )


def _measure(
    name: str, backend: Backend, features: Sequence[Floats], wanted: Floats, size: int
) -> tuple[Runtime, Floats]:
    dimensions, seconds = [], []
    backend.run(features[0][np.newaxis])  # the first call makes room for this length
    for clip in features:
        start = time.perf_counter()
        found = backend.run(clip[np.newaxis])
        seconds.append(time.perf_counter() - start)
        dimensions.append(found["adv"][0])
    got = np.stack(dimensions)
    apart = got - wanted
    adv_output = next(o for o in backend.card.outputs if o.name == "adv")
    shown, of_float = (as_shown(values, adv_output) for values in (got, wanted))
    agreement = {d: ccc(shown[:, i], of_float[:, i]) for i, d in enumerate(adv_output.labels)}
    row = Runtime(
        name,
        len(features),
        agreement,
        float(np.sqrt(np.mean(apart**2))),
        float(np.abs(apart).max()),
        None,
        None,
        size,
        1000 * statistics.median(seconds),
    )
    return row, got


def matrix(rows: Sequence[Runtime]) -> str:
    """The rows as text; times as ratios to the fastest."""
    if not rows:
        return "no runtime takes sound of a fixed length"
    fastest = min(r.milliseconds for r in rows)
    heads = (*rows[0].ccc, "RMSE", "largest", "steps", "time")
    lines = [
        f"{'runtime':<24}"
        + "".join(f"{head:>11}" for head in heads)
        + f"{'bytes':>9}  arena (tensors + structures)"
    ]
    for r in rows:
        lost = "".join(f"{1 - r.ccc[d]:11.4f}" for d in r.ccc)
        steps = f"{r.steps:11.1f}" if r.steps is not None else f"{'-':>11}"
        arena = f"{r.arena[0]} + {r.arena[1]}" if r.arena else "-"
        lines.append(
            f"{r.runtime:<24}{lost}{r.rmse:11.4f}{r.largest:11.4f}{steps}"
            f"{r.milliseconds / fastest:11.2f}{r.bytes:9}  {arena}"
        )
    lines.append(
        f"CCC lost against the float student on {rows[0].clips} inputs of one length; "
        f"time 1 is {fastest:.2f} ms for one"
    )
    return "\n".join(lines)
