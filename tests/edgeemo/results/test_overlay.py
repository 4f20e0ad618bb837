"""The video that is written, as ffmpeg decodes it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeemo import cli
from edgeemo.errors import BadInput
from edgeemo.results.overlay import Overlay, encode, paced
from tests.edgeemo.live.conftest import FACES, write_video

Capture = pytest.CaptureFixture[str]
WIDTH, HEIGHT = 320, 240


@pytest.fixture(autouse=True)
def _programs() -> None:
    if shutil.which("ffprobe") is None:
        pytest.skip("ffmpeg is not installed")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A face for a second, then nobody for half a second; 25 frames a second, no sound."""
    face = cv2.imread(str(FACES / "london" / "001_happiness.jpg"))
    face = cv2.copyMakeBorder(cv2.resize(face, (240, 240)), 0, 0, 40, 40, cv2.BORDER_REPLICATE)
    shown = cv2.cvtColor(face, cv2.COLOR_BGR2RGB)
    return write_video(tmp_path / "film.avi", [shown] * 25 + [np.full_like(shown, 90)] * 12)


@pytest.fixture
def talk(film: Path, speech_files: list[Path]) -> Path:
    """The same with speech."""
    path = film.with_name("talk.mkv")
    command = ["ffmpeg", "-v", "error", "-i", film, "-i", speech_files[0], "-c:v", "copy"]
    subprocess.run([*command, "-c:a", "pcm_s16le", "-t", "1.48", path], check=True)
    return path


def streams(path: Path) -> dict[str, dict[str, Any]]:
    command = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", path]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return {s["codec_type"]: s for s in json.loads(run.stdout)["streams"]}


def decoded(path: Path) -> NDArray[np.uint8]:
    """[frames, height, width, 3], RGB."""
    video = streams(path)["video"]
    command = ["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    run = subprocess.run(command, capture_output=True, check=True)
    shape = (-1, video["height"], video["width"], 3)
    return np.frombuffer(run.stdout, np.uint8).reshape(shape)


def yellow(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Near the color of boxes: encoders change colors a little."""
    red, green, blue = np.moveaxis(pixels.astype(int), -1, 0)
    return (red > 170) & (green > 120) & (blue < 110)


def test_faces_sound_and_time_are_in_the_video(talk: Path, capsys: Capture) -> None:
    out = talk.with_name("out.mp4")
    assert cli.main(["predict", str(talk), "--json", "--overlay", str(out)]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    left, top, right, bottom = next(row["box"] for row in rows if "face" in row)
    assert any(row.get("voice") for row in rows)
    found = streams(out)
    assert found["audio"]["codec_name"] == "aac"
    assert abs(float(found["audio"]["duration"]) - 1.48) < 0.1
    frames = decoded(out)
    assert len(frames) == 37 and frames.shape[2] == WIDTH and frames.shape[1] > HEIGHT
    boxes = yellow(frames[:, :HEIGHT])
    # The edges of the box, away from its name, in the middle of the first second.
    middle = (top + bottom) // 2
    assert boxes[12, middle, left - 2 : left + 3].any()
    assert boxes[12, middle, right - 2 : right + 3].any()
    assert boxes[12, bottom - 2 : bottom + 3, (left + right) // 2].any()
    assert not boxes[30].any()  # nobody is there any more
    # Below, something changes from frame to frame: the line of the present.
    panel = frames[:, HEIGHT:].astype(int)
    assert np.abs(panel[2] - panel[30]).max() > 100


def test_a_video_without_sound_has_none(film: Path, capsys: Capture) -> None:
    out = film.with_name("out.mp4")
    assert cli.main(["predict", str(film), "--json", "--overlay", str(out)]) == 0
    assert capsys.readouterr().err.count("\n") == 1  # the name of the model
    assert [*streams(out)] == ["video"]
    assert len(decoded(out)) == 37


def test_nothing_is_written_after_ctrl_c(film: Path) -> None:
    out = film.with_name("out.mp4")
    with pytest.raises(KeyboardInterrupt), Overlay(out, film) as overlay:
        overlay.write({"start": 0.0, "end": 1.0, "arousal": 0.5, "classes": {}})
        raise KeyboardInterrupt
    assert not out.exists()


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    with pytest.raises(BadInput, match="twice; give a file"):
        Overlay(tmp_path / "out.mp4", pipe)


@pytest.mark.parametrize(
    ("paths", "out", "message"),
    [
        (["film.avi"], "out.avi", "unknown ending of a video; expected .mp4"),
        (["film.avi"], "film.mp4", "is there already"),
        (["film.avi"], "film.avi/out.mp4", "is a file"),
        (["film.avi", "film.avi"], "out.mp4", "draws on one video, not on 2 files"),
        (["a.wav"], "out.mp4", "draws on one video, not on a.wav"),
        (["a.png"], "out.mp4", "draws on one video, not on a.png"),
        (["absent.mp4"], "out.mp4", "absent.mp4: no such file; give the path of a video file"),
    ],
)
def test_refused_in_one_line_before_the_work(
    film: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    paths: list[str],
    out: str,
    message: str,
) -> None:
    monkeypatch.chdir(film.parent)
    Path("film.mp4").write_bytes(b"somebody's")
    assert cli.main(["predict", *paths, "--overlay", out]) == 2
    text, err = capsys.readouterr()
    assert text == "" and err.count("\n") == 1 and message in err
    assert {path.name for path in film.parent.iterdir()} == {"film.avi", "film.mp4"}


def test_without_ffmpeg_there_is_one_line(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(film.parent))
    with pytest.raises(BadInput, match="needs ffmpeg; install it"):
        Overlay(film.with_name("out.mp4"), film)


def test_what_ffmpeg_says_is_told(film: Path) -> None:
    """The folder has gone away."""
    frames = iter([np.zeros((64, 64, 3), np.uint8)] * 500)
    with pytest.raises(BadInput, match=r"ffmpeg cannot write the overlay \(.*No such file"):
        encode(frames, (64, 64), 25, film, film.parent / "absent" / "out.mp4")


def test_the_rate_is_steady() -> None:
    """A frame stays until the next one is due; of frames that come too fast some are left out."""
    frames = [np.full((1, 1, 3), n, np.uint8) for n in range(9)]

    def given(*seconds: float) -> list[int]:
        return [int(f[0, 0, 0]) for f in paced(zip(seconds, frames, strict=False), 10)]

    assert given(0, 0.1, 0.2) == [0, 1, 2]
    assert given(0, 0.4, 0.5) == [0, 0, 0, 0, 1, 2]
    assert given(0, 0.03, 0.06, 0.1, 0.13, 0.2) == [0, 2, 5]
