"""An output that cannot be written is refused before any sound is read or model loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeemo import cli
from edgeemo.audio import SoundReader
from edgeemo.backends import open_backend

LONG = "x" * 300


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was begun: sound that is read, and models that are loaded."""
    begun: list[str] = []
    read = SoundReader.__iter__

    def reading(self: SoundReader) -> Any:
        begun.append(self.name)
        return read(self)

    def opening(path: Path, *more: Any) -> Any:
        begun.append(str(path))
        return open_backend(path, *more)

    monkeypatch.setattr(SoundReader, "__iter__", reading)
    monkeypatch.setattr("edgeemo.session.open_backend", opening)
    return begun


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("evaluate DATA --csv DIR", "is a folder"),
        ("evaluate DATA --plot FILE/x.svg", "is a file"),
        (f"evaluate DATA --plot {LONG}.svg", "characters"),
        ("evaluate DATA --confusion FILE/x.csv", "is a file"),
        ("calibrate --labels DATA/labels.csv -o DIR", "is a folder"),
        (f"calibrate CLIP -o {LONG}", "characters"),
        ("calibrate CLIP -o FILE/me.json", "is a file"),
        ("predict CLIP --csv DIR", "is a folder"),
        (f"predict CLIP --csv {LONG}", "characters"),
        ("export nothing -o FILE", "is a file"),
        (f"export nothing -o {LONG}", "characters"),
        ("live --fast --wav CLIP --record FILE", "is a file"),
        ("live --fast --wav CLIP --record FILE/x", "is a file"),
        (f"live --fast --wav CLIP --record {LONG}", "characters"),
    ],
)
def test_it_is_refused_first(
    speech_files: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    work: list[str],
    command: str,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DATA", "DIR"):
        (tmp_path / name).mkdir()
    (tmp_path / "FILE").write_text("old")
    clip = tmp_path / "DATA" / "a.flac"
    clip.write_bytes(speech_files[0].read_bytes())
    (tmp_path / "DATA" / "labels.csv").write_text(
        "path,arousal,dominance,valence\na.flac,.5,.5,.5\n"
    )
    arguments = [str(clip) if word == "CLIP" else word for word in command.split()]
    assert cli.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("edgeemo: ") and says in line
    assert work == []
    assert (tmp_path / "FILE").read_text() == "old" and len([*tmp_path.iterdir()]) == 3
