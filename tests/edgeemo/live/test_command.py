"""`edgeemo live` as people and programs start it: files, JSON, the ways in which it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import edgeemo
from edgeemo import cli
from edgeemo.audio import read_audio
from edgeemo.devices import sound_file
from edgeemo.live.engine import Engine
from edgeemo.live.terminal import screen
from edgeemo.live.web import estimate_message
from edgeemo.types import CLASSES, DIMENSIONS

from .conftest import Start

Capture = pytest.CaptureFixture[str]
KEYS = [*DIMENSIONS, "classes", "confidence", "start", "end"]


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def fast(capsys: Capture, *arguments: str | Path) -> list[dict[str, Any]]:
    assert cli.main(["live", "--fast", "--json", *map(str, arguments)]) == 0
    return lines(capsys.readouterr().out)


def test_json_is_what_the_stream_gives(clip: Path, capsys: Capture) -> None:
    found = fast(capsys, "--wav", clip)
    with edgeemo.load("wav2small-stream").stream() as stream:
        expected = [*stream.push(read_audio(clip)), *stream.flush()]
    assert len(found) == len(expected) > 5
    for row, emotion in zip(found, expected, strict=True):
        assert list(row) == ["path", *KEYS, "speech", "sides"]
        assert row["path"] == str(clip) and row["sides"] == ["voice"] and row["speech"] is True
        assert row["classes"] == {n: round(emotion.classes[n], 4) for n in CLASSES}
        for name in (*DIMENSIONS, "confidence", "start", "end"):
            assert row[name] == round(getattr(emotion, name), 4)


def test_a_profile_moves_the_voice(clip: Path, tmp_path: Path, capsys: Capture) -> None:
    calm = np.tile(read_audio(clip), 15)
    soundfile.write(tmp_path / "calm.wav", calm, 16_000)
    profile = tmp_path / "me.json"
    assert cli.main(["calibrate", str(tmp_path / "calm.wav"), "-o", str(profile)]) == 0
    capsys.readouterr()
    plain, own = fast(capsys, "--wav", clip), fast(capsys, "--wav", clip, "--profile", profile)
    assert [row["end"] for row in own] == [row["end"] for row in plain]
    assert [row["arousal"] for row in own] != [row["arousal"] for row in plain]


def test_real_speed_gives_the_same(clip: Path, capsys: Capture) -> None:
    expected = fast(capsys, "--wav", clip)
    assert cli.main(["live", "--json", "--wav", str(clip)]) == 0
    out, err = capsys.readouterr()
    assert lines(out) == expected
    assert "from the last sample to the shown estimate: median" in err


def test_nothing_is_claimed_in_silence(long_clip: Path, capsys: Capture) -> None:
    last = fast(capsys, "--wav", long_clip)[-1]
    assert last["speech"] is False and last["sides"] == [] and last["classes"] == {}
    assert [last[name] for name in DIMENSIONS] == [None] * 3


def test_lines_for_people_where_there_is_no_terminal(clip: Path, capsys: Capture) -> None:
    assert cli.main(["live", "--fast", "--wav", str(clip)]) == 0
    out, err = capsys.readouterr()
    head, first, *_ = out.splitlines()
    assert head.split() == ["time", "arousal", "dominance", "valence", "class", "sides"]
    assert first.split()[0] == "1.00" and first.split()[-1] == "voice"
    assert "face: no camera in use" in err


def test_pictures_alone(silent_video: Path, face_artifact: Path, capsys: Capture) -> None:
    arguments = ["--video", silent_video, "--microphone", "none", "--face-model", face_artifact]
    found = fast(capsys, *arguments)
    faces = [row for row in found if row["sides"]]
    assert {tuple(row["sides"]) for row in faces} == {("face",)}
    assert len(faces) > 8 and all(row["end"] - found[0]["end"] < 4.1 for row in found)
    # Four a second, of twelve pictures a second in which a face is looked for.
    steps = np.diff([row["end"] for row in found])
    assert np.all((steps > 0.23) & (steps < 0.35))
    left, top, right, bottom = faces[0]["box"]
    assert 0 <= left < right <= 320 and 0 <= top < bottom <= 240
    assert found[-1]["sides"] == [] or found[-1]["end"] < 4  # nobody in the last second


def test_a_video_with_its_sound(
    clip: Path, silent_video: Path, face_artifact: Path, tmp_path: Path, capsys: Capture
) -> None:
    """Against the same sound and pictures as two files."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg is not installed")
    video = tmp_path / "-talking.mkv"  # a name that looks like an option
    subprocess.run(
        [
            program,
            "-loglevel",
            "error",
            "-i",
            silent_video,
            "-i",
            clip,
            "-c:v",
            "copy",
            "-c:a",
            "pcm_s16le",
            f"file:{video}",
        ],
        check=True,
    )
    model = ("--face-model", face_artifact)
    found = fast(capsys, f"--video={video}", *model)
    apart = fast(capsys, "--video", silent_video, "--wav", clip, *model)
    assert {tuple(row["sides"]) for row in found} >= {("voice", "face"), ("face",)}
    assert [{**row, "path": ""} for row in found] == [{**row, "path": ""} for row in apart]
    both = next(row for row in found if len(row["sides"]) == 2)
    assert both["speech"] is True and "box" in both


