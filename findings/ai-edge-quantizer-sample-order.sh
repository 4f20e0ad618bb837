#!/usr/bin/env bash
# ai-edge-quantizer: the order of the calibration samples decides the int8 range.
#
# Seen with ai-edge-quantizer 0.10.0 (ai-edge-litert 2.3.0). What `Quantizer.calibrate` returns as
# "min" and "max" is neither: it averages, .95 of what it had and .05 of the new sample, and begins
# with the first sample. Of 20 samples 19 reach from -1 to 1 and one from -6 to 6; the largest input
# that the int8 model represents, by where that one stands:
#
#     first            2.875
#     in the middle    1.153
#     last             1.255
#
# None of them reaches the 6 that minima and maxima would. Samples sorted by class or by speaker, or
# shuffled with another seed, give another model.
# Exit status 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install -q --disable-pip-version-check ai-edge-quantizer==0.10.0 \
    ai-edge-litert==2.3.0 flatbuffers==25.12.19 numpy==2.4.6
venv/bin/python - 2>noise <<'PYTHON'
import contextlib
import os

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_quantizer import quantizer, recipe

SIZE = 64


def dense():
    """A float model of one dense layer, 64 to 64."""
    buffers, tensors = [schema.BufferT()], []
    for name, shape in ((b"x", [1, SIZE]), (b"w", [SIZE, SIZE]), (b"y", [1, SIZE])):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, shape, schema.TensorType.FLOAT32
        if name == b"w":
            buffer = schema.BufferT()
            weights = np.random.default_rng(0).normal(0, 0.1, shape).astype(np.float32)
            buffer.data = np.frombuffer(weights.tobytes(), np.uint8)
            tensor.buffer = 1
            buffers.append(buffer)
        tensors.append(tensor)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0, 1], [2]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [0], [2], [operator]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.inputs, signature.outputs = b"serving_default", [], []
    for name, index, ends in ((b"x", 0, signature.inputs), (b"y", 2, signature.outputs)):
        end = schema.TensorMapT()
        end.name, end.tensorIndex = name, index
        ends.append(end)
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers, model.signatureDefs = buffers, [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def largest(samples):
    """The largest input that the int8 model represents."""
    work = quantizer.Quantizer(bytearray(dense()), recipe.static_wi8_ai8())
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        ranges = work.calibrate({"serving_default": [{"x": sample} for sample in samples]})
        file = bytes(work.quantize(ranges).quantized_model)
    tensor = schema.Model.GetRootAsModel(file, 0).Subgraphs(0).Tensors(0).Quantization()
    return float((127 - tensor.ZeroPoint(0)) * tensor.Scale(0))


quiet = np.linspace(-1, 1, SIZE, dtype=np.float32)[None]
found = {}
for name, index in (("first", 0), ("in the middle", 10), ("last", 19)):
    samples = [quiet] * 20
    samples[index] = 6 * quiet
    found[name] = largest(samples)
    print(f"the loud one {name:<16}{found[name]:>8.3f}")
same = found["first"] > 2.5 and found["last"] < 1.4
raise SystemExit(0 if same else "changed: the order of the samples no longer matters")
PYTHON
