"""`edgeemo calibrate`: a profile from files and from a table, and `--profile` that takes it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import edgeemo
from edgeemo.artifacts.teachers_package import need
from edgeemo.audio import read_audio
from edgeemo.cli import main
from edgeemo.speech.profile import load_profile

FLACS = need("speech/emodb_full")


def test_calibrate_then_predict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(p) for p in sorted(FLACS.glob("*.flac"))]
    target = tmp_path / "me.json"
    assert main(["calibrate", files[0], "-o", str(target)]) == 2
    assert "at least 30 s" in capsys.readouterr().err and not target.exists()
    assert main(["calibrate", *files, "-o", str(target)]) == 0
    gain = load_profile(target).gain_db
    assert f"gain {gain:+.1f} dB" in capsys.readouterr().out
    assert main(["predict", files[0], "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert main(["predict", files[0], "--json", "--profile", str(target)]) == 0
    mine = json.loads(capsys.readouterr().out)
    assert plain["arousal"] != mine["arousal"]
    samples = read_audio(files[0]) * np.float32(10 ** (gain / 20))
    assert mine["arousal"] == pytest.approx(
        edgeemo.load("wav2small-stream").predict(samples).arousal, abs=1e-4
    )


def test_calibrate_from_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["path,arousal,dominance,valence"]
    for i, path in enumerate(sorted(FLACS.glob("*.flac"))):
        (tmp_path / path.name).write_bytes(path.read_bytes())
        lines.append(f"{path.name},{0.8 + i % 3 / 10},0.9,0.1")
    table = tmp_path / "mine.csv"
    table.write_text("\n".join(lines))
    assert main(["calibrate", "--labels", str(table), "-o", str(tmp_path / "me.json")]) == 0
    assert load_profile(tmp_path / "me.json").kind == "labelled"
    assert "mean error on held-back clips" in capsys.readouterr().out
    table.write_text("\n".join([*lines[:5], "x.wav,high,0,0"]))
    assert main(["calibrate", "--labels", str(table), "-o", str(tmp_path / "me.json")]) == 2
    assert "mine.csv:6: arousal is 'high'; expected a number 0 to 1" in capsys.readouterr().err


def test_a_table_from_a_spreadsheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mark of byte order, blanks, another scale, two dimensions, a clip that is missing."""
    folder = tmp_path / "clips"
    folder.mkdir()
    names = []
    for i, flac in enumerate(sorted(FLACS.glob("*.flac"))):
        names.append(f"clip, {i}.flac")
        (folder / names[-1]).write_bytes(flac.read_bytes())
    lines = [f'"{name}", {i % 2 + 4}, 1' for i, name in enumerate([*names, "gone.flac"])]
    table, target = folder / "mine.csv", tmp_path / "me.json"
    command = ["calibrate", "--labels", str(table), "-o", str(target), "--label-scale", "1", "5"]

    def write(*rows: str) -> None:
        text = "\r\n".join(["path, arousal, valence", *rows])
        table.write_bytes(b"\xef\xbb\xbf" + text.encode())

    write(*lines)
    assert main(command) == 1
    assert re.search(r"skipped \S*gone\.flac: no such file", capsys.readouterr().err)
    head = load_profile(target)
    assert head.offset[1] == 0 and not any(head.matrix[1]) and any(head.matrix[0])
    for rows, says in (
        ([*lines, lines[0]], "stands in"),
        ([*lines, "../../x.flac, 3, 3"], "leaves the folder"),
        ([*lines, "x.flac, 3,"], "dominance and valence are missing"),
        ([*lines, "x.flac, 6, 3"], "arousal is '6'; expected a number 1 to 5"),
        ([], "0 clips"),
    ):
        write(*rows)
        assert main(command) == 2
        err = capsys.readouterr().err
        assert says in err and "Traceback" not in err


def test_the_old_option_works_and_says_its_new_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(p) for p in sorted(FLACS.glob("*.flac"))]
    target = str(tmp_path / "me.json")
    assert main(["calibrate", *files, "-o", target]) == 0
    capsys.readouterr()
    assert main(["predict", files[0], "--json", "--profile", target]) == 0
    new = capsys.readouterr()
    assert main(["predict", files[0], "--json", "--baseline", target]) == 0
    old = capsys.readouterr()
    assert old.out == new.out
    assert old.err == "edgeemo: --baseline is --profile now\n" + new.err


def test_a_head_that_does_not_help_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels that are the model's own estimates and noise."""
    session, rng = edgeemo.load("wav2small-stream"), np.random.default_rng(1)
    lines = ["path,arousal,dominance,valence"]
    for path in sorted(FLACS.glob("*.flac"))[:24]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
        found = session.predict(read_audio(path), gate=None)
        own = np.array([found.arousal, found.dominance, found.valence])
        a, d, v = np.clip(own + rng.normal(0, 0.2, 3), 0, 1)
        lines.append(f"{path.name},{a:.3f},{d:.3f},{v:.3f}")
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    target = tmp_path / "me.json"
    assert main(["calibrate", "--labels", str(tmp_path / "mine.csv"), "-o", str(target)]) == 2
    out, err = capsys.readouterr()
    assert "held-back clips (5 folds of 24)" in out and "does not help" in err
    assert not target.exists()


def test_evaluate_with_a_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["path,speaker,arousal,dominance,valence"]
    for i, path in enumerate(sorted(FLACS.glob("*.flac"))[:24]):
        (tmp_path / path.name).write_bytes(path.read_bytes())
        lines.append(f"{path.name},me,{0.8 + i % 3 / 10},0.9,0.1")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    table, target = str(tmp_path / "labels.csv"), str(tmp_path / "me.json")
    assert main(["calibrate", "--labels", table, "-o", target]) == 0
    capsys.readouterr()
    figures = []
    for more in ([], ["--profile", target]):
        assert main(["evaluate", str(tmp_path), "--json", "--gate", "none", *more]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        figures.append(next(r["value"] for r in rows if r.get("of") == "arousal"))
    assert figures[1] > figures[0]
