"""Weights of four bits: which layers have them, what is lost, and the same numbers everywhere."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from edgeemo import _native, cli
from edgeemo.artifacts.engine_blob import compile_graph
from edgeemo.artifacts.int4 import unpack_int4
from edgeemo.artifacts.onnx import read_onnx
from edgeemo.artifacts.tflite import check, read_tflite
from edgeemo.artifacts.tflite_graph import Graph, read_graph
from edgeemo.backends.c import CBackend
from edgeemo.backends.onnx import OnnxBackend
from edgeemo.backends.tflite import TfliteBackend
from edgeemo.compress.run import Run
from edgeemo.compress.stages.rounding import rounded
from edgeemo.compress.stages.rounding_int4 import LARGEST, on_int4_steps, rounded_int4
from edgeemo.compress.students import Student, save_student
from edgeemo.errors import BadArtifact, ParityFailed
from edgeemo.export import ExportResult, export
from edgeemo.export.c_writer import Folder, write_folder
from edgeemo.export.job import text
from edgeemo.export.parity import Tolerances
from edgeemo.export.tflite_pack import pack, schema, unpack
from edgeemo.export.tflite_writer import with_card
from edgeemo.features import log_mel

from .conftest import outputs

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
def packed(small: ExportResult, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return write_folder(small.path, tmp_path_factory.mktemp("int4") / "c")


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
    assert names == ["LiteRT XNNPACK int4", "LiteRT reference int4", "TFLM int4"]
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
    theirs = TfliteBackend(small.path, file, reference=True)
    apart = [
        np.abs(ours.run(x)["adv"] - theirs.run(x)["adv"]).max()
        for x in (log_mel(s)[np.newaxis] for s in sounds[:8])
    ]
    assert np.mean(apart) <= 0.005 and np.max(apart) <= 0.02  # LiteRT rounds twice, ours once


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


def test_weights_that_were_trained_in_four_bits_stay(
    run: Run, make_run: Callable[[str, Path], Run], sounds: list[np.ndarray], tmp_path: Path
) -> None:
    """In the file are the integers on which `[qat]` leaves them."""
    student = run.student()
    clips = [log_mel(s, student.spec) for s in sounds]
    trained = rounded_int4(student, clips[:4], 127)
    again = make_run("wav2small-stream", tmp_path / "run")
    save_student(trained, again.folder / "student.pt")
    dimensions, probs = zip(*(outputs(trained, trained.spec, s) for s in sounds), strict=True)
    kept = replace(again.parity_set(), dimensions=np.stack(dimensions), probs=np.stack(probs))
    again.write_parity_set(kept)
    (result,) = export(again.folder, ("tflite",), int4=True, limits=WIDE)
    held = [t.data for t in read_graph(read_tflite(result.path).model).tensors if t.dtype == "int4"]
    layers = [m for m in trained.modules() if isinstance(m, nn.Conv2d)]
    wanted = [m.weight.detach().numpy() for m in layers if on_int4_steps(m.weight.detach().numpy())]
    assert len(held) == len(wanted) == 9
    for ours, theirs in zip(_sorted(held), _sorted([_integers(w) for w in wanted]), strict=True):
        assert np.array_equal(ours, theirs)


def _integers(weight: np.ndarray) -> np.ndarray:
    largest = np.abs(weight).max(axis=(1, 2, 3), keepdims=True)
    return np.rint(weight / largest * LARGEST).astype(np.int8).transpose(0, 2, 3, 1)


def _sorted(weights: list[np.ndarray]) -> list[np.ndarray]:
    return sorted(weights, key=lambda w: w.tobytes())


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


def test_a_c_folder_holds_them_packed(small: ExportResult, packed: Folder) -> None:
    """It has passed its own self-test, whose clip Python's stream has heard."""
    parts = (packed.path / "src" / "edgeemo_parts.h").read_text()
    assert "#define EDGEEMO_WITH_INT4 1" in parts
    blob = len(compile_graph(read_graph(read_tflite(small.path).model)).data)
    assert packed.flash < blob + 7000
    if packed.costs:  # 114 KB in int8
        assert packed.costs["flash"] < 83_000 and packed.costs["memory"] <= packed.memory


MAIN = """
#include <stdio.h>
#include "edgeemo_file.h"
static unsigned char bytes[200000] __attribute__((aligned(16)));
int main(int argc, char **argv)
{
    static edgeemo_file file;
    FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (!f)
        return 1;
    int status = edgeemo_file_open(&file, bytes, fread(bytes, 1, sizeof bytes, f));
    fclose(f);
    puts(edgeemo_model_status_text(status));
    return 0;
}
"""


