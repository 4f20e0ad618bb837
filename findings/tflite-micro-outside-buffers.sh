#!/usr/bin/env bash
# TensorFlow Lite Micro runs a quantized file without its weights, and says nothing.
#
# Seen with ai-edge-quantizer 0.10.0, ai-edge-litert 2.3.0 and tflite-micro 0.dev20261023182759. The
# quantizer writes all constants behind the flatbuffer (`Buffer.offset`, `Buffer.size`) once they
# come to 256 KB, though the schema has that for files above 2 GB. LiteRT reads them there. TFLM
# takes such a tensor for one without data: it loads, allocates, invokes and answers numbers,
# without a word. Two dense layers in int8, one random input; apart = largest difference of an output from
# LiteRT's, in int8 steps (that of the large model changes from run to run):
#
#     model                            bytes            apart
#     small                           142144                0
#     large                           331392              110
#     large, constants inside         331344                0
#
# The same large model, written again with its constants inside, is equal in both.
# Exit status 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install -q --disable-pip-version-check ai-edge-quantizer==0.10.0 \
    ai-edge-litert==2.3.0 tflite-micro==0.dev20261023182759 flatbuffers==25.12.19 numpy==2.4.6
venv/bin/python - 2>noise <<'PYTHON'
import contextlib
import os

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe
from tflite_micro import runtime

INPUTS, OUTPUTS = 512, 10
random = np.random.default_rng(0)


def pack(model):
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def dense(width):
    """A float model: 512 inputs, a layer of `width` with ReLU, 10 outputs."""
    values = {
        "x": (1, INPUTS),
        "w1": random.normal(0, INPUTS**-0.5, (width, INPUTS)),
        "b1": random.normal(0, 0.1, width),
        "hidden": (1, width),
        "w2": random.normal(0, width**-0.5, (OUTPUTS, width)),
        "b2": random.normal(0, 0.1, OUTPUTS),
        "y": (1, OUTPUTS),
    }
    buffers, tensors = [schema.BufferT()], []
    for name, value in values.items():
        tensor = schema.TensorT()
        tensor.name, tensor.type = name.encode(), schema.TensorType.FLOAT32
        tensor.shape = list(value) if isinstance(value, tuple) else list(value.shape)
        if not isinstance(value, tuple):
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(value.astype(np.float32).tobytes(), np.uint8)
            tensor.buffer = len(buffers)
            buffers.append(buffer)
        tensors.append(tensor)
    operators = []
    for inputs, output, activation in (
        ([0, 1, 2], 3, schema.ActivationFunctionType.RELU),
        ([3, 4, 5], 6, schema.ActivationFunctionType.NONE),
    ):
        operator = schema.OperatorT()
        operator.inputs, operator.outputs = inputs, [output]
        operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        operator.builtinOptions = schema.FullyConnectedOptionsT()
        operator.builtinOptions.fusedActivationFunction = activation
        operators.append(operator)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [0], [6], operators
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.inputs, signature.outputs = b"serving_default", [], []
    for name, index, ends in ((b"x", 0, signature.inputs), (b"y", 6, signature.outputs)):
        end = schema.TensorMapT()
        end.name, end.tensorIndex = name, index
        ends.append(end)
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers, model.signatureDefs = buffers, [signature]
    return pack(model)


def quantized(model):
    clips = [{"x": random.normal(0, 1, (1, INPUTS)).astype(np.float32)} for _ in range(8)]
    work = quantizer.Quantizer(bytearray(model), recipe.static_wi8_ai8())
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        return bytes(work.quantize(work.calibrate({"serving_default": clips})).quantized_model)


def inside(file):
    """The same model with all constants in the flatbuffer."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(file, 0))
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(file, np.uint8, buffer.size, buffer.offset)
        buffer.offset = buffer.size = 0
    return pack(model)


def litert(file, x):
    interpreter = Interpreter(model_content=file)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def micro(file, x):
    interpreter = runtime.Interpreter.from_bytes(file, arena_size=4 << 20)
    interpreter.set_input(x, 0)
    interpreter.invoke()
    return interpreter.get_output(0)


x = random.integers(-60, 60, (1, INPUTS)).astype(np.int8)
apart = []
print(f"{'model':<30}{'bytes':>8}{'apart':>17}")
small, large = quantized(dense(256)), quantized(dense(600))
for name, file in (("small", small), ("large", large), ("large, constants inside", inside(large))):
    apart.append(np.abs(litert(file, x).astype(int) - micro(file, x)).max())
    print(f"{name:<30}{len(file):>8}{apart[-1]:>17}")
same = apart[0] <= 1 and apart[1] > 20 and apart[2] <= 1
raise SystemExit(
    0 if same else "changed: TFLM reads constants behind the flatbuffer, or refuses them"
)
PYTHON
