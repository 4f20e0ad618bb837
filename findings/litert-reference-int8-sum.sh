#!/usr/bin/env bash
# LiteRT: it is the reference kernel that adds int8 wrongly.
#
# Seen with ai-edge-litert 2.3.0. `OpResolverType.BUILTIN_REF` is what one judges other kernels, a C
# engine or TFLM by. Operator SUM in int8, input and output of scale 1 and zero point 0:
#
#     values                    sum   default   without XNNPACK   reference
#     [1, 2, 3, 4]               10        10                10          10
#     [-1, -2, -3, -4]          -10       -10               -10          -1
#     [5, -5, 5, -5]              0         0                 0          -1
#     [50, 60, 10, 30]          127       127               127        -106
#
# All of this is as if it took the bytes for unsigned ones, and the sum for one of 0 to 255. No
# error is raised. MEAN, by the same resolver, is right.
# Exit status 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install -q --disable-pip-version-check ai-edge-litert==2.3.0 \
    flatbuffers==25.12.19 numpy==2.4.6
venv/bin/python - 2>noise <<'PYTHON'
import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType


def reduction(operator_code):
    """A model that reduces int8 [1, 4] to int8 [1, 1]."""
    axis = schema.BufferT()
    axis.data = np.frombuffer(np.int32(1).tobytes(), np.uint8)
    tensors = []
    for name, shape, kind in (
        (b"x", [1, 4], schema.TensorType.INT8),
        (b"axis", [1], schema.TensorType.INT32),
        (b"y", [1, 1], schema.TensorType.INT8),
    ):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, shape, kind
        if kind == schema.TensorType.INT8:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.array([1], np.float32)
            tensor.quantization.zeroPoint = np.array([0], np.int64)
        else:
            tensor.buffer = 1
        tensors.append(tensor)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = operator_code
    code.version = 2
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0, 1], [2]
    operator.builtinOptionsType = schema.BuiltinOptions.ReducerOptions
    operator.builtinOptions = schema.ReducerOptionsT()
    operator.builtinOptions.keepDims = True
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [0], [2], [operator]
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [schema.BufferT(), axis]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def result(model, values, resolver):
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, np.array([values], np.int8))
    interpreter.invoke()
    return int(interpreter.get_tensor(2)[0, 0])


KINDS = (
    OpResolverType.AUTO,
    OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    OpResolverType.BUILTIN_REF,
)
total, mean = (reduction(c) for c in (schema.BuiltinOperator.SUM, schema.BuiltinOperator.MEAN))
print(f"{'values':<24}{'sum':>5}{'default':>10}{'without XNNPACK':>18}{'reference':>12}")
fast_right, wrong = True, 0
for values in ([1, 2, 3, 4], [-1, -2, -3, -4], [5, -5, 5, -5], [50, 60, 10, 30]):
    want = int(np.clip(sum(values), -128, 127))
    default, plain, reference = (result(total, values, kind) for kind in KINDS)
    print(f"{values!s:<24}{want:>5}{default:>10}{plain:>18}{reference:>12}")
    fast_right &= default == plain == want
    wrong += reference != want
mean_right = result(mean, [-4, -8, -12, -16], OpResolverType.BUILTIN_REF) == -10
same = fast_right and wrong == 3 and mean_right
raise SystemExit(0 if same else "changed: the reference sum is right, or another one is wrong")
PYTHON
