"""The sets of kernels on layers of all shapes: against the formulas, to the bit."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeemo import _native
from edgeemo.artifacts.engine_blob import compile_graph
from edgeemo.artifacts.tflite_graph import NONE, RELU6, VALID, Graph, Operator, Tensor

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
ROWS = 24


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = _module(GOLDEN / "int8.py")


def _tensor(
    shape: tuple[int, ...], dtype: str = "int8", data: NDArray[Any] | None = None,
    scale: float | NDArray[np.float32] = 0.05, zero: int = -7, axis: int = 0,
) -> Tensor:  # fmt: skip
    scales = np.atleast_1d(np.asarray(scale, np.float32))
    return Tensor(shape, dtype, data, scales, np.full(len(scales), zero), axis, "adv")


def _layer(
    columns: int, channels: int, outputs: int, kernel: tuple[int, int], *, depthwise: bool = False,
    strides: tuple[int, int] = (1, 1), dilations: tuple[int, int] = (1, 1), activation: int = NONE,
    scale: float = 0.05, int4: bool = False,
) -> Graph:  # fmt: skip
    """A layer with weights on [ROWS, columns, channels], and a mean, which makes it a model."""
    draw = np.random.default_rng(columns + 97 * channels + 31 * outputs)
    shape = (1, *kernel, channels) if depthwise else (outputs, *kernel, channels)
    most = 8 if int4 else 127  # of int4 the lowest is there, too
    weights = draw.integers(-most, 8 if int4 else 128, shape).astype(np.int8)
    bias = draw.integers(-3000, 3000, outputs).astype(np.int32)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    made = [(n - span) // s + 1 for n, s, span in zip((ROWS, columns), strides, spans, strict=True)]
    factors = draw.uniform(0.127, 2.54, outputs).astype(np.float32) / np.float32(most)
    tensors = (
        _tensor((1, ROWS, columns, channels)),
        _tensor(
            shape,
            "int4" if int4 else "int8",
            weights,
            scale=factors,
            zero=0,
            axis=3 if depthwise else 0,
        ),
        _tensor((outputs,), "int32", bias, factors * np.float32(0.05), 0),
        _tensor((1, *made, outputs), scale=scale, zero=11),
        _tensor((2,), "int32", np.array([1, 2], np.int32)),
        _tensor((1, outputs), scale=scale, zero=11),
    )
    options = {
        "padding": VALID, "stride_rows": strides[0], "stride_columns": strides[1],
        "dilation_rows": dilations[0], "dilation_columns": dilations[1], "activation": activation,
    }  # fmt: skip
    name = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    steps = (Operator(name, (0, 1, 2), (3,), options), Operator("MEAN", (3, 4), (5,), {}))
    return Graph(tensors, steps, (0,), (5,))


LAYERS = {
    "one output": _layer(1, 3, 1, (1, 1)),
    "spans of 5": _layer(9, 1, 24, (3, 5), strides=(2, 2)),
    "spans of 7": _layer(6, 7, 9, (2, 1)),
    "32 outputs": _layer(10, 24, 32, (1, 1)),
    "33 outputs": _layer(3, 5, 33, (3, 3)),
    "two groups": _layer(3, 20, 15, (1, 3)),
    "many columns": _layer(61, 3, 8, (3, 3)),
    "dilated": _layer(12, 6, 17, (3, 3), dilations=(2, 3)),
    "int4, rest of 12": _layer(3, 5, 33, (3, 3), int4=True),
    "int4, two at once": _layer(3, 72, 30, (3, 3), strides=(2, 2), int4=True),
    "int4, one by one": _layer(4, 24, 7, (1, 1), activation=RELU6, int4=True),
    "int4, large": _layer(2, 300, 6, (1, 2), int4=True),
    "limits": _layer(5, 12, 16, (3, 1), activation=RELU6),
    "large factor": _layer(4, 2, 7, (1, 2), scale=0.00002),
    "depthwise of 1": _layer(8, 1, 1, (3, 3), depthwise=True),
    "depthwise of 10": _layer(7, 10, 10, (3, 3), strides=(1, 2), depthwise=True),
    "depthwise of 24": _layer(20, 24, 24, (3, 3), strides=(1, 2), depthwise=True),
    "depthwise of 72": _layer(1, 72, 72, (5, 1), depthwise=True),
    "depthwise, dilated": _layer(9, 33, 33, (2, 3), dilations=(3, 2), depthwise=True),
    "depthwise, limits": _layer(1, 37, 37, (4, 1), activation=RELU6, depthwise=True),
}


@pytest.mark.parametrize("name", LAYERS)
def test_every_shape_of_layer_is_the_reference(name: str) -> None:
    graph = LAYERS[name]
    draw = np.random.default_rng(3)
    rows = draw.integers(-128, 128, graph.tensors[0].shape[1:]).astype(np.int8)
    want = reference.step(graph, graph.operators[0], {0: rows.astype(np.int64)[np.newaxis]})
    blob = compile_graph(graph, share=False)
    for kernels in _native.model_kernels():
        model = _native.Model(blob.data, ROWS, kernels)
        assert model.push(rows) >= 0
        found = np.zeros(want.shape, np.int8)
        assert model.rows(blob.origin.index(3), found) > 0
        different = np.argwhere(found != want)
        assert len(different) == 0, f"{kernels}: first at {different[0]}"
