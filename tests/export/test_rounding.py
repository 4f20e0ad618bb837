"""Weights that stand on a writer's steps, and what is lost by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edgeemo.backends import open_backend
from edgeemo.compress.run import Run
from edgeemo.compress.stages.rounding import inputs_of, rounded
from edgeemo.compress.students import Student
from edgeemo.export import export
from edgeemo.export.cards import card_of_run
from edgeemo.export.job import WRITERS, calibrate, loaded
from edgeemo.export.parity import Tolerances, compare, with_outputs_of
from edgeemo.export.writer import ExportInput
from edgeemo.features import log_mel

from .conftest import ROUGH


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(6, 4, bias=False),
        nn.Conv1d(6, 4, 3, stride=2, padding=1, dilation=2, bias=False),
        nn.Conv2d(6, 4, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), bias=False),
        nn.Conv2d(6, 6, (3, 1), padding=(2, 0), groups=6, bias=False),
        nn.Conv2d(6, 4, 1, groups=2, bias=False),
    ],
)
def test_a_layer_is_a_linear_map_of_the_inputs_that_are_read(layer: nn.Module) -> None:
    torch.manual_seed(0)
    shape = {nn.Linear: (2, 9, 6), nn.Conv1d: (2, 6, 9), nn.Conv2d: (2, 6, 9, 5)}[type(layer)]
    x = torch.randn(shape)
    with torch.no_grad():
        wanted = layer(x) if isinstance(layer, nn.Linear) else layer(x).flatten(2).transpose(1, 2)
        columns = inputs_of(layer, x)  # [groups, positions, inputs]
        weight = layer.weight.flatten(1).unflatten(0, (len(columns), -1))
        found = (columns @ weight.mT).transpose(0, 1).flatten(1)
    assert torch.allclose(found, wanted.flatten(0, 1), atol=1e-5)


def test_a_writer_finds_every_weight_on_its_steps(
    taught: Callable[[str], Student], sounds: list[np.ndarray]
) -> None:
    student = taught("wav2small-stream")
    before = {name: value.clone() for name, value in student.state_dict().items()}
    made = rounded(student, [log_mel(s, student.spec) for s in sounds], 64)
    after = student.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    layers = dict(student.named_modules())
    for name, layer in made.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            old, new = (v.detach().flatten(1) for v in (layers[name].weight, layer.weight))
            steps = old.abs().amax(1, keepdim=True) / 64
            assert torch.allclose(new.abs().amax(1, keepdim=True), 64 * steps, rtol=1e-5)
            assert torch.allclose(new / steps, torch.round(new / steps), atol=1e-3)


def test_less_is_lost_than_by_the_nearest_steps(
    taught: Callable[[str], Student], sounds: list[np.ndarray]
) -> None:
    student = taught("wav2small-stream")
    clips = [log_mel(s, student.spec) for s in sounds]
    # Judged on clips whose inputs were not looked at.
    by_inputs, (one, other) = rounded(student, clips[::2], 64), (student, _nearest(student))

    def embedding(of: Student) -> np.ndarray:
        with torch.inference_mode():
            return np.concatenate(
                [of(torch.from_numpy(c)[None], None).embedding.numpy() for c in clips[1::2]]
            )

    wanted = embedding(one)
    errors = [np.sqrt(np.mean((embedding(s) - wanted) ** 2)) for s in (by_inputs, other)]
    assert errors[0] < 0.7 * errors[1]


def test_an_int8_file_is_made_of_rounded_weights(
    make_run: Callable[[str, Path], Run], tmp_path: Path
) -> None:
    run = make_run("wav2small-stream", tmp_path / "run")
    (result,) = export(run.folder, int8=True, limits=ROUGH)
    clips = with_outputs_of(run.parity_set(), run.student(), 1.5)
    chosen, judged = clips.dealt()
    plain, writer = ExportInput(run.student(), card_of_run(run.facts())), WRITERS["onnx"]
    how = calibrate(writer, plain, chosen, Tolerances(), lambda text: None)
    with loaded(writer, writer.write(plain, how)) as backend:
        nearest = compare(backend, judged, Tolerances())
    ours = compare(open_backend(result.path, "onnx"), judged, Tolerances())
    lost = [1 - np.mean(list(p.agreement.values())) for p in (ours, nearest)]
    assert lost[0] < 0.7 * lost[1]


@pytest.mark.parametrize("format", ["onnx", "tflite"])
def test_the_largest_weight_is_the_integer_that_the_writer_says(
    format: str, make_run: Callable[[str, Path], Run], tmp_path: Path
) -> None:
    run = make_run("wav2small-stream", tmp_path / "run")
    (result,) = export(run.folder, (format,), int8=True, limits=ROUGH)
    if format == "onnx":
        graph = onnx.load(result.path).graph
        held = [onnx.numpy_helper.to_array(t) for t in graph.initializer]
    else:
        held = _integers(result.path)
    kernels = [w for w in held if w.dtype == np.int8 and w.ndim > 1]
    assert len(kernels) > 15
    assert {int(np.abs(w.astype(int)).max()) for w in kernels} == {WRITERS[format].largest_weight}


def _nearest(student: Student) -> Student:
    """Each weight on the nearest step."""
    made = type(student)(**student.options)
    made.load_state_dict(student.state_dict())
    with torch.no_grad():
        for layer in made.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                w = layer.weight
                steps = w.abs().flatten(1).amax(1).reshape(-1, *[1] * (w.ndim - 1)) / 64
                w.copy_(torch.round(w / steps) * steps)
    return made.eval()


def _integers(path: Path) -> list[np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path))
    runner.allocate_tensors()
    graph = {d["index"]: d for d in runner.get_tensor_details()}
    found = []
    for operator in runner._get_ops_details():
        if operator["op_name"] in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            found.append(runner.get_tensor(graph[operator["inputs"][1]]["index"]))
    return found
