"""Weights of a TensorFlow.js model: read, turned into a student's, and refused where they lie."""

import json

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeemo.compress.students import make_student
from edgeemo.compress.train.pretrained import load_pretrained
from edgeemo.compress.train.tfjs import read_tfjs
from edgeemo.errors import BadArtifact

SMALL = {"width": 0.25, "size": 32}


def write(folder, arrays, name="weights.bin", **changes):
    """A model as tensorflowjs_converter writes it: the first array in float16, then float32."""
    entries, data = [], b""
    for i, (key, array) in enumerate(arrays.items()):
        entry = {"name": key, "shape": list(array.shape), "dtype": "float32"}
        if i == 0:
            entry["quantization"] = {"dtype": "float16", "original_dtype": "float32"}
        entries.append(entry)
        data += array.astype(np.float16 if i == 0 else np.float32).tobytes()
    (folder / "weights.bin").write_bytes(data)
    path = folder / "model.json"
    group = {"paths": [name], "weights": entries} | changes
    path.write_text(json.dumps({"format": "graph-model", "weightsManifest": [group]}))
    return path


def test_weights_come_back(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(0.1), "c": np.zeros((0, 4))}
    found = read_tfjs(write(tmp_path, arrays))
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in arrays.items()}
    assert torch.equal(found["a"], torch.arange(6.0).reshape(2, 3))
    assert found["b"] == torch.tensor(0.1)


def colour_weights(rng):
    """A narrow MobileNet in the names and the order of axes of the published one."""
    student = make_student("mobilenetv1-face", **SMALL)
    convs = [layer.conv for layer in student.layers]
    out = {}
    for i, conv in enumerate(convs):
        outside, inside, k, _ = conv.weight.shape
        name = f"conv_{'dw' if i % 2 else 'pw'}_{(i + 1) // 2}" if i else "conv1"
        shift = rng.normal(size=outside)
        if i % 2:
            out[f"{name}/depthwise_kernel"] = rng.normal(size=(k, k, outside, 1))
            out[f"{name}_bn/batchnorm_1/mul"] = rng.uniform(0.5, 2, outside)
        else:
            inside = inside if i else 3
            size = (k, k, inside, outside)
            kernel = rng.normal(size=size) / np.sqrt(k * k * inside)
            # The first one sees 0 to 255, and is kept in float16.
            kernel = kernel if i else (kernel / 64).astype(np.float16).astype(np.float64)
            out[f"{name}/convolution/merged_input"] = kernel
        out[f"{name}_bn/batchnorm_1/sub"] = shift
    return out


def published(weights, picture):
    """What the network of colours gives for one grey picture [size, size] of 0..255: [C].

    Its first layer pads with the mean colour, ours with grey: here grey stands there.
    """
    picture = np.pad(picture, ((0, 1), (0, 1)), constant_values=127.5)
    x = np.stack([picture - m for m in (103.939, 116.779, 123.68)])[None]
    x = torch.from_numpy(x)
    names = [key.rsplit("/", 1)[0] for key in weights if key.endswith(("kernel", "input"))]
    strides = [2, *(s for s in (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1) for s in (s, 1))]
    for full, stride in zip(names, strides, strict=True):
        name = full.split("/")[0]
        depthwise = name.startswith("conv_dw")
        key = f"{name}/depthwise_kernel" if depthwise else f"{name}/convolution/merged_input"
        kernel = torch.from_numpy(weights[key]).permute((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
        if kernel.shape[-1] == 3 and full != names[0]:  # TensorFlow's SAME
            x = torch.nn.functional.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        groups = len(kernel) if depthwise else 1
        x = torch.nn.functional.conv2d(x, kernel, None, stride, groups=groups)
        if depthwise:
            x = x * torch.from_numpy(weights[f"{name}_bn/batchnorm_1/mul"])[None, :, None, None]
        shift = torch.from_numpy(weights[f"{name}_bn/batchnorm_1/sub"])[None, :, None, None]
        x = (x + shift).clamp(0, 6)
    return x.mean((2, 3))[0]


def test_weights_that_know_faces_become_a_start(tmp_path):
    rng = np.random.default_rng(3)
    weights = colour_weights(rng)
    student = make_student("mobilenetv1-face", **SMALL).eval()
    load_pretrained(student, write(tmp_path, weights))
    picture = rng.uniform(0, 255, (32, 32))
    ours = torch.from_numpy((picture / 255 - 0.5) / 0.25).float()[None, :, :, None]
    with torch.no_grad():
        found = student(ours).embedding[0]
    assert torch.allclose(found, published(weights, picture).float(), atol=1e-3)
    assert student.folded  # so that training first gives its batch norms something to do


def test_other_weights_are_refused(tmp_path):
    path = write(tmp_path, {"a": np.ones(3)})
    with pytest.raises(BadArtifact, match="mobilenetv1-face"):
        load_pretrained(make_student("mobilenetv1-face", **SMALL), path)


@pytest.mark.parametrize("name", ["../weights.bin", "/etc/passwd", "..", "", 3, "a/weights.bin"])
def test_files_elsewhere_are_refused(tmp_path, name):
    with pytest.raises(BadArtifact, match=r"model\.json"):
        read_tfjs(write(tmp_path, {"a": np.ones(3)}, name=name))


def test_sizes_that_do_not_fit_are_refused(tmp_path):
    path = write(tmp_path, {"a": np.ones(3)})
    (tmp_path / "weights.bin").write_bytes(bytes(8))
    with pytest.raises(BadArtifact, match="names 6 bytes of weights; 8 are there"):
        read_tfjs(path)
    (tmp_path / "weights.bin").write_bytes(bytes(4))
    with pytest.raises(BadArtifact, match="not a TensorFlow"):
        read_tfjs(path)
    huge = [{"name": "a", "shape": [1 << 40, 1 << 40], "dtype": "float32"}]
    with pytest.raises(BadArtifact):
        read_tfjs(write(tmp_path, {"a": np.ones(3)}, weights=huge))
    wrong = [{"name": "a", "shape": [3], "dtype": "string"}]
    with pytest.raises(BadArtifact, match="string"):
        read_tfjs(write(tmp_path, {"a": np.ones(3)}, weights=wrong))


@given(
    text=st.one_of(
        st.text(max_size=50),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["paths", "weights", "name", "shape", "dtype"]), inner
                )
            ),
            max_leaves=8,
        ).map(lambda v: json.dumps({"weightsManifest": v})),
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_manifest_is_read_or_refused(tmp_path, text):
    path = tmp_path / "model.json"
    path.write_text(text)
    try:
        read_tfjs(path)
    except BadArtifact as error:
        assert "model.json" in str(error)
