"""An output that cannot be written is refused before any sound is read or model loaded."""

from __future__ import annotations

import sys
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
        ("predict CLIP --csv CLIP", "is read by this command"),
        ("predict DATA --csv CLIP", "is read by this command"),
        ("live --fast --wav CLIP --csv CLIP", "is read by this command"),
        ("evaluate DATA --csv DATA/labels.csv", "is read by this command"),
        ("evaluate DATA --confusion DATA/labels.csv", "is read by this command"),
        ("calibrate --labels DATA/labels.csv -o DATA/labels.csv", "is read by this command"),
        ("calibrate CLIP -o CLIP", "is read by this command"),
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
    inputs = [path.read_bytes() for path in (clip, tmp_path / "DATA" / "labels.csv")]
    arguments = [str(clip) if word == "CLIP" else word for word in command.split()]
    assert cli.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("edgeemo: ") and says in line
    assert work == []
    assert (tmp_path / "FILE").read_text() == "old" and len([*tmp_path.iterdir()]) == 3
    assert [path.read_bytes() for path in (clip, tmp_path / "DATA" / "labels.csv")] == inputs


def test_an_evaluation_among_the_data_is_made_again(
    speech_files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.flac").write_bytes(speech_files[0].read_bytes())
    table = "path,speaker,emotion\na.flac,a,anger\nb.flac,b,anger\nc.flac,c,sadness\n"
    (tmp_path / "labels.csv").write_text(table)
    for _ in range(2):
        assert cli.main(["evaluate", str(tmp_path), "--csv", str(tmp_path / "out.csv")]) == 0
    assert (tmp_path / "out.csv").read_text().startswith("path,speaker,label_arousal")


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size there")
@pytest.mark.parametrize("how", ["predict CLIP --csv out", "live --fast --wav CLIP --record out"])
def test_a_full_disk_is_told_with_the_name(
    speech_files: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    how: str,
) -> None:
    import resource

    monkeypatch.chdir(tmp_path)
    arguments = [str(speech_files[0]) if word == "CLIP" else word for word in how.split()]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        assert cli.main(arguments) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "edgeemo: out: File too large" in capsys.readouterr().err
    assert not (tmp_path / "out").is_file()


def test_a_program_without_a_console(
    speech_files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyInstaller's windowed programs, and `>&-`, have no standard output and no error."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    table = tmp_path / "out.csv"
    assert cli.main(["predict", str(speech_files[0]), "--csv", str(table)]) == 0
    assert len(table.read_text().splitlines()) == 2
    assert sys.stdout is not None and sys.stderr is not None
    sys.stdout.close()
    sys.stderr.close()
