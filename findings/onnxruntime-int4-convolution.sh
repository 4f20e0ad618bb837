#!/usr/bin/env bash
# onnxruntime computes a quantized convolution in floats when its weights have four bits, and in int8
# when the same four bits pass a Cast; before 1.23 it refuses that Cast.
#
# Seen with onnx 1.22.0 and onnxruntime 1.32.0, 1.23.2 and 1.22.1 (CPU). A convolution between
# QuantizeLinear and DequantizeLinear, weights -7..7, as the optimizer leaves it:
#
#     weights                                     1.32.0, 1.23.2          1.22.1
#     int8 -> DequantizeLinear                    QLinearConv             QLinearConv
#     int4 -> DequantizeLinear                    Conv in floats          Conv in floats
#     int4 -> Cast to int8 -> DequantizeLinear    QLinearConv             NOT_IMPLEMENTED: Cast
#
# The first and the last give the same bits and onnx.checker passes all three. The constant is cast
# once, on loading, so a file of half the size runs as fast as one in int8.
# Exit status 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export HOME=$PWD ORT_DISABLE_TELEMETRY=1
cat > look.py <<'PYTHON'
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h

rng = np.random.default_rng(0)
weights = rng.integers(-7, 8, (8, 4, 1, 1), dtype=np.int8)
clip = rng.normal(0, 1, (1, 4, 20, 10)).astype(np.float32)


def constant(name, kind, values, dims=()):
    return h.make_tensor(name, kind, dims, np.ravel(values).tolist())


def model(kind, cast):
    """x is quantized, convolved with weights of `kind`, and quantized again."""
    held = "stored" if cast else "w"
    nodes = [
        h.make_node("QuantizeLinear", ["x", "step", "zero"], ["xq"]),
        h.make_node("DequantizeLinear", ["xq", "step", "zero"], ["xd"]),
        h.make_node("DequantizeLinear", ["w", "wstep"], ["wd"]),
        h.make_node("Conv", ["xd", "wd"], ["c"]),
        h.make_node("QuantizeLinear", ["c", "ystep", "zero"], ["yq"]),
        h.make_node("DequantizeLinear", ["yq", "ystep", "zero"], ["y"]),
    ]
    if cast:
        nodes.insert(0, h.make_node("Cast", ["stored"], ["w"], to=T.INT8))
    constants = [
        constant("step", T.FLOAT, 0.02),
        constant("ystep", T.FLOAT, 0.05),
        constant("wstep", T.FLOAT, 0.1),
        constant("zero", T.INT8, 0),
        constant(held, kind, weights, weights.shape),
    ]
    graph = h.make_graph(
        nodes,
        "four bits",
        [h.make_tensor_value_info("x", T.FLOAT, clip.shape)],
        [h.make_tensor_value_info("y", T.FLOAT, (1, 8, 20, 10))],
        constants,
    )
    made = h.make_model(graph, opset_imports=[h.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


def run(kind, cast):
    """The operator that is left of the convolution, and its results."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = "left.onnx"
    try:
        session = ort.InferenceSession(
            model(kind, cast), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        assert "NOT_IMPLEMENTED" in str(error) and "Cast" in str(error), error
        return "refused", None
    kinds = [node.op_type for node in onnx.load("left.onnx").graph.node]
    (left,) = [kind for kind in kinds if "Conv" in kind]
    return left, session.run(None, {"x": clip})[0]


eight, plain, cast = run(T.INT8, False), run(T.INT4, False), run(T.INT4, True)
print(ort.__version__, eight[0], plain[0], cast[0], sep="; ")
assert eight[0] == "QLinearConv" and plain[0] in ("Conv", "FusedConv")
if ort.__version__.startswith("1.22."):
    assert cast[0] == "refused"
else:
    assert cast[0] == "QLinearConv" and np.array_equal(cast[1], eight[1])
PYTHON
for version in 1.22.1 1.23.2 1.32.0; do
    python3 -m venv "venv-$version"
    "venv-$version/bin/python" -m pip install -q --disable-pip-version-check \
        "onnxruntime==$version" onnx==1.22.0 numpy==2.4.6
    "venv-$version/bin/python" look.py
done
