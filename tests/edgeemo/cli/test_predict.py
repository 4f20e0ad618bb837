from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

import edgeemo
from edgeemo import cli
from edgeemo.audio import read_audio
from edgeemo.types import CLASSES, DIMENSIONS

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, speech_files: list[Path]) -> Path:
    """Sound in two folders, a text, and a file that only looks like sound."""
    (tmp_path / "sub").mkdir()
    shutil.copy(speech_files[0], tmp_path / "b.flac")
    shutil.copy(speech_files[1], tmp_path / "sub" / "a.FLAC")
    (tmp_path / "notes.txt").write_text("no sound")
    (tmp_path / "c.wav").write_bytes(b"RIFF but broken")
    return tmp_path


def test_json_has_a_line_a_file_in_sorted_order(
    folder: Path, artifact: Path, capsys: Capture
) -> None:
    assert cli.main(["predict", str(folder), "--model", str(artifact), "--json"]) == 1
    out, _ = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert [Path(r["path"]).name for r in rows] == ["b.flac", "c.wav", "a.FLAC"]
    assert set(rows[1]) == {"path", "error"}
    for row in (rows[0], rows[2]):
        assert list(row) == ["path", *DIMENSIONS, "classes", "confidence", "start", "end"]
        assert list(row["classes"]) == list(CLASSES)
        found = edgeemo.load(artifact).predict(read_audio(row["path"]))
        assert row["arousal"] == round(found.arousal or math.nan, 4)
        assert row["end"] == round(found.end, 4)


def test_the_table_is_for_people(folder: Path, artifact: Path, capsys: Capture) -> None:
    named = str(folder / "b.flac")
    assert cli.main(["predict", named, "--model", str(artifact)]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["arousal", "dominance", "valence", "class", "file"]
    assert line.endswith(named)
    assert len(line.split()) == 6


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.wav", "no such file"),
        ("notes.txt", ""),
        ("empty", "no sound in this folder"),
        ("short.wav", "at least 0.5 s"),
        ("nan.wav", ""),
    ],
)
def test_a_file_that_fails_is_in_its_line(
    folder: Path, artifact: Path, capsys: Capture, name: str, message: str
) -> None:
    (folder / "empty").mkdir()
    soundfile.write(folder / "short.wav", np.zeros(100, np.float32), 16000)
    soundfile.write(folder / "nan.wav", np.full(16000, np.nan), 16000, subtype="FLOAT")
    paths = [str(folder / name), str(folder / "b.flac")]
    assert cli.main(["predict", *paths, "--model", str(artifact), "--json"]) == 1
    bad, good = map(json.loads, capsys.readouterr().out.splitlines())
    assert bad["path"] == paths[0] and message in bad["error"]
    assert "error" not in good
    assert cli.main(["predict", *paths, "--model", str(artifact)]) == 1
    assert paths[0] in capsys.readouterr().out


def test_a_model_that_fails_is_one_line_and_2(folder: Path, capsys: Capture) -> None:
    assert cli.main(["predict", str(folder), "--model", str(folder / "absent.onnx")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "no such file" in err


def test_other_rates_and_channels_are_taken(
    artifact: Path, tmp_path: Path, capsys: Capture
) -> None:
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "a.wav", rng.normal(0, 0.1, (44100, 2)), 44100)
    assert cli.main(["predict", str(tmp_path), "--model", str(artifact), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["end"] == pytest.approx(1, abs=1e-3)
