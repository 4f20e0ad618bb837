"""Weights of four bits: which layers have them, what is lost, and the same numbers everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgeemo import _native, cli
from edgeemo.artifacts.engine_blob import compile_graph
from edgeemo.artifacts.tflite import check, read_tflite
from edgeemo.artifacts.tflite_graph import Graph, read_graph, unpack_int4
from edgeemo.backends.c import CBackend
from edgeemo.compress.run import Run
from edgeemo.compress.students import Student
from edgeemo.errors import BadArtifact, BadInput, ParityFailed
from edgeemo.export import ExportResult, export
from edgeemo.export.c_writer import write_folder
from edgeemo.export.parity import Tolerances
from edgeemo.export.rounding import rounded
from edgeemo.export.rounding_int4 import LARGEST, on_int4_steps, rounded_int4
from edgeemo.export.tflite_pack import pack, schema, unpack
from edgeemo.export.tflite_writer import with_card
from edgeemo.features import log_mel

WIDE = Tolerances(ccc=0.2, classes=0.9)
"""For layers that no training has settled, whose heads magnify what is lost."""


@pytest.fixture(scope="session")
def run(make_run: Callable[[str, Path], Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run("wav2small-stream", tmp_path_factory.mktemp("int4") / "run")


@pytest.fixture(scope="session")
def small(run: Run) -> ExportResult:
    (result,) = export(run.folder, ("tflite",), int4=True, limits=WIDE)
    return result


@pytest.fixture(scope="session")
def graph(small: ExportResult) -> Graph:
    return read_graph(read_tflite(small.path).model)


def _weights(graph: Graph) -> list[tuple[str, str, int]]:
    """Operator, type and count of its weights."""
    constants = ((o.name, graph.tensors[o.inputs[1]]) for o in graph.operators if len(o.inputs) > 2)
    return [(name, t.dtype, t.data.size) for name, t in constants if t.data is not None]


def test_convolutions_across_channels_have_four_bits_and_all_else_eight(graph: Graph) -> None:
    kinds = {(name, dtype) for name, dtype, _ in _weights(graph)}
    assert kinds == {
        ("CONV_2D", "int4"),
        ("DEPTHWISE_CONV_2D", "int8"),
        ("FULLY_CONNECTED", "int8"),
    }
    assert sum(dtype == "int4" for _, dtype, _ in _weights(graph)) == 9
    held = [t.data for t in graph.tensors if t.dtype == "int4" and t.data is not None]
    assert {(int(w.min()), int(w.max())) for w in held} == {(-LARGEST, LARGEST)}


def test_half_of_their_bytes_goes(run: Run, small: ExportResult, graph: Graph) -> None:
    (eight,) = export(run.folder, ("tflite",), int8=True, limits=WIDE)
    halves = sum(count for _, dtype, count in _weights(graph) if dtype == "int4") // 2
    assert halves < eight.bytes - small.bytes < halves + 4000  # their biases have no scales
    card = small.card.quantization
    assert (card.kind, card.weight_bits) == ("int8", 4) and small.path.stem.endswith("-int4")


def test_every_runtime_reads_them(small: ExportResult) -> None:
    """Parity has run all; TensorFlow Lite Micro within an integer of LiteRT."""
    names = [r.runtime for r in small.runtimes]
    assert names == ["LiteRT XNNPACK int8", "LiteRT reference int8", "TFLM int8"]
    assert small.runtimes[2].steps is not None and small.runtimes[2].steps < 1.001


def test_the_engine_gives_the_bits_of_the_same_numbers_in_eight(
    graph: Graph, sounds: list[np.ndarray]
) -> None:
    eight = replace(
        graph,
        tensors=tuple(replace(t, dtype="int8") if t.dtype == "int4" else t for t in graph.tensors),
    )
    for kernels in _native.model_kernels():
        models = [_native.Model(compile_graph(g).data, 16, kernels) for g in (graph, eight)]
        for sound in sounds[:5]:
            found = []
            for model in models:
                out = np.zeros(model.info()["values"], np.int8)
                model.reset()
                model.push(log_mel(sound))
                model.outputs(out)
                found.append(out)
            assert np.array_equal(*found)


def test_the_engine_agrees_with_litert(small: ExportResult, sounds: list[np.ndarray]) -> None:
    file = read_tflite(small.path)
    ours = CBackend(small.path, file)
    from edgeemo.backends.tflite import TfliteBackend

    theirs = TfliteBackend(small.path, file, reference=True)
    apart = [
        np.abs(ours.run(x)["adv"] - theirs.run(x)["adv"]).max()
        for x in (log_mel(s)[np.newaxis] for s in sounds[:8])
    ]
    scale = next(t.scales[0] for t in read_graph(file.model).tensors if t.name == "adv")
    assert np.max(apart) <= 3.01 * scale


def test_a_layer_makes_good_what_the_ones_before_have_left(
    taught: Callable[[str], Student], sounds: list[np.ndarray]
) -> None:
    student = taught("wav2small-stream")
    clips = [log_mel(s, student.spec) for s in sounds]
    made = rounded_int4(student, clips[::2], 127)
    few = [
        name
        for name, layer in made.named_modules()
        if isinstance(layer, nn.Conv2d) and on_int4_steps(layer.weight.detach().numpy())
    ]
    assert len(few) == 9 and "shrink.0.conv" not in few

    def embedding(of: Student) -> np.ndarray:
        with torch.inference_mode():
            return np.concatenate(
                [of(torch.from_numpy(c)[None], None).embedding.numpy() for c in clips[1::2]]
            )

    # Judged on clips whose inputs were not looked at, beside each weight on its nearest step.
    wanted = embedding(student)
    errors = [np.abs(embedding(s) - wanted).mean() for s in (made, _nearest(student, few))]
    assert errors[0] < 0.5 * errors[1]


def _nearest(student: Student, few: list[str]) -> Student:
    made = rounded(student, [np.zeros((40, 40), np.float32)], 127)
    with torch.no_grad():
        for name in few:
            old, new = (s.get_submodule(name).weight for s in (student, made))
            steps = old.abs().flatten(1).amax(1).view(-1, 1, 1, 1) / LARGEST
            new.copy_(torch.round(old / steps) * steps)
    return made


def test_two_lie_in_a_byte_the_first_below() -> None:
    assert unpack_int4(np.array([0x71, 0x0F], np.uint8), (3,)).tolist() == [1, 7, -1]


def test_a_c_folder_holds_them_packed(small: ExportResult, tmp_path: Path) -> None:
    """It passes its own self-test, whose clip Python's stream has heard."""
    folder = write_folder(small.path, tmp_path / "c")
    parts = (folder.path / "src" / "edgeemo_parts.h").read_text()
    assert "#define EDGEEMO_WITH_INT4 1" in parts
    blob = len(compile_graph(read_graph(read_tflite(small.path).model)).data)
    assert folder.flash < blob + 7000
    if folder.costs:  # 114 KB in int8
        assert folder.costs["flash"] < 83_000 and folder.costs["memory"] <= folder.memory


