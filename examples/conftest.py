"""What the examples in C share: the shipped student as a C folder, a clip, and its estimates."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import wave
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeemo import Session
from edgeemo.artifacts.models import DEFAULT, ZOO
from edgeemo.artifacts.teachers_package import need
from edgeemo.audio import read_audio
from edgeemo.backends import Backend, open_backend
from edgeemo.features import log_mel

SPEECH = need("speech/emodb_full/03a01Fa.flac")


@dataclass(frozen=True)
class Student:
    """The C folder, and the backend `c` on the file that it was made of."""

    folder: Path
    backend: Backend

    def estimate(self, samples: NDArray[np.float32] | NDArray[np.int16]) -> dict[str, np.float32]:
        """All values by name, for all samples."""
        found = self.backend.run(log_mel(samples, self.backend.card.features)[np.newaxis])
        outputs = [self.backend.card.output(name) for name in found]
        labels = [label for output in outputs if output for label in output.labels]
        values = np.concatenate([value[0] for value in found.values()])
        return dict(zip(labels, values, strict=True))

    def stream(self, samples: NDArray[np.float32]) -> list[list[str | float]]:
        """What a stream gives: start, end, then "nobody", or confidence, class and values."""
        told: list[list[str | float]] = []
        for e in Session(self.backend, self.folder).stream().push(samples):
            numbers = [e.arousal, e.dominance, e.valence, *e.classes.values()]
            rest = [e.confidence, e.expression, *numbers] if e.speech else ["nobody"]
            told.append([*map(float, np.float32([e.start, e.end])), *rest])  # type: ignore[list-item]
        return told


@pytest.fixture(scope="session")
def numbered() -> Callable[[str], list[list[str | float]]]:
    """Lines that a program printed, in the form of Student.stream()."""

    def word(text: str) -> str | float:
        try:
            return float(np.float32(text))
        except ValueError:
            return text

    return lambda text: [[word(part) for part in line.split()] for line in text.splitlines()]


@dataclass(frozen=True)
class Sound:
    """Nine seconds as float32 samples, in a file and here."""

    path: Path
    samples: NDArray[np.float32]


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """Speech, nothing, and speech."""
    speech = read_audio(SPEECH)
    parts = [speech, np.zeros(80_000), speech[::-1] / 4]
    samples = np.concatenate(parts).astype("<f4")
    path = tmp_path_factory.mktemp("sound") / "sound.f32"
    path.write_bytes(samples.tobytes())
    return Sound(path, samples)


@dataclass(frozen=True)
class Clip:
    """Two seconds of speech."""

    path: Path  # WAV, 16 kHz, one channel, 16 bits
    samples: NDArray[np.int16]


@pytest.fixture(scope="session")
def student(tmp_path_factory: pytest.TempPathFactory) -> Student:
    from edgeemo.export.c_writer import write_folder

    need("gcc")
    artifact = Path(os.environ.get("EDGEEMO_STUDENT", ZOO / f"{DEFAULT}.tflite"))
    folder = tmp_path_factory.mktemp("student") / f"{DEFAULT}-c"
    write_folder(artifact, folder)
    return Student(folder, open_backend(artifact, "c"))


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    samples = np.rint(read_audio(SPEECH) * 32768).clip(-32768, 32767).astype("<i2")
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(samples.tobytes())
    return Clip(path, samples)


def need(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed; .ci/run installs it when run by root")


@pytest.fixture(scope="session")
def needs() -> Callable[..., None]:
    """Skips where one of the named tools is missing."""
    return need


EXPORT = f"edgeemo export {DEFAULT} --format c -o ."
NOT_AT_HAND = "/path/to/"


@pytest.fixture(scope="session")
def follow(student: Student) -> Callable[[Path, Mapping[str, str]], dict[str, str]]:
    """Run the commands of a folder's README in it, but those with a path that only a user has."""

    def run(folder: Path, places: Mapping[str, str]) -> dict[str, str]:
        text = (folder / "README.md").read_text()
        blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        shown = "".join(block for language, block in blocks if not language)
        lines = [line.split("  #")[0].strip() for line in shown.splitlines()]
        assert lines[0] == EXPORT  # tests/export/test_c_writer.py runs it
        (folder / f"{DEFAULT}-c").symlink_to(student.folder)
        printed = {}
        # Below another make, as in `make test`, make tells each folder that it enters.
        alone = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
        for line in lines[1:]:
            command = line
            for told, here in places.items():
                command = command.replace(told, here)
            if NOT_AT_HAND not in command:
                done = subprocess.run(
                    command, shell=True, cwd=folder, capture_output=True, text=True, env=alone
                )
                assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
                printed[line] = done.stdout
        return printed

    return run


@pytest.fixture(scope="session")
def shown() -> Callable[[str], str]:
    """The block of a language in the guide to packages."""
    page = Path(__file__).resolve().parents[1] / "docs" / "guides" / "packages.md"

    def block(language: str) -> str:
        found = re.findall(
            rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE
        )
        assert len(found) == 1
        return str(found[0])

    return block
