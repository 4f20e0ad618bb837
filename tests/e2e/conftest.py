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

import pytest

import edgeemo

SPEECH = Path(edgeemo.__file__).parent / "speech"
RECIPE = """\
schema = 1
name = "tiny"
seed = 7
[data]
clip_seconds = 2.0
valid = 0.25
test = 0.25
[augment]
copies = 1
[student]
name = "wav2small-stream"
[distil]
epochs = 3
batch = 8
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


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, command: Command) -> Made:
    """Distill with a tiny recipe and export to int8, each as a process in an empty folder."""
    folder = tmp_path_factory.mktemp("commands")
    clips = some_speech(folder / "clips")
    (folder / "tiny.toml").write_text(RECIPE)
    distill = command(folder, "distill", "--recipe", "tiny.toml", "--data", "clips")
    assert distill.returncode == 0, distill.stderr
    export = command(folder, "export", "--int8")
    assert export.returncode == 0, export.stderr
    (run,) = [path for path in (folder / "runs").iterdir() if (path / "run.json").is_file()]
    (model,) = (run / "export").glob("*.onnx")
    return Made(folder, clips, run, model, distill, export)
