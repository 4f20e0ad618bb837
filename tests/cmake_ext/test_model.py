"""The int8 engine: against its formulas, against LiteRT, and against itself in every form."""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeemo import _native
from edgeemo.artifacts.engine_blob import compile_graph
from edgeemo.artifacts.engine_compiler import CannotRun
from edgeemo.artifacts.teachers_package import need
from edgeemo.artifacts.tflite_graph import Graph, Tensor, read_graph
from edgeemo.audio import read_audio
from edgeemo.errors import BadArtifact
from edgeemo.features import log_mel

LAYER = _native.model_layout()["layer_format"]
ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
FILE = GOLDEN / "stream-int8.tflite"
FRAMES = 300


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = _module(GOLDEN / "int8.py")


@pytest.fixture(scope="module")
def graph() -> Graph:
    return read_graph(FILE.read_bytes())


def speech(clips: int = 1) -> list[NDArray[np.float32]]:
    """Features of shipped real speech."""
    paths = sorted(need("speech").rglob("*.flac"))
    assert len(paths) >= clips
    return [log_mel(read_audio(path)) for path in paths[:: len(paths) // clips][:clips]]


def clip() -> NDArray[np.float32]:
    return np.resize(speech()[0], (FRAMES, 40))


def outputs(model: _native.Model) -> NDArray[np.int8]:
    out = np.zeros(model.info()["values"], np.int8)
    assert model.outputs(out) == len(out)
    return out


def test_every_tensor_is_the_reference(graph: Graph) -> None:
    """To the bit, with each set of kernels; share=False keeps all rows."""
    features = clip()
    rows = reference.quantize(features, graph.tensors[graph.inputs[0]])
    want = reference.run(graph, rows)
    blob = compile_graph(graph, share=False)
    for kernels in _native.model_kernels():
        model = _native.Model(blob.data, FRAMES, kernels)
        assert model.push(features) == FRAMES // 4
        outputs(model)
        for index, number in enumerate(blob.origin):
            found = np.zeros(want[number].shape, np.int8)
            assert model.rows(index, found) > 0
            different = np.argwhere(found != want[number])
            assert len(different) == 0, f"{kernels}: tensor {number}, first at {different[0]}"


def test_layers_are_within_a_step_of_litert(graph: Graph) -> None:
    """Each operator alone, on what LiteRT's reference kernels gave it."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    runner = Interpreter(
        model_content=FILE.read_bytes(),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
    )
    runner.allocate_tensors()
    rows = reference.quantize(clip(), graph.tensors[graph.inputs[0]])
    runner.set_tensor(runner.get_input_details()[0]["index"], rows[np.newaxis, :, :, np.newaxis])
    runner.invoke()
    made = [o.outputs[0] for o in graph.operators]
    theirs = {i: runner.get_tensor(i).astype(np.int64) for i in [*graph.inputs, *made]}
    apart = 0
    for operator in graph.operators:
        ours = reference.step(graph, operator, theirs)
        distance = abs(ours - theirs[operator.outputs[0]])
        assert distance.max() <= 1, operator
        apart += int((distance > 0).sum())
    assert apart < 0.05 * sum(theirs[i].size for i in made)


@pytest.mark.parametrize("kernels", _native.model_kernels())
@pytest.mark.parametrize("block", [1, 2, 3, 7, 64, FRAMES])
def test_blocks_and_kernels_change_no_bit(graph: Graph, kernels: str, block: int) -> None:
    features = clip()
    want = _native.Model(compile_graph(graph, share=False).data, FRAMES, "portable")
    want.push(features)
    model = _native.Model(compile_graph(graph).data, block, kernels)
    model.push(features)
    assert (outputs(model) == outputs(want)).all()


@pytest.mark.parametrize("kernels", _native.model_kernels())
def test_four_bits_are_the_numbers_of_eight(
    graph: Graph, to_four_bits: Callable[[Graph], Graph], kernels: str
) -> None:
    """The same whole numbers as weights of both kinds: half of the bytes, the same bits."""
    four = to_four_bits(graph)
    eight = replace(four, tensors=tuple(_as_eight(t) for t in four.tensors))
    blobs = [compile_graph(g).data for g in (four, eight)]
    weights = sum(t.data.size for t in four.tensors if t.dtype == "int4" and t.data is not None)
    assert weights > 50_000 and len(blobs[1]) - len(blobs[0]) == weights // 2
    for block in (1, 64):
        models = [_native.Model(blob, block, kernels) for blob in blobs]
        for features in speech(3):
            found = []
            for model in models:
                model.reset()
                model.push(features)
                found.append(outputs(model))
            assert (found[0] == found[1]).all()


def _as_eight(tensor: Tensor) -> Tensor:
    return replace(tensor, dtype="int8") if tensor.dtype == "int4" else tensor


def test_an_engine_of_before_names_the_layout_that_four_bits_need(
    graph: Graph, to_four_bits: Callable[[Graph], Graph]
) -> None:
    blob = bytearray(compile_graph(to_four_bits(graph)).data)
    layout = _native.model_layout()
    assert struct.unpack_from("<2i", blob) == (layout["magic"], layout["version_int4"])
    assert struct.unpack_from("<i", compile_graph(graph).data, 4)[0] == layout["version"] == 3
    struct.pack_into("<i", blob, 4, layout["version_int4"] + 1)
    with pytest.raises(ValueError, match="another version than 3, or 4 with EDGEEMO_WITH_INT4"):
        _native.Model(bytes(blob))
    struct.pack_into("<i", blob, 4, layout["version"])  # and nobody reads halves as bytes
    with pytest.raises(ValueError, match="a layer of the model"):
        _native.Model(bytes(blob))


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 200), max_size=8), block=st.integers(1, 40))
def test_any_cut_gives_the_clip_so_far(cuts: list[int], block: int) -> None:
    """An estimate at any time is that of the frames so far; asking for it changes nothing."""
    blob = compile_graph(read_graph(FILE.read_bytes())).data
    features, whole = clip()[:200], _native.Model(blob, 64)
    stream, at = _native.Model(blob, block), 0
    for cut in [*sorted(cuts), 200]:
        tokens = stream.push(features[at:cut])
        at = max(at, cut)
        assert tokens == at // 4
        whole.reset()
        whole.push(features[:at])
        if tokens:
            assert (outputs(stream) == outputs(whole)).all()
        else:
            assert stream.outputs(np.zeros(11, np.int8)) < 0


def test_reset_gives_a_new_model(graph: Graph) -> None:
    model = _native.Model(compile_graph(graph).data, 4)
    model.push(clip()[::-1].copy())
    model.reset()
    model.push(clip())
    fresh = _native.Model(compile_graph(graph).data, 4)
    fresh.push(clip())
    assert (outputs(model) == outputs(fresh)).all()


def test_estimates_are_those_of_litert(graph: Graph) -> None:
    """Real clips: A/D/V within .005 of LiteRT's reference kernels, on average over each."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    runner = Interpreter(
        model_content=FILE.read_bytes(), experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    model = _native.Model(compile_graph(graph).data, 64)
    place = runner.get_input_details()[0]["index"]
    apart = []
    for features in speech(20):
        rows = reference.quantize(features, graph.tensors[graph.inputs[0]])
        runner.resize_tensor_input(place, [1, len(rows), 40, 1])
        runner.allocate_tensors()
        runner.set_tensor(place, rows[np.newaxis, :, :, np.newaxis])
        runner.invoke()
        adv = next(d for d in runner.get_output_details() if d["shape"][-1] == 3)
        theirs = runner.get_tensor(adv["index"])[0].astype(int)
        model.reset()
        model.push(features)
        apart.append(abs(outputs(model)[:3] - theirs) * adv["quantization"][0])
    assert np.mean(apart) <= 0.005 and np.max(apart) <= 0.02, (np.mean(apart), np.max(apart))


def test_value_that_is_no_number_is_the_end_of_the_range(graph: Graph) -> None:
    blob = compile_graph(graph).data
    for value, code in ((np.nan, -128), (-np.inf, -128), (np.inf, 127), (1e30, 127)):
        floats, ints = _native.Model(blob), _native.Model(blob)
        floats.push(np.full((8, 40), value, np.float32))
        ints.push(np.full((8, 40), code, np.int8))
        assert (outputs(floats) == outputs(ints)).all()


def test_streamable_is_told_alike(graph: Graph) -> None:
    blob = compile_graph(graph)
    assert blob.streamable and _native.Model(blob.data).info()["streamable"] == 1


def test_wrong_sizes_are_refused(graph: Graph) -> None:
    model = _native.Model(compile_graph(graph).data)
    assert model.push(np.zeros(39, np.float32)) < 0
    model.push(np.zeros((4, 40), np.float32))
    assert model.outputs(np.zeros(10, np.float32)) < 0
    with pytest.raises(ValueError, match="block"):
        _native.Model(compile_graph(graph).data, 0)
    with pytest.raises(ValueError, match="truncated"):
        _native.Model(b"no model at all, and not even of a sensible length")


def test_damaged_blobs_run_or_are_refused(graph: Graph) -> None:
    """Any word of the tables changed: an error, or a run that ends (the fuzz target has ASan)."""
    blob = compile_graph(graph).data
    generator = np.random.default_rng(5)
    words = struct.unpack_from("<11i", blob)
    refused = 0
    for _ in range(400):
        hostile = bytearray(blob)
        at = 4 * int(generator.integers(0, (words[6] + words[5] * struct.calcsize(LAYER)) // 4))
        value = int(generator.choice([0, 1, -1, 7, 128, 2**31 - 1, -(2**31), 65536]))
        struct.pack_into("<i", hostile, at, value)
        try:
            model = _native.Model(bytes(hostile), 4)
        except (ValueError, MemoryError):
            refused += 1
            continue
        info = model.info()
        if info["columns"] * info["channels"] == 40 and info["streamable"]:
            model.push(np.ones((20, 40), np.float32))
    assert 50 < refused < 400


def test_damaged_files_are_refused_by_name(graph: Graph) -> None:
    """No exception but BadArtifact, whatever byte is changed."""
    data = FILE.read_bytes()
    generator = np.random.default_rng(6)
    for _ in range(150):
        hostile = bytearray(data)
        for _ in range(int(generator.integers(1, 4))):
            hostile[int(generator.integers(0, 12000))] = int(generator.integers(0, 256))
        try:
            compile_graph(read_graph(bytes(hostile)))
        except BadArtifact:
            continue


def test_unknown_operator_is_named(graph: Graph) -> None:
    first, *rest = graph.operators
    other = Graph(
        graph.tensors,
        (type(first)("BATCH_MATMUL", first.inputs, first.outputs, {}), *rest),
        graph.inputs,
        graph.outputs,
    )
    with pytest.raises(CannotRun, match="BATCH_MATMUL"):
        compile_graph(other)
