"""Files that stand in for devices, and the command as a process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from edgeemo.audio import read_audio

FACES = Path(__file__).parents[2] / "data" / "faces"
COMMAND = (sys.executable, "-m", "edgeemo", "live")


@pytest.fixture(scope="session")
def clip(speech_files: list[Path]) -> Path:
    """Some 2 s of speech."""
    return next(p for p in speech_files if p.name == "1001_DFA_ANG_XX.flac")


@pytest.fixture(scope="session")
def long_clip(speech_files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute: speech of two people, and at its end 5 s of nothing but faint noise."""
    parts = [read_audio(p) for p in speech_files if "_DFA_" in p.name]
    speech = np.concatenate(parts * 3)[: 55 * 16_000]
    noise = np.random.default_rng(1).normal(0, 1e-4, 5 * 16_000)
    path = tmp_path_factory.mktemp("sound") / "minute.wav"
    soundfile.write(path, np.concatenate([speech, noise]), 16_000)
    return path


@pytest.fixture(scope="session")
def picture() -> NDArray[np.uint8]:
    """One face, RGB, 320 x 240."""
    image = cv2.imread(str(FACES / "london" / "001_happiness.jpg"))
    image = cv2.copyMakeBorder(cv2.resize(image, (240, 240)), 0, 0, 40, 40, cv2.BORDER_REPLICATE)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def write_video(path: Path, pictures: Iterable[NDArray[np.uint8]]) -> Path:
    """RGB pictures of 320 x 240 as a video of 25 a second, without sound."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (320, 240))
    assert writer.isOpened()
    for shown in pictures:
        writer.write(cv2.cvtColor(shown, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


@pytest.fixture(scope="session")
def silent_video(picture: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 s; in the last one there is no face."""
    path = tmp_path_factory.mktemp("video") / "face.avi"
    return write_video(path, [picture] * 75 + [np.full_like(picture, 90)] * 25)


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the command with arguments; what is left of it at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def begin(*arguments: str | Path, cwd: Path | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()
