"""Real speech to fill the miniatures of corpora with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from edgeemo.artifacts.teachers_package import need

Place = Callable[..., None]
SPEECH = need("speech")


@pytest.fixture(scope="session")
def encoded() -> dict[str, bytes]:
    """One real clip, encoded in several ways."""
    flac = SPEECH / "emodb_full" / "03a01Fa.flac"
    return {".flac": flac.read_bytes(), ".ogg": (SPEECH / "emodb_full/03a04Ta.ogg").read_bytes()}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Write real speech under each name, relative to tmp_path; WAV unless the name says else."""
    samples, rate = soundfile.read(SPEECH / "emodb_full" / "03a01Fa.flac")

    def write(*names: str) -> None:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, samples, rate)

    return write
