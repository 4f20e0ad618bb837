"""Tiny ONNX files for teachers.

Their outputs are polynomials of two statistics of the input, or known numbers, so that what is
expected is written here in numpy.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(3)


W3 = RNG.normal(size=(2, 3)).astype(np.float32)


B3 = np.array([0.9, 0.5, 0.1], np.float32)


W9 = (3 * RNG.normal(size=(2, 9))).astype(np.float32)


def statistics(x: np.ndarray) -> np.ndarray:
    """Mean of |x| and of x² over all axes; [1, 2]."""
    wide = x.astype(np.float64)
    return np.array([[np.abs(wide).mean(), (wide**2).mean()]])


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def save_onnx(
    path: Path, rank: int = 2, bias=B3, names=("hidden_states", "logits", "scores"), frames=False
) -> Path:
    """hidden_states [1, 2], logits [1, 3], scores [1, 9] (softmax) of samples or features."""
    axes = list(range(1, rank))
    hidden, logits, scores = names
    nodes = [
        helper.make_node("Abs", ["input"], ["abs"]),
        helper.make_node("Mul", ["input", "input"], ["square"]),
        helper.make_node("ReduceMean", ["abs"], ["m1"], axes=axes, keepdims=0),
        helper.make_node("ReduceMean", ["square"], ["m2"], axes=axes, keepdims=0),
        helper.make_node("Reshape", ["m1", "shape"], ["r1"]),
        helper.make_node("Reshape", ["m2", "shape"], ["r2"]),
        helper.make_node("Concat", ["r1", "r2"], [hidden], axis=1),
        helper.make_node("Gemm", [hidden, "w3", "b3"], [logits]),
        helper.make_node("MatMul", [hidden, "w9"], ["raw"]),
        helper.make_node("Softmax", ["raw"], [scores], axis=1),
    ]
    constants = {"w3": W3, "b3": np.asarray(bias, np.float32), "w9": W9}
    tensors = [numpy_helper.from_array(v, k) for k, v in constants.items()]
    tensors.append(numpy_helper.from_array(np.array([1, 1], np.int64), "shape"))
    outputs = {hidden: [1, 2], logits: [1, 3], scores: [1, 9]}
    if frames:  # features over time, as FunASR's own export of emotion2vec gives them
        nodes.append(helper.make_node("Identity", ["input"], ["frames"]))
        outputs = {"frames": [1, None]}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, *[None] * (rank - 1)])],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in outputs.items()],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def logits_of(x: np.ndarray, bias=B3) -> np.ndarray:
    return (statistics(x) @ W3 + bias)[0]


def face_graph(path, numbers, shape):
    """A model that says `numbers` of any picture, and adds its mean to the first of them."""
    made = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["mean", "first"], ["light"]),
            helper.make_node("Add", ["light", "numbers"], ["y"]),
        ],
        "known",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, len(numbers)])],
        [
            helper.make_tensor("numbers", TensorProto.FLOAT, [1, len(numbers)], numbers),
            helper.make_tensor(
                "first", TensorProto.FLOAT, [1, len(numbers)], [1.0] + [0.0] * (len(numbers) - 1)
            ),
        ],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
