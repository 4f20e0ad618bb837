"""The operators that an ONNX file may use, each with the rule that infers what it makes.

None of them runs other code or reads other files. Shapes alone decide how much memory and time a
graph takes, so they are inferred before a runtime allocates anything; an operator without a rule
here is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import numpy as np

from edgeemo.artifacts import onnx_arithmetic as arithmetic
from edgeemo.artifacts import onnx_layout as layout
from edgeemo.artifacts.onnx_values import Rule

_SAME = (
    "Abs",
    "Clip",
    "Erf",
    "Exp",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "Log",
    "Neg",
    "Not",
    "Reciprocal",
    "Relu",
    "Sigmoid",
    "Softmax",
    "Sqrt",
    "Tanh",
)
_REDUCTIONS = ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum")

OPERATORS: Mapping[str, Rule] = {
    **dict.fromkeys(_SAME, arithmetic.same),
    **dict.fromkeys(_REDUCTIONS, arithmetic.reduce),
    "Add": arithmetic.elementwise(np.add),
    "And": arithmetic.elementwise(np.logical_and, np.bool_),
    "AveragePool": arithmetic.pool,
    "BatchNormalization": arithmetic.batch_norm,
    "Cast": layout.cast,
    "Concat": layout.concat,
    "Constant": layout.constant,
    "ConstantOfShape": layout.constant_of_shape,
    "Conv": arithmetic.conv,
    "DequantizeLinear": arithmetic.quantize,
    "Div": arithmetic.elementwise(arithmetic.divide),
    "Equal": arithmetic.elementwise(np.equal, np.bool_),
    "Expand": layout.expand,
    "Flatten": layout.flatten,
    "Gather": layout.gather,
    "Gemm": arithmetic.gemm,
    "GlobalAveragePool": arithmetic.global_pool,
    "GlobalMaxPool": arithmetic.global_pool,
    "Greater": arithmetic.elementwise(np.greater, np.bool_),
    "LayerNormalization": arithmetic.norm,
    "Less": arithmetic.elementwise(np.less, np.bool_),
    "MatMul": arithmetic.matmul,
    "Max": arithmetic.elementwise(lambda *v: reduce(np.maximum, v), least=1),
    "MaxPool": arithmetic.pool,
    "Min": arithmetic.elementwise(lambda *v: reduce(np.minimum, v), least=1),
    "Mul": arithmetic.elementwise(np.multiply),
    "Or": arithmetic.elementwise(np.logical_or, np.bool_),
    "PRelu": arithmetic.elementwise(),
    "Pad": layout.pad,
    "Pow": arithmetic.elementwise(),
    "QLinearConv": arithmetic.quantized_conv,
    "QuantizeLinear": arithmetic.quantize,
    "Range": layout.range_of,
    "Reshape": layout.reshape,
    "Shape": layout.shape,
    "Slice": layout.slice_of,
    "Split": layout.split,
    "Squeeze": layout.squeeze,
    "Sub": arithmetic.elementwise(np.subtract),
    "Transpose": layout.transpose,
    "Unsqueeze": layout.unsqueeze,
    "Where": arithmetic.elementwise(np.where, least=3),
}
"""Rule by operator.

Each is called with the node and its inputs, in order, None for one that is left out. It returns a
value for each output and raises BadArtifact where the operator cannot run in that form.
"""
