from __future__ import annotations

import contextlib
import csv
import json
import math
import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import edgeemo
from edgeemo import cli
from edgeemo.artifacts.licences import verdict_of
from edgeemo.audio import read_audio
from edgeemo.cli._predictor import Options
from edgeemo.cli._rows import json_line
from edgeemo.cli._workers import rows_of
from edgeemo.inputs import Input
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
        keys = ["path", *DIMENSIONS, "classes", "confidence", "speech", "start", "end"]
        assert list(row) == keys
        assert list(row["classes"]) == list(CLASSES)
        found = edgeemo.load(artifact).predict(read_audio(row["path"]))
        assert row["arousal"] == round(found.arousal or math.nan, 4)
        assert row["end"] == round(found.end, 4)


def test_the_table_is_for_people(folder: Path, artifact: Path, capsys: Capture) -> None:
    named = str(folder / "b.flac")
    assert cli.main(["predict", named, "--model", str(artifact)]) == 0
    out, err = capsys.readouterr()
    head, line = out.splitlines()
    # Which model runs and what it may be used for is told once, beside the table.
    card = edgeemo.load(artifact).card
    why = f"`edgeemo models {artifact}` tells why"  # the list of shipped models has no other
    assert err.count(f"edgeemo: {card.name} ({verdict_of(card).allowed}; {why})") == 1
    assert head.split() == ["arousal", "dominance", "valence", "class", "confidence", "file"]
    assert line.endswith(named)
    assert len(line.split()) == 7


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.wav", "no such file"),
        ("notes.txt", ""),
        ("empty", "no sound or video in this folder"),
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


def rows(capsys: Capture, *arguments: str | Path, status: int = 0) -> list[dict[str, Any]]:
    assert cli.main(["predict", "--json", *map(str, arguments)]) == status
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory, speech_files: list[Path]) -> Path:
    """Speech, five seconds of silence, speech, two seconds of silence."""
    parts = [read_audio(speech_files[0]), np.zeros(80_000), read_audio(speech_files[1])]
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    soundfile.write(path, np.concatenate([*parts, np.zeros(32_000)]), 16000, subtype="FLOAT")
    return path


def test_nobody_speaks(artifact: Path, tmp_path: Path, capsys: Capture) -> None:
    rng = np.random.default_rng(0)
    time_ = np.arange(64_000) / 16_000
    sounds = {
        "silence": np.zeros(64_000),
        "noise": rng.normal(0, 0.003, 64_000),
        "tone": 0.3 * np.sin(2 * np.pi * 440 * time_),
    }
    for name, samples in sounds.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, 16000)
    for row in rows(capsys, tmp_path, "--model", artifact):
        assert row["speech"] is False and row["arousal"] is None and row["classes"] == {}, row
    assert cli.main(["predict", str(tmp_path), "--model", str(artifact)]) == 0
    assert capsys.readouterr().out.count("no speech") == 3
    # On request all sound counts.
    for row in rows(capsys, tmp_path, "--model", artifact, "--gate", "none"):
        assert row["speech"] is None and row["arousal"] is not None


def test_windows_are_what_predict_says_of_their_samples(
    talk: Path, artifact: Path, capsys: Capture
) -> None:
    found = rows(capsys, talk, "--model", artifact, "--windows", "1.5")
    samples, session = read_audio(talk), edgeemo.load(artifact)
    # The last one takes what the model could not be given alone.
    assert [r["start"] for r in found] == [1.5 * i for i in range(len(found))]
    assert found[-1]["end"] == pytest.approx(len(samples) / 16000, abs=1e-4)
    assert 0.5 <= found[-1]["end"] - found[-1]["start"] < 2
    assert {r["speech"] for r in found} == {True, False}
    for row in found:
        part = samples[round(row["start"] * 16000) : round(row["end"] * 16000)]
        want = session.predict(part)
        assert row["speech"] is want.speech
        if want.arousal is not None:
            assert row["arousal"] == pytest.approx(want.arousal, abs=1e-4)


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "1e9"])
def test_windows_out_of_range_are_refused(
    talk: Path, artifact: Path, capsys: Capture, seconds: str
) -> None:
    assert cli.main(["predict", str(talk), f"--windows={seconds}"]) == 2
    assert "--windows is" in capsys.readouterr().err
    (row,) = rows(capsys, talk, "--model", artifact, "--windows=.1", status=1)
    assert "a window of 0.1 s" in row["error"] and "takes 0.5 to 300 s" in row["error"]


def test_segments_are_the_stretches_of_speech(talk: Path, artifact: Path, capsys: Capture) -> None:
    first, second = rows(capsys, talk, "--model", artifact, "--segments")
    assert first["start"] == 0 and first["speech"] is second["speech"] is True
    assert second["start"] - first["end"] == pytest.approx(5, abs=1.0)
    assert second["end"] == pytest.approx(soundfile.info(talk).duration - 2, abs=0.8)
    samples, session = read_audio(talk), edgeemo.load(artifact)
    part = samples[round(second["start"] * 16000) : round(second["end"] * 16000)]
    want = session.predict(part, gate=None)
    assert second["arousal"] == pytest.approx(want.arousal, abs=1e-3)


