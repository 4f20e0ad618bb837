"""The library on an emulated aarch64, called as a wrapper calls it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
ROOT = "/usr/aarch64-linux-gnu"  # where Debian's cross compiler keeps its C library


@pytest.fixture(scope="module")
def build(
    student: Any, needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    needs("make", "aarch64-linux-gnu-gcc", "qemu-aarch64")
    build = tmp_path_factory.mktemp("phone")
    command = ["make", "-s", "-C", HERE, f"STUDENT={student.folder}", f"BUILD={build}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return build


def test_it_gives_the_bits_of_python(build: Path, student: Any, clip: Any, tmp_path: Path) -> None:
    samples = clip.samples.astype("<f4") / 32768
    (tmp_path / "clip.f32").write_bytes(samples.tobytes())
    command = ["qemu-aarch64", "-L", ROOT, build / "caller", build / "libedgeemo_phone.so"]
    done = subprocess.run([*command, tmp_path / "clip.f32"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = dict(line.split() for line in done.stdout.splitlines())
    want = student.estimate(clip.samples)
    assert {name: np.float32(text) for name, text in found.items()} == want


def test_too_little_sound_is_told(build: Path, tmp_path: Path) -> None:
    (tmp_path / "clip.f32").write_bytes(bytes(400))
    command = ["qemu-aarch64", "-L", ROOT, build / "caller", build / "libedgeemo_phone.so"]
    done = subprocess.run([*command, tmp_path / "clip.f32"], capture_output=True, text=True)
    assert done.returncode == 1 and "too few frames" in done.stderr


def test_it_shows_nothing_but_its_functions(build: Path) -> None:
    listing = subprocess.run(
        ["aarch64-linux-gnu-nm", "-D", "--defined-only", build / "libedgeemo_phone.so"],
        capture_output=True,
        text=True,
        check=True,
    )
    names = {line.split()[-1] for line in listing.stdout.splitlines()}
    assert names and all(name.startswith("edgeemo_phone_") for name in names)
    assert (build / "libedgeemo_phone.so").stat().st_size < 256 << 10
