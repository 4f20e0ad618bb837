from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import edgeemo
from edgeemo import cli
from edgeemo.artifacts import models, teachers_package
from edgeemo.errors import BadArtifact, BadInput, MissingExtra


@pytest.fixture
def zoo(artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped models with two names."""
    for name in ("wav2small-stream", "another"):
        shutil.copy(artifact, tmp_path / f"{name}.onnx")
    monkeypatch.setattr(models, "ZOO", tmp_path)
    monkeypatch.setattr(teachers_package, "folder", lambda: None)
    return tmp_path


def test_the_default_comes_first(zoo: Path) -> None:
    assert [m.name for m in models.shipped()] == ["wav2small-stream", "another"]
    assert edgeemo.load("another").path == zoo / "another.onnx"


def test_an_unknown_name_lists_the_nearest(zoo: Path) -> None:
    with pytest.raises(BadInput, match="no model 'wav2smal-stream'; there is: wav2small-stream "):
        models.resolve("wav2smal-stream")
    with pytest.raises(BadInput, match="another, wav2small-stream"):
        models.resolve("zzz")
    with pytest.raises(BadInput, match=r"a path ends in \.tflite or \.onnx\)"):
        models.resolve("zzz")


def test_a_model_of_faces_goes_to_a_runtime_that_is_there() -> None:
    """The engine comes first for speech, but a name of a face must not end at its file."""
    pytest.importorskip("onnxruntime")
    assert models.resolve(models.FACE_DEFAULT).suffix == ".onnx"
    assert models.resolve(models.DEFAULT).suffix == ".tflite"


def test_a_name_never_leaves_the_folder(zoo: Path) -> None:
    for name in ("../another", "..", "another.onnx", "sub/another"):
        with pytest.raises((BadArtifact, BadInput)):
            models.resolve(name)


def test_models_command(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "--json"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["bytes"] == (zoo / "wav2small-stream.onnx").stat().st_size
    assert first["command"] == "edgeemo predict --model wav2small-stream FILE.wav"
    assert set(first) == {
        "name",
        "task",
        "path",
        "formats",
        "bytes",
        "parameters",
        "macs_per_second",
        "licence",
        "allowed",
        "metrics",
        "command",
    }
    assert cli.main(["models"]) == 0
    text = capsys.readouterr().out
    assert "CC0-1.0" in text and "one human 0.700, level alone 0.400" in text


def test_an_empty_zoo_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(models, "ZOO", tmp_path)
    monkeypatch.setattr(teachers_package, "folder", lambda: None)
    assert cli.main(["models"]) == 0
    assert "no model is shipped" in capsys.readouterr().out


def test_a_model_of_the_other_package_names_its_command(zoo: Path) -> None:
    for name in models.WITH_TEACHERS:
        with pytest.raises(MissingExtra, match=rf"{name} comes with .*: pip install \./teachers$"):
            models.resolve(name)


def test_the_other_package_has_the_models_that_are_named() -> None:
    found = {path.stem for path in teachers_package.need("zoo").iterdir()}
    assert found == set(models.WITH_TEACHERS)


def test_what_is_shipped_keeps_its_promises() -> None:
    """Names, sizes and licences of the files that go into the wheels."""
    found = models.shipped()
    assert models.DEFAULT in {m.name for m in found}
    for model in found:
        assert model.card.name == model.name
        assert re.search(r"\w", model.card.licence)
        assert model.card.metrics
        assert edgeemo.load(model.path).card == model.card
        assert edgeemo.load(model.name).card.name == model.name
        if model.name == models.DEFAULT:
            assert model.card.quantization.kind == "int8"
            assert model.bytes <= 120_000
            assert model.card.macs_per_second <= 5_000_000


def test_the_command_that_shows_a_card(tmp_path: Path) -> None:
    own = tmp_path / "my own.onnx"
    assert models.card_command(own) == f"edgeemo models '{own}'"
    assert models.card_command(models.resolve(models.DEFAULT)) == "edgeemo models"


def test_the_backend_picks_the_file(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (zoo / "another.tflite").write_bytes(b"not read here")
    assert models.resolve("another", "onnx") == zoo / "another.onnx"
    assert models.resolve("another", "tflite") == zoo / "another.tflite"
    with pytest.raises(BadInput, match="is not shipped for the backend tflite, only wav2small"):
        models.resolve("wav2small-stream", "tflite")
    # Without a wish: the first that is installed.
    monkeypatch.setattr(models, "BACKENDS", {"onnx": ".onnx", "tflite": ".tflite"})
    assert models.resolve("another") == zoo / "another.onnx"
    monkeypatch.setattr(models, "find_spec", lambda name: None if name == "onnxruntime" else name)
    assert models.resolve("another") == zoo / "another.tflite"
    monkeypatch.setattr(models, "find_spec", lambda name: None)
    assert models.resolve("another") in (zoo / "another.onnx", zoo / "another.tflite")
