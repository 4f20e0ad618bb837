"""The README's commands do what it says, one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.slow


def test_both_libraries_give_the_bits_of_python(followed: Any, student: Any, clip: Any) -> None:
    """The one for this machine, too, which is built after the one for 64-bit Arm."""
    want = student.estimate(clip.samples)
    for program in ("qemu-aarch64", "java"):
        (text,) = (told for line, told in followed.printed.items() if line.startswith(program))
        found = {name: np.float32(value) for name, value in map(str.split, text.splitlines())}
        assert found == want and len(found) == 11


def test_it_leaves_what_it_says(followed: Any) -> None:
    page = " ".join((Path(__file__).parent / "README.md").read_text().split())
    build = followed.folder / "build"
    (aar,) = build.glob("edgeemo-voice-*.aar")
    assert aar.with_suffix(".pom").is_file() and f'"libs/{aar.name}"' in page
    shown = re.search(r"some (\d+) KB, and its `.pom`", page)
    assert shown and abs(aar.stat().st_size / 1000 - int(shown[1])) < 10
    assert (build / "swift" / "Package.swift").is_file()