def test_a_long_sound_is_the_mean_of_its_speech(
    talk: Path, artifact: Path, tmp_path: Path, capsys: Capture
) -> None:
    """Longer than what is held in memory: what stays is speech, in pieces of a minute."""
    samples = np.tile(read_audio(talk), 30)
    soundfile.write(tmp_path / "long.wav", samples, 16000, subtype="FLOAT")
    (long,) = rows(capsys, tmp_path / "long.wav", "--model", artifact)
    (short,) = rows(capsys, talk, "--model", artifact)
    assert long["end"] == pytest.approx(len(samples) / 16000, abs=1e-3) and long["end"] > 300
    assert long["arousal"] == pytest.approx(short["arousal"], abs=0.02)
    assert sum(long["classes"].values()) == pytest.approx(1, abs=1e-3)


def test_notes_are_in_the_row_and_on_stderr(
    talk: Path, artifact: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "cut.wav").write_bytes(talk.read_bytes()[:200_000])
    (row,) = rows(capsys, tmp_path / "cut.wav", "--model", artifact)
    assert "are missing" in row["notes"][0]
    assert cli.main(["predict", str(tmp_path / "cut.wav"), "--model", str(artifact)]) == 0
    assert "cut.wav: " in capsys.readouterr().err


def test_one_channel(talk: Path, artifact: Path, tmp_path: Path, capsys: Capture) -> None:
    samples = read_audio(talk)
    both = np.stack([samples, samples[::-1]], 1)
    soundfile.write(tmp_path / "two.wav", both, 16000, subtype="FLOAT")
    (one,) = rows(capsys, tmp_path / "two.wav", "--channel", "1", "--model", artifact)
    (want,) = rows(capsys, talk, "--model", artifact)
    assert one | {"path": ""} == want | {"path": ""}
    (bad,) = rows(capsys, tmp_path / "two.wav", "--channel", "3", "--model", artifact, status=1)
    assert "no channel 3" in bad["error"]


def test_standard_input(talk: Path, artifact: Path) -> None:
    command = [sys.executable, "-m", "edgeemo", "predict", "-", "--model", artifact, "--json"]
    run = subprocess.run(command, input=talk.read_bytes(), capture_output=True, check=True)
    assert json.loads(run.stdout)["path"] == "-"
    assert run.stderr.startswith(b"edgeemo: tiny (") and run.stderr.count(b"\n") == 1


def test_csv_has_the_rows(folder: Path, artifact: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "sub" / "table.csv"
    found = rows(capsys, folder, "--model", artifact, "--csv", out, status=1)
    with out.open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["path"] for row in table] == [row["path"] for row in found]
    assert [row["error"] for row in table] == [row.get("error", "") for row in found]
    assert float(table[0]["happiness"]) == found[0]["classes"]["happiness"]
    with pytest.raises(SystemExit):
        cli.main(["predict", "x.wav", "--windows", "3", "--segments"])