def test_a_video_without_sound_is_pictures(
    silent_video: Path, face_artifact: Path, capsys: Capture
) -> None:
    arguments = ["live", "--fast", "--json", "--video", str(silent_video)]
    there = shutil.which("ffmpeg") is not None
    # A film without sound is no fault; one whose sound cannot be looked for is.
    assert cli.main([*arguments, "--face-model", str(face_artifact)]) == (0 if there else 1)
    out, err = capsys.readouterr()
    assert {"face"} in [set(row["sides"]) for row in lines(out)]
    assert "voice: face.avi has no sound\n" in err if there else "needs ffmpeg" in err


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.m3u8", "#EXTM3U\n#EXTINF:1,\nface.avi\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile face.avi\n"),
        ("list.mp4", "ffconcat version 1.0\nfile face.avi\n"),
    ],
)
def test_playlists_are_refused(
    name: str, text: str, silent_video: Path, face_artifact: Path, tmp_path: Path, capsys: Capture
) -> None:
    """They name other files and addresses, which the decoder would open."""
    shutil.copy(silent_video, tmp_path / "face.avi")
    (tmp_path / name).write_text(text)
    arguments = ["live", "--fast", "--video", str(tmp_path / name), "--microphone", "none"]
    assert cli.main([*arguments, "--face-model", str(face_artifact)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and f"{name}: is a playlist, not a video" in err


def test_views_show_names_and_json_the_path(clip: Path, tmp_path: Path, capsys: Capture) -> None:
    """Folders tell who somebody is; a name cannot steer the terminal."""
    strange = tmp_path / "a\x1b[31m.flac"
    shutil.copy(clip, strange)
    sounds = {strange: "a\\x1b[31m.flac", clip: clip.name}
    for path, shown in sounds.items():
        session = edgeemo.load("wav2small-stream")
        voice = (lambda path=path: sound_file(path, fast=True), session.stream())
        engine = Engine(voice, None, {"voice": "v"})
        engine.run([])
        assert engine.state.sources == {"voice": shown}
        assert estimate_message(engine.state)["sources"] == {"voice": shown}
        assert "\x1b" not in screen(engine.state, 100, 40).plain
        assert str(path.parent) not in screen(engine.state, 200, 40).plain
        (first, *_) = fast(capsys, "--wav", path)
        assert first["path"] == str(path)


def test_any_container_stands_in_for_the_microphone(
    clip: Path, tmp_path: Path, capsys: Capture
) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed; .ci/run installs it")
    made = ["ffmpeg", "-v", "error", "-i", clip, "-c:a", "flac", tmp_path / "a.mka"]
    subprocess.run(made, check=True)
    want = [row | {"path": ""} for row in fast(capsys, "--wav", clip)]
    assert [row | {"path": ""} for row in fast(capsys, "--wav", tmp_path / "a.mka")] == want


def test_a_recording_is_what_was_heard(clip: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "new" / "folder"
    found = fast(capsys, "--wav", clip, "--record", folder)
    sound, rate = soundfile.read(folder / "sound.wav", dtype="float32")
    assert rate == 16_000
    assert np.max(np.abs(sound - read_audio(clip))) <= 1 / 65536
    assert lines((folder / "estimates.jsonl").read_text()) == found
    assert cli.main(["live", "--fast", "--wav", str(clip), "--record", str(folder)]) == 2
    assert "is not an empty folder" in capsys.readouterr().err


def test_it_says_where_it_records(clip: Path, tmp_path: Path, capsys: Capture) -> None:
    assert cli.main(["live", "--fast", "--wav", str(clip), "--record", str(tmp_path / "r")]) == 0
    assert f"recording to {tmp_path / 'r'}" in capsys.readouterr().err


def test_nothing_is_kept_unless_asked_for(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(home))
    fast(capsys, "--wav", clip)
    assert list(home.rglob("*")) == []


def test_a_signal_is_a_clean_end(long_clip: Path, start: Start) -> None:
    """As a service is stopped; Ctrl-C is tried on the terminal and in the browser."""
    process = start("--wav", long_clip, "--json")
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert first["end"] == 1.0
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert all(json.loads(line) for line in out.splitlines())
    assert "estimates; " in err and "Traceback" not in err and "interrupted" not in err


def test_a_reader_that_leaves_ends_it(long_clip: Path, start: Start) -> None:
    process = start("--wav", long_clip, "--json")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) == 1
    assert process.stderr is not None and process.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--wav", "a.wav", "--microphone", "1"], "leave out --microphone"),
        (["--video", "a.mp4", "--camera", "0"], "leave out --camera"),
        (["--fast"], "--fast is for files"),
        (["--wav", "a.wav", "--fast", "--camera", "0"], "--fast is for files"),
        (["--microphone", "none"], "no model|camera 0"),
        (["--microphone", "none", "--camera", "none"], "nothing to listen to"),
        (["--wav", "absent.wav"], "absent.wav: no such file"),
        (["--wav", "a.wav", "--camera", "front"], "expected a number from 0"),
        (["--wav", "a.wav", "--model", "absent.onnx"], "no such file"),
        (["--web", "70000"], "70000"),
        (["--video", "pipe", "--fast"], "--video pipe: a pipe or a device; save it"),
        (["--video", "-"], "--video -: a pipe or a device"),
        (["--wav", "pipe"], "pipe: a pipe or a device, no file"),
        (["--wav", "a.wav", "--face-model", "mobilenetv1-face"], "--face-model: nothing is looked"),
    ],
)
def test_what_does_not_go_is_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", np.zeros(16_000, np.float32), 16_000)
    Path("a.mp4").write_bytes(b"\0\0\0\x18ftypisom")
    os.mkfifo("pipe")
    assert cli.main(["live", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and re.search(message, err)


def test_broken_sound_ends_it_with_its_error(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "b.wav").write_bytes(b"RIFF but broken")
    assert cli.main(["live", "--json", "--wav", str(tmp_path / "b.wav")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "cannot be read as sound" in err


def test_a_port_that_is_taken(clip: Path, capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert cli.main(["live", "--wav", str(clip), "--web", str(port)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert f"port {port} is taken" in err and "--web 0" in err


def test_the_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from edgeemo import cli\n"
        "try: cli.main(['live', '--help'])\n"
        "except SystemExit: print('HEAVY', {'rich', 'cv2', 'onnxruntime'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY set()" in run.stdout and "Nothing leaves the machine" in run.stdout
