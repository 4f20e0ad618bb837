"""A finished run is taught to tell sounds by clips; music is cut out of recordings."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch

from edgeemo.artifacts.card import Source
from edgeemo.compress.data import open_dataset, shipped_speech
from edgeemo.compress.evaluation.summary import taught_more
from edgeemo.compress.recipes import SCHEMA as RECIPE_SCHEMA
from edgeemo.compress.recipes import DistillConfig, Recipe, SoundsConfig, StudentConfig
from edgeemo.compress.run import Run
from edgeemo.compress.students import make_student, save_student
from tests.compress.summaries import summary_of

Tool = Callable[[str], ModuleType]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run with a student that nothing taught."""
    recipe = Recipe(RECIPE_SCHEMA, StudentConfig("wav2small-stream"), DistillConfig(epochs=1))
    run = Run.begin(tmp_path / "runs" / "run", recipe, {})
    torch.manual_seed(1)
    student = make_student("wav2small-stream").eval()
    save_student(student, run.folder / "student.pt")
    run.finish(summary_of(student))
    return run


def sounds(folder: Path) -> Path:
    """Hiss that is called laughing, and chords that are called music."""
    folder.mkdir()
    time = np.arange(16000) / 16000
    rows = ["path,speaker,sound,licence"]
    for i in range(3):
        soundfile.write(folder / f"l{i}.wav", np.random.default_rng(i).normal(0, 0.1, 16000), 16000)
        soundfile.write(folder / f"m{i}.wav", np.sin(1000 * (i + 1) * time) / 4, 16000)
        rows += [f"l{i}.wav,l{i},laughing,CC0 1.0", f"m{i}.wav,m{i},music,CC BY-SA 3.0"]
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def test_student_and_facts_tell_what_was_added(tool: Tool, run: Run, tmp_path: Path) -> None:
    clips = [*shipped_speech().clips[::40], *open_dataset(sounds(tmp_path / "sounds")).clips]
    before, facts = run.student().state_dict(), run.facts()
    config = SoundsConfig(hidden=8, steps=5, batch=32)
    for _ in range(2):  # a second time replaces the layers of the first
        tool("make_sounds").make(run, clips, config)
    student, after = run.student(), run.facts()
    assert student.sounds is not None
    assert all(torch.equal(student.state_dict()[name], value) for name, value in before.items())
    assert after.name == "made-sounds"  # once
    assert after.sounds and after.parameters == facts.parameters + 72 * 8 + 8 + 8 * 8 + 8
    assert Source("sounds", "CC BY-SA 3.0; CC0 1.0") in after.data
    assert "CC BY-SA" in after.licence
    assert 0 < after.macs_per_second / facts.macs_per_second - 1 < 0.05


def test_a_run_is_refused_before_data_are_read(
    tool: Tool, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--data", str(tmp_path / "none"), "--music", str(tmp_path / "none")]
    save_student(make_student("wav2small-17k"), run.folder / "student.pt")
    for folder, why in (tmp_path, "not a run"), (run.folder, "cannot tell sounds"):
        assert tool("make_sounds").main(["--run", str(folder), *given]) == 2
        told = capsys.readouterr().err
        assert told.startswith(f"{folder}: ") and why in told and told.count("\n") == 1


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_music_is_cut_into_clips_of_one_piece(
    tool: Tool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    album = tmp_path / "album"
    album.mkdir()
    tune = np.sin(np.arange(30 * 8000) / 5) / 4
    tune[13 * 8000 : 21 * 8000] = 0
    soundfile.write(album / "tune.wav", tune, 8000)
    (album / "broken.ogg").write_bytes(b"no sound")
    out = tmp_path / "music"
    assert tool("music_clips").main(["--out", str(out), f"{album}=CC BY-SA 3.0"]) == 0
    assert "broken.ogg: left out" in capsys.readouterr().err
    with (out / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 and {row["speaker"] for row in rows} == {"album-001"}  # one is silent
    clips = open_dataset(out).clips
    assert all(len(clip.samples()) == 6 * 16000 for clip in clips)
    assert {clip.licence for clip in clips} == {"CC BY-SA 3.0"}
    assert tool("music_clips").main(["--out", str(out), str(album)]) == 2
    assert "expected FOLDER=LICENCE" in capsys.readouterr().err


def test_a_clip_that_taught_two_things_is_one_clip(run: Run, tmp_path: Path) -> None:
    """A burst of the voice teaches the layers of sounds and the classes."""
    clips = open_dataset(sounds(tmp_path / "sounds")).clips
    once, twice = (taught_more(run.facts(), run.student(), rows) for rows in (clips, clips * 2))
    assert once == twice