@pytest.mark.parametrize("name", ["", "x" * 300])
def test_an_output_that_cannot_be_is_refused_first(
    folder: Path, artifact: Path, capsys: Capture, name: str
) -> None:
    out = str(folder / name)
    assert cli.main(["predict", str(folder), "--model", str(artifact), "--csv", out]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1


def test_several_processes_give_the_same_rows(
    folder: Path, artifact: Path, capsys: Capture
) -> None:
    strange = os.fsdecode(os.fsencode(folder) + b"/\xff\x1b.flac")
    shutil.copy(folder / "b.flac", strange)
    one = rows(capsys, folder, "--model", artifact, status=1)
    assert rows(capsys, folder, "--model", artifact, "--jobs", "2", status=1) == one
    assert cli.main(["predict", str(folder), "--model", str(artifact), "--jobs", "0"]) == 2


def test_several_processes_say_once_which_model_runs(folder: Path) -> None:
    command = [sys.executable, "-m", "edgeemo", "predict", folder, "--jobs", "2"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.stderr.count("edgeemo: wav2small-stream") == 1, run.stderr


def test_a_process_that_dies_takes_one_file_with_it(
    folder: Path, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(folder / "stuck")  # a worker waits for its writer, and can be killed meanwhile
    options = Options(str(artifact), None, "none", None, "energy", None, False, None, False)
    given = [Input(str(folder / n), "sound") for n in ("b.flac", "stuck", "sub/a.FLAC")]
    children = Path(f"/proc/{os.getpid()}/task")

    def kill() -> None:
        # Opening the pipe for writing returns when the worker has opened it for reading.
        with (folder / "stuck").open("wb"):
            for task in children.iterdir():
                for pid in (task / "children").read_text().split():
                    if b"_workers" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        os.kill(int(pid), signal.SIGKILL)

    threading.Thread(target=kill).start()
    found = [rows for _, rows in rows_of(given, options, 1)]
    assert found[1] == [
        {"path": str(folder / "stuck"), "error": "the process that read it ended (signal 9)"}
    ]
    assert all("arousal" in rows[0] for rows in (found[0], found[2]))


def test_names_reach_no_terminal_raw_and_json_stays_utf8(
    speech_files: list[Path], artifact: Path, tmp_path: Path
) -> None:
    names = [b"a\x1b[31m.flac", b"b\xff\n.flac", b"c\t.wav"]
    for name in names[:2]:
        shutil.copy(speech_files[0], os.fsencode(tmp_path) + b"/" + name)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + names[2])).write_bytes(b"RIFF")
    command = [sys.executable, "-m", "edgeemo", "predict", tmp_path, "--model", artifact]
    text = subprocess.run(command, capture_output=True)
    assert text.returncode == 1 and text.stdout.count(b"\n") == 4
    assert not any(c < 32 and c != 10 for c in text.stdout + text.stderr)
    found = subprocess.run([*command, "--json"], capture_output=True).stdout.decode("utf-8")
    parsed = [json.loads(line) for line in found.splitlines()]
    assert len(parsed) == 3 and "b\\xff" in parsed[1]["path"]


def test_what_a_library_raises_about_a_file_is_its_row(
    folder: Path, artifact: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = edgeemo.Session.predict
    calls: list[int] = []

    def sometimes(self: edgeemo.Session, *args: Any, **how: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise OSError(5, "Input/output error")
        return real(self, *args, **how)

    monkeypatch.setattr(edgeemo.Session, "predict", sometimes)
    found = rows(capsys, folder, "--model", artifact, status=1)
    assert "Input/output error" in found[0]["error"] and "arousal" in found[2]


def test_json_holds_no_marks_for_a_terminal() -> None:
    row = {"path": "\u202ea\U000e0001\x1bü語", "error": "\u2028"}
    line = json_line(row)
    assert line.isprintable() and "ü語" in line and json.loads(line) == row


def test_folders_tell_what_they_leave(folder: Path, artifact: Path, capsys: Capture) -> None:
    for name in ("a.heic", "b.TIF", "c.gif", "d.cr2", ".hidden.wav", "._b.flac"):
        (folder / name).write_bytes(b"x")
    (folder / "program.ts").write_text("const a = 1;")
    (folder / "linked").symlink_to(folder / "sub")
    (folder / "gone.wav").symlink_to(folder / "nowhere.wav")
    (folder / "inside.flac").symlink_to(folder / "b.flac")
    outside = folder.parent / "outside.flac"
    outside.write_bytes((folder / "b.flac").read_bytes())
    (folder / "led.flac").symlink_to(outside)
    assert cli.main(["predict", str(folder), "--model", str(artifact)]) == 1
    out, err = capsys.readouterr()
    assert "hidden" not in out and "._b" not in out and "program" not in out
    told = "not taken: 1 .cr2, 1 .gif, 1 .heic, 1 .tif, 1 broken link, 1 link out of the folder"
    told += ", 1 linked folder"
    assert "inside.flac" in out and "led.flac" not in out
    assert told in err


@pytest.mark.parametrize("ending", ["mp4", "wmv", "3gp"])
def test_a_recording_with_a_video_s_ending(
    talk: Path, artifact: Path, tmp_path: Path, ending: str, capsys: Capture
) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_bytes(talk.read_bytes())
    assert cli.main(["predict", str(path), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "voice" not in json.loads(line)


def test_progress_is_for_terminals_alone(talk: Path, artifact: Path, tmp_path: Path) -> None:
    """The real command on a real pseudo-terminal; slowed by a pipe that fills late."""
    os.mkfifo(tmp_path / "late.wav")
    main, side = pty.openpty()
    command = [sys.executable, "-m", "edgeemo", "predict", tmp_path / "late.wav", talk, talk]
    with subprocess.Popen(
        [*command, "--model", artifact], stdout=subprocess.PIPE, stderr=side
    ) as run:
        os.close(side)
        with (tmp_path / "late.wav").open("wb") as pipe:
            time.sleep(1.5)  # progress begins after a second of work
            pipe.write(talk.read_bytes())
        assert run.stdout is not None
        out = run.stdout.read()
    shown = b""
    with contextlib.suppress(OSError):  # how a pseudo-terminal ends
        while part := os.read(main, 4096):
            shown += part
    os.close(main)
    assert b"of 3: " in shown and out.count(b"\n") == 4 and b"of 3: " not in out


@pytest.mark.parametrize("backend", ["onnx", "tflite", "c"])
def test_no_runtime_speaks_on_stderr(talk: Path, backend: str) -> None:
    command = [sys.executable, "-m", "edgeemo", "predict", talk, "--backend", backend]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [line for line in run.stderr.splitlines() if not line.startswith("edgeemo: ")] == []
