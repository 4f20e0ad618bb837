"""`edgeemo doctor`: a report for people and for programs."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest

import edgeemo
from edgeemo import _native, features
from edgeemo.cli import doctor, main


def test_json_is_one_object_with_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["edgeemo"]["version"] == edgeemo.__version__
    assert report["native"]["error"] is None
    assert report["machine"]["cores"] >= 1
    assert {e["name"] for e in report["extras"]} >= {"core", "onnx", "audio", "train", "export"}
    core = next(e for e in report["extras"] if e["name"] == "core")
    assert core["packages"] == {"numpy": np.__version__}


def test_the_text_names_versions_and_the_pip_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert f"edgeemo {edgeemo.__version__} in " in out
    assert f"onnxruntime {metadata.version('onnxruntime')}" in out
    # PyAudio stands for a package that a machine without root does not have; where it is
    # installed, mediapipe is still missing, for `make install` leaves it out.
    assert "pip install 'edgeemo[mediapipe]'" in out


def test_a_missing_package_shows_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name in ("soxr", "edgeemo-teachers"):
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    text = doctor._text(doctor.examine())
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("  audio:"))
    assert lines[at] == "  audio: soundfile 1.0"
    assert lines[at + 1] == "    missing: soxr; pip install 'edgeemo[audio]'"
    assert "missing: edgeemo-teachers; pip install ./teachers (in edgeemo's repository)" in text


@pytest.mark.parametrize(("numpy", "named"), [("1.26.4", True), ("2.1.0", False)])
def test_tflite_runtime_serves_beside_numpy_1(
    monkeypatch: pytest.MonkeyPatch, numpy: str, named: bool
) -> None:
    versions = {"tflite-runtime": "2.14.0", "numpy": numpy}

    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(doctor, "_models", list)
    lines = doctor._text(doctor.examine()).splitlines()
    (line,) = (line for line in lines if line.startswith("  tflite:"))
    assert line == ("  tflite: tflite-runtime 2.14.0" if named else "  tflite: nothing installed")


def test_a_front_end_that_is_wrong_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(features, "log_mel", lambda samples: np.zeros((98, 40), np.float32))
    assert main(["doctor"]) == 1
    assert "C front end: gives wrong features" in capsys.readouterr().out


def test_a_front_end_of_another_version_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_native, "__version__", "0.0.1", raising=False)
    assert main(["doctor"]) == 1
    assert f"is of version 0.0.1, not {edgeemo.__version__}" in capsys.readouterr().out


def test_without_onnxruntime_the_models_say_so() -> None:
    """A fresh process in which importing onnxruntime fails, as where it is not installed."""
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from edgeemo.cli import main; sys.exit(main(['doctor']))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    shown = run.stdout[run.stdout.index("shipped models:") :]
    assert "pip install 'edgeemo[onnx]'" in shown
