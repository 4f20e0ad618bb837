"""What a file holds: small, without traces of the machine, and the same numbers as before."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import edgeemo
from edgeemo.compress.run import Run
from edgeemo.compress.students import Student
from edgeemo.export import export
from edgeemo.export.graph import shrink
from edgeemo.export.int8 import ActivationRecorder, quantize
from edgeemo.export.onnx_writer import float_graph
from edgeemo.export.writer import QuantConfig
from edgeemo.features import log_mel

NAME = "wav2small-17k"


@pytest.fixture(scope="session")
def parts(
    taught: Callable[[str], Student], sounds: list[np.ndarray]
) -> tuple[Any, Any, list[np.ndarray]]:
    """Float graph, int8 graph, and features to run them on."""
    student = taught(NAME)
    features = [log_mel(s, student.spec)[None] for s in sounds[:6]]
    graph = float_graph(student, 1.5)
    table = ActivationRecorder(graph).observe(features).table("minmax")
    return graph, quantize(graph, QuantConfig(table)), features


def run(model: Any, features: list[np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return [
        np.concatenate(session.run(["adv", "probs"], {"features": f}), axis=1) for f in features
    ]


@pytest.mark.parametrize("which", [0, 1], ids=["float", "int8"])
def test_shrinking_changes_no_bit(parts: tuple[Any, Any, list[np.ndarray]], which: int) -> None:
    model, features = parts[which], parts[2]
    small = onnx.ModelProto()
    small.CopyFrom(model)
    shrink(small)
    onnx.checker.check_model(small)
    assert len(small.SerializeToString()) < len(model.SerializeToString())
    for got, want in zip(run(small, features), run(model, features), strict=True):
        assert (got == want).all()
    operators = {n.op_type for n in small.graph.node}
    assert ("QLinearConv" in operators, "Conv" in operators) == (which == 1, which == 0)
    keys = [(t.data_type, tuple(t.dims), t.raw_data) for t in small.graph.initializer]
    assert len(keys) == len(set(keys))


def test_weights_are_seven_bit_and_activations_unsigned(
    parts: tuple[Any, Any, list[np.ndarray]],
) -> None:
    graph = parts[1].graph
    weights = [
        onnx.numpy_helper.to_array(t)
        for t in graph.initializer
        if t.data_type == onnx.TensorProto.INT8 and np.prod(t.dims) > 100
    ]
    assert len(weights) >= 8
    assert all(np.abs(w.astype(int)).max() <= 64 for w in weights)
    assert max(np.abs(w.astype(int)).max() for w in weights) >= 63  # the bits are used
    constants = {t.name: t for t in graph.initializer}
    kinds = {constants[n.input[2]].data_type for n in graph.node if n.op_type == "QuantizeLinear"}
    assert kinds == {onnx.TensorProto.UINT8}


def test_the_outputs_are_not_rounded(parts: tuple[Any, Any, list[np.ndarray]]) -> None:
    makers = {name: n.op_type for n in parts[1].graph.node for name in n.output}
    assert makers["adv"] == "Gemm" and makers["probs"] == "Softmax"


def test_heads_can_stay_float(parts: tuple[Any, Any, list[np.ndarray]]) -> None:
    graph, _, features = parts
    table = ActivationRecorder(graph).observe(features).table("minmax")
    model = quantize(graph, QuantConfig(table, float_head=True))
    constants = {t.name: t.data_type for t in model.graph.initializer}
    heads = [n for n in model.graph.node if n.op_type == "Gemm"]
    assert len(heads) == 2
    assert all(constants[n.input[1]] == onnx.TensorProto.FLOAT for n in heads)


@pytest.mark.parametrize("waveform", [False, True])
def test_nothing_of_the_machine_is_in_a_file(run: Run, tmp_path: Path, waveform: bool) -> None:
    (result,) = export(run.folder, int8=True, out=tmp_path, waveform=waveform)
    model = onnx.load(result.path)
    onnx.checker.check_model(model)
    assert not model.metadata_props
    assert not model.graph.value_info and not model.graph.doc_string
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    assert all(not n.name and not n.domain and not n.metadata_props for n in model.graph.node)
    data = result.path.read_bytes()
    assert not re.search(rb"(/home/|/root/|/tmp/|/usr/|\.py\b|torch)", data)


NUMBERS = """
import sys
import numpy as np
import edgeemo
session = edgeemo.load(sys.argv[1])
held = np.load(sys.argv[2])
clips = np.split(held["samples"], np.cumsum(held["sample_lengths"])[:-1])
said = [session.predict(clip, gate=None) for clip in clips[:8]]
np.save(sys.argv[3], [[e.arousal, e.dominance, e.valence] for e in said])
"""


def test_a_processor_without_vnni_gives_the_same(run: Run, tmp_path: Path, qemu: str) -> None:
    """8-bit weights would saturate there, silently; see WEIGHT_BITS."""
    (result,) = export(run.folder, int8=True, out=tmp_path)
    held = run.folder / "parity" / "parity.npz"
    env = os.environ | {"PYTHONPATH": str(Path(edgeemo.__file__).parents[1])}
    found = []
    for name, prefix in (("here", []), ("haswell", [qemu, "-cpu", "Haswell"])):
        out = tmp_path / f"{name}.npy"
        command = [*prefix, sys.executable, "-c", NUMBERS, str(result.path), str(held), str(out)]
        subprocess.run(command, check=True, env=env, timeout=600)
        found.append(np.load(out))
    assert np.abs(found[0] - found[1]).max() <= 2e-3
