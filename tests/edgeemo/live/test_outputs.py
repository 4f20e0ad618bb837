from __future__ import annotations

import csv
import json
import signal
from itertools import pairwise
from pathlib import Path

import pytest

from edgeemo import cli

from .conftest import Start

Capture = pytest.CaptureFixture[str]


def test_the_table_is_what_json_says(clip: Path, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "a.csv"
    command = ["live", "--fast", "--json", "--wav", str(clip), "--csv", str(path)]
    assert cli.main(command) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    with path.open(newline="") as file:
        table = [*csv.DictReader(file)]
    assert len(table) == len(rows) > 5
    for cells, row in zip(table, rows, strict=True):
        assert (cells["arousal"], cells["end"]) == (str(row["arousal"]), str(row["end"]))
        assert cells["anger"] == str(row["classes"]["anger"])
        assert (cells["sides"], cells["path"]) == ("voice", str(clip))


def test_an_utterance_a_cue(long_clip: Path, tmp_path: Path, capsys: Capture) -> None:
    """55 s of speech are two cues of at most 30 s; of the faint noise behind it there is none."""
    vtt, labels = tmp_path / "a.vtt", tmp_path / "a.txt"
    command = ["live", "--fast", "--json", "--wav", str(long_clip)]
    assert cli.main([*command, "--output", str(vtt), "--output", str(labels)]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    cues = [line.split("\t") for line in labels.read_text().splitlines()]
    spoken = [row["end"] for row in rows if row["speech"] and row["sides"]]
    assert len(cues) >= 2 and float(cues[0][0]) == 0
    assert float(cues[-1][1]) == pytest.approx(spoken[-1], abs=0.001) and spoken[-1] < 60
    assert all(float(a[1]) <= float(b[0]) for a, b in pairwise(cues))
    assert "wav2small-stream, licence: " in vtt.read_text()


def test_a_signal_loses_nothing(long_clip: Path, tmp_path: Path, start: Start) -> None:
    path = tmp_path / "a.srt"
    process = start("--wav", long_clip, "--json", "--output", path)
    assert process.stdout is not None and process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert path.read_text().startswith("1\n00:00:00,000 --> 00:00:0")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "a.doc"], "unknown ending"),
        (["--output", "a.wav/a.vtt"], "is a file"),
        (["--csv", "a.wav/a.csv"], "is a file"),
        (["--osc", "abc"], "expected PORT or HOST:PORT"),
    ],
)
def test_refused_in_one_line_before_the_work(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.wav").write_bytes(b"RIFF")
    assert cli.main(["live", "--wav", "a.wav", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_sound_that_cannot_be_read_leaves_no_cues(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "b.wav").write_bytes(b"RIFF but broken")
    command = ["live", "--json", "--wav", str(tmp_path / "b.wav")]
    assert cli.main([*command, "--output", str(tmp_path / "b.vtt")]) == 2
    assert not (tmp_path / "b.vtt").exists()