def test_firmware_without_them_names_the_layout_that_is_needed(
    packed: Folder, c_folder: Folder, tmp_path: Path
) -> None:
    """A folder of an int8 student leaves the code out, so another's model.bin may be too new."""
    (tmp_path / "main.c").write_text(MAIN)
    said = {}
    for name, folder in (("int8", c_folder), ("int4", packed)):
        program, source = tmp_path / name, folder.path / "src"
        command = ["gcc", "-std=gnu99", f"-I{source}", tmp_path / "main.c", *source.glob("*.c")]
        subprocess.run([*command, "-o", program], check=True)
        for other in (c_folder, packed):
            run = [program, other.path / "model.bin"]
            done = subprocess.run(run, check=True, capture_output=True, text=True)
            said[name, other is packed] = done.stdout.strip()
    assert "another version than 3, or 4 with EDGEEMO_WITH_INT4" in said.pop(("int8", True))
    assert set(said.values()) == {"ok"}


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


# ---- ONNX ----


@pytest.fixture(scope="session")
def onnx_file(run: Run) -> ExportResult:
    (result,) = export(run.folder, ("onnx",), int4=True, limits=WIDE)
    return result


def test_onnx_holds_them_in_half_of_the_bytes(run: Run, onnx_file: ExportResult) -> None:
    (eight,) = export(run.folder, ("onnx",), int8=True, limits=WIDE)
    graph = onnx.load(onnx_file.path).graph
    packed = [t for t in graph.initializer if t.data_type == onnx.TensorProto.INT4]
    assert len(packed) == 9 and {n.input[0] for n in graph.node if n.op_type == "Cast"} == {
        t.name for t in packed
    }
    halves = sum(len(t.raw_data) for t in packed)
    assert halves - 1500 < eight.bytes - onnx_file.bytes < halves
    assert onnx_file.card.quantization.weight_bits == 4
    assert read_onnx(onnx_file.path).card.embedding == 128  # found in spite of the new layers


def test_onnx_gives_the_bits_of_the_same_numbers_in_eight(
    onnx_file: ExportResult, sounds: list[np.ndarray]
) -> None:
    """And as fast: after loading there are int8 convolutions alone."""
    plain = onnx.load(onnx_file.path)
    graph = plain.graph
    held = {t.name: t for t in graph.initializer}
    for cast in [n for n in graph.node if n.op_type == "Cast"]:
        numbers = unpack_int4(
            np.frombuffer(held[cast.input[0]].raw_data, np.uint8), tuple(held[cast.input[0]].dims)
        )
        held[cast.input[0]].CopyFrom(onnx.numpy_helper.from_array(numbers, cast.output[0]))
        graph.node.remove(cast)
    kinds = {t.data_type for t in graph.initializer}
    assert onnx.TensorProto.INT4 not in kinds
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(onnx_file.path.with_suffix(".optimized"))
    given = onnx_file.path.read_bytes(), plain.SerializeToString()
    four, eight = (onnxruntime.InferenceSession(data, options) for data in given)
    for sound in sounds[:5]:
        features = log_mel(sound)[np.newaxis]
        pairs = zip(*(s.run(None, {"features": features}) for s in (four, eight)), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)
    onnxruntime.InferenceSession(given[0], options)
    loaded = onnx.load(options.optimized_model_filepath).graph
    operators = [n.op_type for n in loaded.node]
    assert "Cast" not in operators and "Conv" not in operators
    assert operators.count("QLinearConv") == 16


def test_onnx_step_and_waveform_files_have_them_too(run: Run, tmp_path: Path) -> None:
    for more in ({"step": True}, {"waveform": True}):
        (result,) = export(run.folder, ("onnx",), int4=True, out=tmp_path, limits=WIDE, **more)
        graph = onnx.load(result.path).graph
        assert sum(t.data_type == onnx.TensorProto.INT4 for t in graph.initializer) == 9


def test_an_onnxruntime_without_them_is_told_of_the_one_that_is_needed(
    onnx_file: ExportResult, tmp_path: Path
) -> None:
    """Its complaint about an operator, here one that no version has, is not all that is said."""
    file = read_onnx(onnx_file.path)
    broken = file.data.replace(b"QLinearConv", b"QLinearCon4", 1)
    with pytest.raises(BadArtifact, match=r"4-bit weights need onnxruntime 1\.23 or later"):
        OnnxBackend(onnx_file.path, replace(file, data=broken))


def test_a_c_folder_is_told_by_what_was_run_and_by_its_own_bytes(run: Run, tmp_path: Path) -> None:
    told: list[str] = []
    (result,) = export(run.folder, ("c",), int4=True, out=tmp_path, limits=WIDE, log=told.append)
    assert [(r.runtime, r.bytes) for r in result.runtimes] == [("edgeemo C int4", result.bytes)]
    assert told and all(line.startswith("int4, ranges by ") for line in told)
    (line,) = [line for line in text(result).splitlines() if line.startswith("edgeemo C")]
    assert f" {result.bytes} " in line


def test_the_command_writes_every_format(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", str(run.folder), "--int4", "--format", "onnx,pdf"]
    assert cli.main(command) == 2 and "no format 'pdf'" in capsys.readouterr().err
