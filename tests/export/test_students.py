"""Every student of the registry as a file of every format: written, loaded again, compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgeemo.backends import open_backend
from edgeemo.backends.onnx import OnnxBackend
from edgeemo.compress.stages import qat
from edgeemo.compress.students import Student, make_student, student_names
from edgeemo.compress.students.cost import input_shape, parameters
from edgeemo.compress.students.mobilenet import _Squeeze
from edgeemo.export.cards import card_of_run
from edgeemo.export.dry_run import settled
from edgeemo.export.int8 import ActivationRecorder
from edgeemo.export.int8 import quantize as quantize_onnx
from edgeemo.export.onnx_writer import OnnxWriter, float_graph
from edgeemo.export.qat_ranges import learned_table
from edgeemo.export.tflite_pack import unpack
from edgeemo.export.tflite_writer import TfliteWriter
from edgeemo.export.writer import ExportInput, QuantConfig
from edgeemo.features import FeatureSpec, log_mel
from tests.compress.summaries import summary_of

SMALL: dict[str, dict[str, Any]] = {
    "mobilenetv3-small": {"width": 0.25},
    "mobilenetv4-conv-small": {"width": 0.25},
    "mobilenetv3-small-face": {"width": 0.25, "size": 32},
    "mobilenetv4-conv-small-face": {"width": 0.25, "size": 32},
    "efficientnet-lite0-face": {"blocks": 5, "wide": 64, "size": 32},
    "mobilenetv1-face": {"width": 0.25, "size": 32},
    "mobilefacenet-face": {"width": 0.25, "size": 32},
    "mobileface-face": {"size": 32},
}
"""Narrower than usual: what is asked here depends on the layers, not on their width."""


def clips_of(student: Student, sounds: list[np.ndarray], count: int = 6) -> list[np.ndarray]:
    """Features of speech, or noise in the place of faces; each with the batch axis."""
    if isinstance(student.spec, FeatureSpec):
        return [log_mel(s, student.spec)[None] for s in sounds[:count]]
    rng = np.random.default_rng(2)
    return [rng.normal(size=input_shape(student, 0)).astype(np.float32) for _ in range(count)]


def fresh(name: str, sounds: list[np.ndarray]) -> Student:
    """Random weights, and norms that have seen their input."""
    torch.manual_seed(8)
    student = make_student(name, **SMALL.get(name, {}))
    return settled(student, [torch.from_numpy(c) for c in clips_of(student, sounds)])


def trained(student: Student) -> ExportInput:
    """The student with a card."""
    return ExportInput(student, card_of_run(summary_of(student)))


@pytest.mark.parametrize("writer", [OnnxWriter(), TfliteWriter()], ids=lambda w: w.format)
@pytest.mark.parametrize("name", [n for n in student_names() if n != "probe"])
def test_every_student_as_a_file(
    name: str, writer: Any, sounds: list[np.ndarray], tmp_path: Path
) -> None:
    student = fresh(name, sounds)
    given = trained(student)
    clips = clips_of(student, sounds)
    with torch.no_grad():
        said = [student(torch.from_numpy(c), None) for c in clips]
    wanted = {
        "adv": [s.dimensions[0].numpy() for s in said],
        "probs": [s.logits[0].softmax(0).numpy() for s in said],
    }
    table = ActivationRecorder(float_graph(student, 1.0)).observe(clips).table("minmax")
    sizes = []
    for int8 in (None, QuantConfig(table)):
        path = tmp_path / f"file{writer.ending}"
        path.write_bytes(writer.write(given, int8))
        sizes.append(path.stat().st_size)
        backend = open_backend(path, writer.format)
        assert backend.card.parameters == parameters(student)
        assert backend.card.quantization.kind == ("int8" if int8 else "none")
        for output, rows in wanted.items():
            got = np.stack([backend.run(c)[output][0] for c in clips])
            # Int8 on random layers: 2 % of a likelihood, a tenth of what adv spans.
            limit = 1e-4 if int8 is None else max(0.02, 0.1 * float(np.ptp(np.stack(rows))))
            assert np.abs(got - np.stack(rows)).max() <= limit, (output, int8)
    assert sizes[1] < 0.6 * sizes[0]


def test_layers_that_are_dead_have_ranges_too(sounds: list[np.ndarray], tmp_path: Path) -> None:
    """They give 0 for every input, so their values do not tell which of both graphs are one."""
    student = fresh("mobilenetv3-small", sounds)
    squeezes = [m for m in student.modules() if isinstance(m, _Squeeze)][:2]
    with torch.no_grad():
        for squeeze in squeezes:
            squeeze.down.bias.fill_(-1e3)  # type: ignore[union-attr]
    clips = clips_of(student, sounds)
    table = ActivationRecorder(float_graph(student, 1.0)).observe(clips).table("minmax")
    path = tmp_path / "dead.tflite"
    path.write_bytes(TfliteWriter().write(trained(student), QuantConfig(table)))
    backend = open_backend(path, "tflite")
    for clip in clips:
        with torch.no_grad():
            wanted = student(torch.from_numpy(clip), None).logits[0].softmax(0).numpy()
        assert np.abs(backend.run(clip)["probs"][0] - wanted).max() <= 0.03


def test_learned_ranges_reach_both_formats(sounds: list[np.ndarray]) -> None:
    """A range that training made narrow decides the scale in the ONNX and in the TFLite file."""
    student = fresh("wav2small-stream", sounds)
    clips = clips_of(student, sounds)
    tensors = [torch.from_numpy(c) for c in clips]
    made = qat.with_quantizers(student, tensors[:2])
    plain, learned = qat.without_quantizers(made, student, tensors[0])
    odd = 0.1234567
    wide = [n for n, (low, high) in learned.items() if "relu" in n and high > odd]
    assert len(wide) >= 5
    learned = {n: (0.0, odd) if n in wide else pair for n, pair in learned.items()}
    graph = float_graph(plain, 1.0)
    watch = ActivationRecorder(graph)
    observed = watch.observe(clips).table("minmax")
    table = learned_table(watch, plain, clips[0], learned, observed)
    assert table.rule == "learned" and table.ranges.keys() == observed.ranges.keys()
    # Rectified activations that several layers read: each has one scale in a file, or two.
    scales = _onnx_scales(quantize_onnx(graph, QuantConfig(table)))
    assert sum(abs(s - odd / 255) < 1e-8 for s in scales) >= 1
    before = _onnx_scales(quantize_onnx(graph, QuantConfig(observed)))
    assert not any(abs(s - odd / 255) < 1e-8 for s in before)
    model = unpack(TfliteWriter().write(trained(plain), QuantConfig(table)))
    found = [
        float(t.quantization.scale[0])
        for t in model.subgraphs[0].tensors
        if t.quantization is not None
        and t.quantization.scale is not None
        and len(t.quantization.scale) == 1
    ]
    assert sum(abs(s - odd / 255) < 1e-8 for s in found) >= len(wide)


def _onnx_scales(model: Any) -> list[float]:
    from onnx import numpy_helper

    known = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    readers = [n for n in model.graph.node if n.op_type == "QuantizeLinear"]
    return [float(known[n.input[1]]) for n in readers if known[n.input[1]].size == 1]


@pytest.mark.parametrize("name", student_names())
def test_embedding_in_the_file_is_the_student_s(
    name: str, sounds: list[np.ndarray], tmp_path: Path
) -> None:
    student = fresh(name, sounds)
    path = tmp_path / "some.onnx"
    path.write_bytes(OnnxWriter().write(trained(student)))
    backend = open_backend(path)
    assert isinstance(backend, OnnxBackend)
    for clip in clips_of(student, sounds, 2):
        with torch.no_grad():
            wanted = student(torch.from_numpy(clip), None).embedding.numpy()
        assert wanted.shape == (1, backend.card.embedding)
        assert backend.embed(clip) == pytest.approx(wanted, abs=1e-4)
