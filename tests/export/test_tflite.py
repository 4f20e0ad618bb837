"""TFLite files: whole integers, small, the same on every runtime, and streams of single hops."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgeemo
from edgeemo.artifacts.tflite import read_tflite
from edgeemo.backends import open_backend
from edgeemo.backends.tflite import TfliteBackend
from edgeemo.compress.run import Run
from edgeemo.compress.students import make_student
from edgeemo.errors import BadArtifact, BadData, BadInput
from edgeemo.export import ExportResult, export
from edgeemo.export.job import calibrate
from edgeemo.export.onnx_writer import OnnxWriter
from edgeemo.export.parity import Tolerances
from edgeemo.export.streaming import Step
from edgeemo.export.tflite_graph import check_operators, operators
from edgeemo.export.tflite_pack import ALIGNMENT, pack, schema, unpack
from edgeemo.export.tflm import MicroBackend
from edgeemo.export.writer import ExportInput
from edgeemo.features import log_mel
from edgeemo.types import CLASSES, DIMENSIONS

Streams = dict[str, ExportResult]

CAUSAL = {
    "RESHAPE",
    "DEPTHWISE_CONV_2D",
    "PAD",
    "CONV_2D",
    "ADD",
    "MEAN",
    "FULLY_CONNECTED",
    "SOFTMAX",
}


@pytest.fixture(scope="session")
def frames(sounds: list[np.ndarray]) -> np.ndarray:
    """4,000 frames of speech, 1,000 hops."""
    made = np.concatenate([log_mel(s, edgeemo.features.LOGMEL40) for s in sounds])
    return np.ascontiguousarray(np.resize(made, (4000, 40)))


def test_all_is_integer_and_the_operators_are_few(streams: Streams) -> None:
    for name in ("tflite", "tflite-step"):
        model = unpack(read_tflite(streams[name].path).model)
        kinds = {t.type for t in model.subgraphs[0].tensors}
        assert kinds == {schema.TensorType.INT8, schema.TensorType.INT32}
        more = {"CONCATENATION", "SLICE", "SUM"} if name.endswith("step") else set()
        assert set(operators(model)) <= CAUSAL | more
    whole = operators(unpack(read_tflite(streams["tflite"].path).model))
    # Two around the normalisation, which cost nothing, and none elsewhere.
    assert whole.count("RESHAPE") == 2
    assert whole[:4] == ["RESHAPE", "DEPTHWISE_CONV_2D", "RESHAPE", "PAD"]


def test_constants_are_inline_and_aligned(streams: Streams) -> None:
    data = streams["tflite"].path.read_bytes()
    model = schema.Model.GetRootAsModel(data, 0)
    places = 0
    for i in range(model.BuffersLength()):
        buffer = model.Buffers(i)
        assert buffer.Offset() == 0 and buffer.Size() == 0
        if buffer.DataLength():
            array = buffer.DataAsNumpy()
            at = (
                array.__array_interface__["data"][0]
                - np.frombuffer(data, np.uint8).__array_interface__["data"][0]
            )
            assert at % ALIGNMENT == 0
            places += 1
    assert places > 20


def test_constants_behind_the_flatbuffer_are_brought_in(streams: Streams) -> None:
    """Above 256 KB the quantizer moves them; TensorFlow Lite Micro then computes nonsense."""
    model = unpack(read_tflite(streams["tflite"].path).model)
    plain = pack(model)
    data = bytearray(plain)
    moved = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(plain, 0))
    at = next(i for i, b in enumerate(moved.buffers) if b.data is not None and len(b.data) > 1000)
    body = bytes(np.asarray(moved.buffers[at].data, np.uint8))
    moved.buffers[at].data = None
    moved.buffers[at].offset, moved.buffers[at].size = 2**20, len(body)
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(moved.Pack(builder), b"TFL3")
    data = bytes(builder.Output()).ljust(2**20, b"\0") + body
    assert pack(unpack(data)) == plain


def test_the_card_and_the_labels_lie_in_a_zip(streams: Streams) -> None:
    for name in ("tflite", "tflite-step"):
        with zipfile.ZipFile(streams[name].path) as archive:
            assert archive.testzip() is None
            assert archive.read("adv.txt").decode().split("\n") == list(DIMENSIONS)
            assert archive.read("probs.txt").decode().split("\n") == list(CLASSES)
            assert archive.getinfo("adv.txt").compress_type == zipfile.ZIP_STORED
        card = read_tflite(streams[name].path).card
        assert card.quantization.kind == "int8" and card.quantization.weight_bits == 8
        assert card.arena_bytes and card.hop == (4 if name.endswith("step") else 0)


def test_it_is_small(streams: Streams) -> None:
    result = streams["tflite"]
    assert result.bytes < result.card.parameters + 29_000


def test_the_same_run_gives_the_same_bytes(streams: Streams, tmp_path: Path) -> None:
    run = streams["tflite"].path.parents[1]
    limits = Tolerances(ccc=0.06)
    (again,) = export(run, ("tflite",), int8=True, out=tmp_path, limits=limits)
    assert again.path.read_bytes() == streams["tflite"].path.read_bytes()


def test_every_runtime_was_asked(streams: Streams) -> None:
    rows = {r.runtime: r for r in streams["tflite"].runtimes}
    assert set(rows) == {"LiteRT XNNPACK int8", "LiteRT reference int8", "TFLM int8"}
    micro = rows["TFLM int8"]
    assert micro.steps is not None and micro.steps <= 1.001 and micro.arena is not None
    for row in [*rows.values(), *streams["onnx"].runtimes, *streams["tflite-step"].runtimes]:
        # Layers that no training has settled round badly; what counts here is that all were run.
        assert min(row.ccc.values()) >= 0.6 and not row.faults


@pytest.mark.parametrize("name", ["wav2small", "wav2small-17k"])
def test_students_that_look_ahead_agree_on_every_runtime(
    name: str, make_run: Callable[[str, Path], Run], tmp_path: Path
) -> None:
    run = make_run(name, tmp_path / "run")
    (result,) = export(run.folder, ("tflite",), int8=True, limits=Tolerances(ccc=0.06))
    rows = {r.runtime: r for r in result.runtimes}
    # Not the reference kernels: theirs of SUM does not turn to the scale of the result.
    assert set(rows) == {"LiteRT XNNPACK int8", "TFLM int8"}
    micro = rows["TFLM int8"]
    # Layers that no training has settled carry a difference of one step on.
    assert micro.steps is not None and micro.steps <= 3.001 and micro.arena is not None
    assert min(min(r.ccc.values()) for r in rows.values()) >= 0.9
    assert not any(r.faults for r in rows.values())


def test_a_hop_needs_little_memory(streams: Streams) -> None:
    arena = next(r.arena for r in streams["tflite-step"].runtimes if r.arena)
    assert arena[0] <= 16_384


@pytest.mark.parametrize("name", ["onnx", "tflite", "tflm"])
def test_a_thousand_hops_give_what_the_whole_gives(
    name: str, streams: Streams, frames: np.ndarray
) -> None:
    path = streams["onnx-step" if name == "onnx" else "tflite-step"].path
    whole_path = streams["onnx" if name == "onnx" else "tflite"].path
    backend = MicroBackend(path) if name == "tflm" else open_backend(path, name)
    whole = open_backend(whole_path, "onnx" if name == "onnx" else "tflite").run(frames[None])
    stream = backend.step_model()  # type: ignore[attr-defined]
    for at in range(0, len(frames), 50):  # not a multiple of the hop
        stream.push(frames[at : at + 50])
    found = stream.outputs()
    limit = 0.01 if name == "onnx" else 0.03
    assert np.abs(found["adv"] - whole["adv"]).max() <= limit
    assert np.abs(found["probs"] - whole["probs"]).max() <= limit
    again = stream.outputs()
    assert all(np.array_equal(again[k], found[k]) for k in found)
    stream.reset()
    stream.push(frames[:400])
    first = stream.outputs()
    assert np.array_equal(first["adv"], backend.run(frames[None, :400])["adv"])
    assert np.abs(first["adv"] - found["adv"]).max() > 1e-4
    stream.reset()
    stream.push(frames[:3])
    with pytest.raises(BadInput, match="less than one hop of 4 frames"):
        stream.outputs()


def test_clips_of_any_length(streams: Streams, frames: np.ndarray) -> None:
    path = streams["tflite"].path
    for reference in (False, True):
        backend = TfliteBackend(path, read_tflite(path), reference)
        onnx = open_backend(streams["onnx"].path)
        for n in (40, 333, 40):
            got, want = backend.run(frames[None, :n]), onnx.run(frames[None, :n])
            assert np.abs(got["adv"] - want["adv"]).max() < 0.4
    session = edgeemo.load(streams["tflite"].path, "tflite")
    assert "backend tflite" in repr(session)
    assert session.predict(np.zeros(16000, np.float32), gate=None).arousal is not None


def test_an_operator_that_the_target_lacks_is_named(streams: Streams) -> None:
    model = unpack(read_tflite(streams["tflite"].path).model)
    for tensor in model.subgraphs[0].tensors:
        tensor.name = b"a/types.Conv_shrink/types.Relu_0;1"
    code = model.operatorCodes[model.subgraphs[0].operators[5].opcodeIndex]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SIN
    with pytest.raises(BadArtifact, match=r"layer shrink\.0: the operator SIN"):
        check_operators(model)


def test_silence_is_no_calibration(run: Run) -> None:
    kept = run.parity_set()
    silent = replace(kept, features=tuple(np.full_like(f, -13.8) for f in kept.features))
    trained = ExportInput(run.student(), run_card(run))
    with pytest.raises(BadData, match="all silence"):
        calibrate(OnnxWriter(), trained, silent, Tolerances(), lambda text: None)


def run_card(run: Run) -> object:
    from edgeemo.export.cards import card_of_run

    return card_of_run(run.facts())


def test_what_looks_ahead_has_no_hops(run: Run, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="wav2small-17k looks ahead"):
        Step(make_student("wav2small-17k"), 1.0)
    with pytest.raises(BadInput, match="looks ahead"):
        export(run.folder, ("onnx",), out=tmp_path, step=True)
    with pytest.raises(BadInput, match="--waveform is for the format onnx"):
        export(run.folder, ("tflite",), out=tmp_path, waveform=True)
    assert list(tmp_path.iterdir()) == []
