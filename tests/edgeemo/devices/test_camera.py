"""Video in a camera's place: the newest picture, drops counted, a clean end, a lost camera."""

from __future__ import annotations

import importlib
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import edgeemo
from edgeemo.devices import video_file
from edgeemo.devices.camera import Camera
from edgeemo.errors import BadInput, DeviceLost

PICTURES, RATE = 20, 20.0


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second in which picture i is as red as 10 i, with a blue stripe."""
    path = tmp_path_factory.mktemp("video") / "red.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (64, 48))
    for i in range(PICTURES):
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[:, :, 2] = 10 * i
        picture[:8, :, 0] = 255
        writer.write(picture)
    writer.release()
    return path


def red(image: np.ndarray[Any, Any]) -> int:
    return round(float(image[24:, :, 0].mean()) / 10)


def test_fast_gives_every_picture_in_rgb(video: Path) -> None:
    with video_file(video, fast=True) as pictures:
        found = list(pictures)
    assert pictures.drops == 0
    times = [seconds for seconds, _ in found]
    assert times == pytest.approx([i / RATE for i in range(PICTURES)])
    for i, (_, image) in enumerate(found):
        assert image.shape == (48, 64, 3) and image.dtype == np.uint8
        assert abs(red(image) - i) <= 1
        assert image[2, :, 2].mean() > 200 > 100 > image[40, :, 2].mean()


def test_a_slow_reader_gets_the_newest_and_drops_are_counted(video: Path) -> None:
    begun = time.monotonic()
    with video_file(video) as pictures:
        found = []
        for seconds, image in pictures:
            found.append(seconds)
            assert abs(red(image) - seconds * RATE) <= 1
            time.sleep(0.2)
    assert 0.9 <= time.monotonic() - begun < 10
    assert found == sorted(found) and len(found) < PICTURES
    assert len(found) + pictures.drops == PICTURES


def test_stop_ends_the_iteration_and_the_thread(video: Path) -> None:
    with video_file(video) as pictures:
        timer = threading.Timer(0.2, pictures.stop)
        timer.start()
        for _ in pictures:
            pass
    timer.join()
    assert "edgeemo-video" not in {t.name for t in threading.enumerate()}
    with video_file(video, fast=True) as pictures:
        next(iter(pictures))  # leaving with pictures unread does not hang
    assert "edgeemo-video" not in {t.name for t in threading.enumerate()}


def test_what_is_no_video_and_no_camera(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "a.mp4"
    text.write_text("no video")
    with pytest.raises(BadInput, match="not a video"):
        video_file(text)
    with pytest.raises(BadInput, match="no such file"):
        video_file(tmp_path / "absent.mp4")
    with pytest.raises(DeviceLost, match="camera 97 cannot be opened"):
        edgeemo.camera(97)
    for index in (-1, True, "0"):
        with pytest.raises(BadInput, match="expected a number from 0"):
            edgeemo.camera(index)  # type: ignore[arg-type]
    assert capfd.readouterr().err == ""


class Unplugged:
    """What OpenCV gives of a camera whose cable is pulled after three pictures."""

    def __init__(self) -> None:
        self.left, self.released = 3, False

    def read(self) -> tuple[bool, Any]:
        time.sleep(0.02)
        self.left -= 1
        return self.left >= 0, np.zeros((4, 4, 3), np.uint8) if self.left >= 0 else None

    def release(self) -> None:
        self.released = True


def test_a_camera_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    # By its full name: `edgeemo.devices.camera` is also a function.
    module = importlib.import_module("edgeemo.devices.camera")
    monkeypatch.setattr(module, "LOST_SECONDS", 0.3)
    capture = Unplugged()
    with Camera("camera 0", capture) as camera, pytest.raises(DeviceLost, match="plugged in"):
        for seconds, image in camera:
            assert seconds < 1 and image.shape == (4, 4, 3)
    assert capture.released
    with pytest.raises(BadInput, match="not open"):
        next(iter(Camera("camera 0", capture)))
