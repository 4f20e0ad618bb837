"""The program in C gives the bits that Python gives."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
LINE = re.compile(r"arousal (\S+), dominance (\S+), valence (\S+)\n")


@pytest.fixture(scope="module")
def program(
    student: Any, needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    needs("cmake", "gcc")
    build = tmp_path_factory.mktemp("c_host")
    configure = ["cmake", "-S", HERE, "-B", build, f"-DSTUDENT={student.folder}"]
    configure.append("-DEDGEEMO_SELF_TEST=ON")  # in another's project it is off
    for command in (configure, ["cmake", "--build", build]):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return build / "wav2adv"


def test_it_prints_the_estimate(program: Path, student: Any, clip: Any) -> None:
    done = subprocess.run([program, clip.path], capture_output=True, text=True, check=True)
    found = LINE.fullmatch(done.stdout)
    assert found, done.stdout
    want = student.estimate(clip.samples)
    for name, text in zip(("arousal", "dominance", "valence"), found.groups(), strict=True):
        assert np.float32(text) == want[name]


def test_the_self_test_passes_in_cmake(program: Path) -> None:
    done = subprocess.run(
        ["ctest", "--test-dir", program.parent / "student"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "100% tests passed" in done.stdout


def test_other_files_are_refused(program: Path, tmp_path: Path) -> None:
    (tmp_path / "no.wav").write_bytes(b"RIFF\0\0\0\0WAVEdata")
    for path in (tmp_path / "no.wav", tmp_path / "absent.wav"):
        done = subprocess.run([program, path], capture_output=True, text=True)
        assert done.returncode == 2 and "16 kHz" in done.stderr
