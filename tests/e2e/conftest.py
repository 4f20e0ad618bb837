"""One tiny distillation and export, as a user runs them, shared by the tests of this folder."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeemo.artifacts.teachers_package import need

SPEECH = need("speech")
RECIPE = """\
schema = 2
name = "tiny"
seed = 7
[data]
clip_seconds = 1.5
valid = 0.25
test = 0.4
[augment]
copies = 1
[student]
name = "wav2small-stream"
[distill]
epochs = 15
ema_decay = 0.5
lr = 3e-3
loss = { ccc = 1.0, mse = 1.0, kl = 0.3 }
batch = 8
"""
TEACHER = """\
schema = 1
kind = "onnx"
name = "toy"
licence = "CC0 1.0"
model = "toy.onnx"
[input]
kind = "logmel"
spec = "logmel40"
[adv]
output = "adv"
order = ["arousal", "dominance", "valence"]
low = 0.0
high = 1.0
[classes]
output = "classes"
names = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"]
values = "logits"
"""

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def command() -> Command:
    """Run `edgeemo ARGUMENTS` in a folder, in a process of its own that knows no source tree."""

    def run(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        words = [sys.executable, "-m", "edgeemo", *map(str, arguments)]
        return subprocess.run(words, cwd=folder, capture_output=True, text=True, env=env)

    return run


@dataclass(frozen=True)
class Made:
    """What the two commands left.

    Attributes:
        folder: where they ran; empty before, but for `clips` and the recipe.
        clips: the folder of speech.
        run: the run folder.
        model: the int8 file.
        distill: the finished process.
        export: the finished process.
    """

    folder: Path
    clips: Path
    run: Path
    model: Path
    distill: subprocess.CompletedProcess[str]
    export: subprocess.CompletedProcess[str]


def some_speech(target: Path, speakers: int = 8, each: int = 4) -> Path:
    """A plain folder with a labels.csv: a few clips of a few Emo-DB speakers, and a broken one."""
    target.mkdir()
    with (SPEECH / "emodb_full" / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = []
    for speaker in sorted({row["speaker"] for row in rows})[:speakers]:
        chosen += [row for row in rows if row["speaker"] == speaker][:each]
    for row in chosen:
        shutil.copy(SPEECH / "emodb_full" / row["path"], target)
    (target / "broken.flac").write_bytes(b"fLaC and no more")
    chosen.append(chosen[0] | {"path": "broken.flac"})
    columns = ("path", "speaker", "sex", "language", "emotion")
    with (target / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(chosen)
    return target


def toy_teacher(target: Path) -> Path:
    """A described teacher that hears the mean spectrum: quick to run and to learn."""
    target.mkdir()
    rng = np.random.default_rng(1)
    floats = onnx.TensorProto.FLOAT
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            [
                onnx.helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=0),
                onnx.helper.make_node("Gemm", ["mean", "a", "b"], ["linear"]),
                onnx.helper.make_node("Sigmoid", ["linear"], ["adv"]),
                onnx.helper.make_node("Gemm", ["mean", "c"], ["classes"]),
            ],
            "toy",
            [onnx.helper.make_tensor_value_info("x", floats, [1, "frames", 40])],
            [
                onnx.helper.make_tensor_value_info("adv", floats, [1, 3]),
                onnx.helper.make_tensor_value_info("classes", floats, [1, 8]),
            ],
            [
                onnx.numpy_helper.from_array(rng.normal(0, 0.1, (40, 3)).astype("f4"), "a"),
                onnx.numpy_helper.from_array(np.zeros(3, "f4"), "b"),
                onnx.numpy_helper.from_array(rng.normal(0, 0.1, (40, 8)).astype("f4"), "c"),
            ],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(made, target / "toy.onnx")
    (target / "toy.toml").write_text(TEACHER)
    return target / "toy.toml"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, command: Command) -> Made:
    """Distill with a tiny recipe and export to int8, each as a process in an empty folder."""
    folder = tmp_path_factory.mktemp("commands")
    clips = some_speech(folder / "clips")
    (folder / "tiny.toml").write_text(RECIPE)
    teacher = toy_teacher(folder / "teacher")
    given = ["--recipe", "tiny.toml", "--data", "clips", "--teacher", teacher]
    distill = command(folder, "distill", *given)
    assert distill.returncode == 0, distill.stderr
    export = command(folder, "export", "--int8")
    assert export.returncode == 0, export.stderr
    (run,) = [path for path in (folder / "runs").iterdir() if (path / "run.json").is_file()]
    (model,) = (run / "export").glob("*.onnx")
    return Made(folder, clips, run, model, distill, export)