def test_parity_refuses_them_as_ever(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ParityFailed, match=r"int4\.tflite is not written"):
        export(
            run.folder, ("tflite",), int4=True, out=tmp_path, limits=Tolerances(ccc=1e-5, fewest=2)
        )
    assert not list(tmp_path.iterdir())


def test_only_convolutions_may_have_them(small: ExportResult) -> None:
    file = read_tflite(small.path)
    model = unpack(file.model)
    graph = model.subgraphs[0]
    head = next(o for o in graph.operators if graph.tensors[o.inputs[1]].shape.tolist() == [3, 64])
    weights = graph.tensors[head.inputs[1]]
    weights.type = schema.TensorType.INT4
    model.buffers[weights.buffer].data = model.buffers[weights.buffer].data[:96]
    with pytest.raises(BadArtifact, match="FULLY_CONNECTED: int8 constants are expected, not int4"):
        with_card(pack(model), file.card)


def test_bytes_that_are_too_few_are_refused(small: ExportResult) -> None:
    file = read_tflite(small.path)
    model = unpack(file.model)
    weights = next(t for t in model.subgraphs[0].tensors if t.type == schema.TensorType.INT4)
    model.buffers[weights.buffer].data = model.buffers[weights.buffer].data[:-1]
    with pytest.raises(BadArtifact, match="type 17 has"):
        with_card(pack(model), file.card)
    check(with_card(pack(unpack(file.model)), file.card))


def test_a_format_without_them_is_named(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadInput, match="--int4 is for the formats tflite and c, not onnx"):
        export(run.folder, ("onnx",), int4=True)
    assert cli.main(["export", str(run.folder), "--int4"]) == 2
    assert "use --int8 there" in capsys.readouterr().err
