"""PReLU in four operators says what the one operator said, to the bit."""

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from edgeemo.export.fused import spell_out_prelu


def said(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(None, {"x": x})
    return y


def test_no_bit_changes() -> None:
    slopes = np.array([-2.5, -0.3, 0, 0.25, 1, 1.7], np.float32)
    value = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("PRelu", ["x", "slope"], ["a"]),
            helper.make_node("PRelu", ["a", "slope"], ["y"]),
        ],
        "two",
        [helper.make_tensor_value_info("x", value, [1, 6, 40, 40])],
        [helper.make_tensor_value_info("y", value, [1, 6, 40, 40])],
        [numpy_helper.from_array(slopes.reshape(6, 1, 1), "slope")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    x = np.random.default_rng(0).normal(0, 3, (1, 6, 40, 40)).astype(np.float32)
    x[0, :, 0, 0] = 0
    wanted = said(model, x)
    spell_out_prelu(model.graph)
    onnx.checker.check_model(model)
    assert [n.op_type for n in model.graph.node] == ["Relu", "Sub", "Mul", "Add"] * 2
    assert np.array_equal(said(model, x), wanted)
