"""`edgeemo predict --output`: what stands in the files is what the rows say."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from edgeemo import cli

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def talk(speech: NDArray[np.float32], tmp_path: Path) -> Path:
    """Two utterances with 2 s of faint noise between them."""
    noise = np.random.default_rng(0).normal(0, 1e-4, 32000)
    soundfile.write(tmp_path / "talk.wav", np.concatenate([speech, noise, speech]), 16000)
    return tmp_path / "talk.wav"


def test_a_cue_for_each_utterance(talk: Path, artifact: Path, capsys: Capture) -> None:
    options = ["--model", str(artifact), "--json"]
    written = [talk.with_suffix(ending) for ending in (".vtt", ".txt")]
    outputs = [word for path in written for word in ("--output", str(path))]
    assert cli.main(["predict", str(talk), *options, *outputs]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 2
    assert cli.main(["predict", str(talk), *options, "--segments"]) == 0
    assert rows == [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    labels = [line.split("\t") for line in written[1].read_text().splitlines()]
    times = [(float(start), float(end)) for start, end, _ in labels]
    assert times == [(round(r["start"], 3), round(r["end"], 3)) for r in rows]
    assert f"arousal {rows[0]['arousal']:.2f}" in labels[0][2]
    assert "NOTE\n" in written[0].read_text() and "tiny, licence: CC0-1.0" in written[0].read_text()


def test_windows_are_kept(talk: Path, artifact: Path, capsys: Capture) -> None:
    out = talk.with_suffix(".txt")
    command = ["predict", str(talk), "--model", str(artifact), "--windows", "2"]
    assert cli.main([*command, "--gate", "none", "--output", str(out)]) == 0
    capsys.readouterr()
    labels = [line.split("\t") for line in out.read_text().splitlines()]
    assert len(labels) > 2
    assert all(a[1] == b[0] for a, b in pairwise(labels))


@pytest.mark.parametrize(
    ("paths", "output", "message"),
    [
        (["talk.wav", "talk.wav"], "a.vtt", "one recording; 2 files were given"),
        (["face.png"], "a.vtt", "a picture has no time"),
        (["talk.wav"], "a.doc", "unknown ending"),
        (["talk.wav"], "talk.wav/a.vtt", "talk.wav is a file"),
    ],
)
def test_refused_in_one_line_before_the_work(
    talk: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    paths: list[str],
    output: str,
    message: str,
) -> None:
    monkeypatch.chdir(talk.parent)
    assert cli.main(["predict", *paths, "--output", output]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err
    assert [path.name for path in talk.parent.iterdir()] == ["talk.wav"]
