"""docs/artifacts.md is enough: its code, without edgeemo, gives our numbers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest

import edgeemo
from edgeemo.artifacts.models import resolve
from edgeemo.artifacts.teachers_package import need
from edgeemo.audio import read_audio
from edgeemo.backends import open_backend
from edgeemo.cli import main
from edgeemo.export import ExportResult
from edgeemo.features import log_mel
from edgeemo.vision.images import preprocess

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
KEPT = """
import sys
kept = {k: {n: np.asarray(a).reshape(-1).tolist() for n, a in v.items()}
        for k, v in globals().copy().items() if k.split("_")[0] in ("onnx", "tflite")
        and isinstance(v, dict)}
assert not any(name.split(".")[0] == "edgeemo" for name in sys.modules)
print(json.dumps(kept))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, streams: dict[str, ExportResult]) -> Path:
    made = tmp_path_factory.mktemp("page")
    for backend in ("onnx", "tflite"):
        for name, target in (("wav2small-stream", "model"), ("efficientnet-lite0-face", "face")):
            shutil.copy(resolve(name, backend), made / f"{target}.{backend}")
        shutil.copy(streams[f"{backend}-step"].path, made / f"step.{backend}")
    sound = read_audio(sorted(need("speech").rglob("*.flac"))[0])
    with wave.open(str(made / "clip.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.rint(sound * 32768).clip(-32768, 32767).astype("<i2").tobytes())
    (photo,) = sorted((ROOT / "tests" / "data" / "faces" / "london").rglob("*.jpg"))[:1]
    cv2.imwrite(str(made / "photo.png"), cv2.imread(str(photo))[:180, :150])
    assert main(["export", "wav2small-stream", "--waveform", "-o", str(made)]) == 0
    (made / "wav2small-stream-waveform.onnx").rename(made / "model-waveform.onnx")
    return made


@pytest.fixture(scope="module")
def printed(folder: Path) -> dict[str, dict[str, list[float]]]:
    """What the page's code computes; -I keeps the working folder and edgeemo out of the path."""
    code = "import sys; sys.modules['edgeemo'] = None\n"
    code += "\n".join(BLOCK.findall((ROOT / "docs" / "artifacts.md").read_text()))
    code += KEPT.replace('"edgeemo" for', '"edgeemo" and sys.modules[name] for')
    run = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd=folder
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return dict(json.loads(run.stdout.splitlines()[-1]))


def close(found: dict[str, list[float]], want: dict[str, np.ndarray], limit: float) -> None:
    assert found.keys() == want.keys()
    for name, values in want.items():
        assert np.abs(np.array(found[name]) - values.reshape(-1)).max() <= limit, name


@pytest.mark.parametrize("backend", ["onnx", "tflite"])
def test_speech(folder: Path, printed: dict[str, dict[str, list[float]]], backend: str) -> None:
    ours = open_backend(folder / f"model.{backend}", backend)
    sound = read_audio(folder / "clip.wav")
    want = ours.run(log_mel(sound, ours.card.features)[None])
    # The features differ in their last bits, which now and then moves an int8 input by one step.
    close(printed[f"{backend}_speech"], want, 0.004)
    if backend == "onnx":
        close(printed["onnx_waveform"], want, 0.004)


@pytest.mark.parametrize("backend", ["onnx", "tflite"])
def test_faces(folder: Path, printed: dict[str, dict[str, list[float]]], backend: str) -> None:
    """The picture is made of whole numbers: the same bits go in."""
    ours = open_backend(folder / f"face.{backend}", backend)
    picture = cv2.imread(str(folder / "photo.png"))[..., ::-1]
    image = preprocess(picture, None, ours.card.image)
    both = [ours.run(view) for view in (image, np.ascontiguousarray(image[:, :, ::-1]))]
    close(printed[f"{backend}_face"], {n: (both[0][n] + both[1][n]) / 2 for n in both[0]}, 1e-6)


@pytest.mark.parametrize("backend", ["onnx", "tflite"])
def test_steps(folder: Path, printed: dict[str, dict[str, list[float]]], backend: str) -> None:
    ours = open_backend(folder / f"step.{backend}", backend)
    sound = read_audio(folder / "clip.wav")
    want = ours.run(log_mel(sound, ours.card.features)[None])
    close(printed[f"{backend}_step"], want, 0.02)


def test_a_waveform_file_is_used_as_any_other(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = edgeemo.load(folder / "model-waveform.onnx")
    sound = read_audio(folder / "clip.wav")
    found, want = session.predict(sound), edgeemo.load(folder / "model.onnx").predict(sound)
    assert found.arousal == pytest.approx(want.arousal, abs=0.01)
    for wrong in (["--step"], ["--int4"], ["--format", "tflite"]):
        assert main(["export", "wav2small-stream", "--waveform", *wrong]) == 2
    assert main(["export", "wav2small-stream", "--format", "c,onnx"]) == 2
    assert "wav2small-stream: a model, not the folder of a run" in capsys.readouterr().err
    for wrong in ("--step", "--int4", "--waveform"):  # before, an int8 folder without a word
        assert main(["export", "wav2small-stream", "--format", "c", wrong, "-o", str(folder)]) == 2
    assert main(["export", "efficientnet-lite0-face", "--waveform", "-o", str(folder)]) == 2
