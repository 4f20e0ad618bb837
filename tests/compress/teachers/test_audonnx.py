"""Folders in audonnx's layout: order, labels, and YAML that runs and opens nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto

from edgeemo.compress.teachers import check_teacher, load_teacher
from edgeemo.errors import BadArtifact
from tests.compress.teachers.graphs import W3, logits_of, save_onnx, statistics

YAML = "$audonnx.core.model.Model==0.5.0:\n  path: model.onnx\n"


def audonnx_folder(folder: Path, text: str = YAML) -> Path:
    save_onnx(folder / "model.onnx")
    (folder / "model.yaml").write_text(text)
    return folder


def test_audonnx_gives_logits_of_raw_samples(tmp_path: Path, clips) -> None:
    teacher = load_teacher(audonnx_folder(tmp_path))
    got = teacher.label(clips)
    np.testing.assert_allclose(got.dimensions, [logits_of(c) for c in clips], atol=1e-5)
    np.testing.assert_allclose(got.embedding, [statistics(c)[0] for c in clips], atol=1e-5)
    check_teacher(replace(got, dimensions=got.dimensions / 10 + 0.3))  # as it was made up
    assert teacher.name == "audeering-dim-onnx" and "BY-NC-SA" in teacher.licence
    assert np.argsort(-got.dimensions.mean(axis=0)).tolist() == [0, 1, 2]


def test_audonnx_labels_give_the_order(tmp_path: Path, clips) -> None:
    labels = "  labels:\n    logits: [dominance, valence, arousal]\n"
    got = load_teacher(audonnx_folder(tmp_path, YAML + labels)).label(clips)
    np.testing.assert_allclose(got.dimensions, [logits_of(c)[[2, 0, 1]] for c in clips], atol=1e-5)


@pytest.mark.parametrize(
    "text, says",
    [
        (YAML + "  transform:\n    $os.system==1:\n      command: touch pwned\n", "a transform"),
        (YAML + "  auto: 1\n", "argument 'auto'"),
        ("!!python/object/apply:os.system ['touch pwned']", "not plain YAML"),
        ("$os.path.join==1.0:\n  path: model.onnx\n", "expected one object"),
        ("$audonnx.core.model.ModelEvil==1:\n  path: model.onnx\n", "expected one object"),
        (YAML.replace("model.onnx", "../model.onnx"), "no path"),
        (YAML.replace("model.onnx", "/etc/passwd"), "no path"),
        (YAML.replace("model.onnx", "absent.onnx"), "no such file"),
        (YAML + "  labels:\n    logits: [arousal, arousal, valence]\n", "each of"),
        ("a: [", "not plain YAML"),
        ("[" * 5000, "not plain YAML"),
        ("", "0 bytes"),
        ("- 1", "expected one object"),
    ],
)
def test_audonnx_yaml_runs_and_opens_nothing(tmp_path: Path, text, says, monkeypatch) -> None:
    folder = audonnx_folder(tmp_path / "t", text)
    save_onnx(tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadArtifact, match=says):
        load_teacher(folder)
    assert not (tmp_path / "pwned").exists()


def test_audonnx_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = audonnx_folder(tmp_path / "t")
    (folder / "model.onnx").rename(tmp_path / "elsewhere.onnx")
    (folder / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(BadArtifact, match=r"no path|leaves the folder"):
        load_teacher(folder)


@pytest.mark.parametrize("spoil", ["truncated", "foreign", "empty", "outputs"])
def test_audonnx_spoilt_model_is_refused(tmp_path: Path, spoil: str) -> None:
    path = audonnx_folder(tmp_path) / "model.onnx"
    if spoil == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    elif spoil == "foreign":
        path.write_bytes(b"\x7fELF" + bytes(4000))
    elif spoil == "empty":
        path.write_bytes(b"")
    else:
        save_onnx(path, names=("hidden", "logits", "scores"))
    with pytest.raises(BadArtifact, match=r"model\.onnx") as caught:
        load_teacher(tmp_path)
    assert "\n" not in str(caught.value)


def test_onnx_may_not_read_files_beyond_its_folder(tmp_path: Path) -> None:
    folder = audonnx_folder(tmp_path / "t")
    model = onnx.load(folder / "model.onnx")
    (tmp_path / "secret").write_bytes(W3.tobytes())
    tensor = next(t for t in model.graph.initializer if t.name == "w3")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BadArtifact, match=r"model\.onnx"):
        load_teacher(folder)
