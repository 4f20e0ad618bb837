"""Figures of the README, repeated from the commands that it prints, and those commands started."""

from __future__ import annotations

import argparse
import re
import runpy
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from edgeemo import cli

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]
COMMANDS = sorted(
    {
        command
        for page in PAGES
        for command in re.findall(r"`(python benchmarks/\w+\.py[^`]*)`", page.read_text("utf-8"))
    }
)


class Started(Exception):
    """Raised where a program has read its arguments."""


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_the_pages_start(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are imported and take the printed arguments; most of them then run for hours."""
    _, script, *words = shlex.split(command)
    path = ROOT / script
    read = argparse.ArgumentParser.parse_args

    def parse(self: argparse.ArgumentParser, *given: Any) -> None:
        read(self, *given)
        raise Started

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    monkeypatch.setattr(sys, "argv", [str(path), *words])
    monkeypatch.syspath_prepend(str(path.parent))
    # DATA of the printed command is no folder.
    monkeypatch.setattr("_data.data_folder", lambda path, *parts: Path(path))
    if "ArgumentParser(" in path.read_text(encoding="utf-8"):
        with pytest.raises(Started):
            runpy.run_path(str(path), run_name="__main__")
    else:
        assert not words
        runpy.run_path(str(path), run_name="imported")


def test_agreement_of_a_model_that_met_nobody(
    corpora: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = re.search(r"`edgeemo (evaluate [^`]*)` gives CCC ([\d., and]+)", README)
    assert shown is not None
    words = [word.replace("DATA", str(corpora)) for word in shlex.split(shown[1])]
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    figures = re.findall(r"^CCC (?:arousal|dominance|valence) +(0\.\d+)", printed, re.MULTILINE)
    assert figures == re.findall(r"0\.\d+", shown[2]), printed


def test_faces_that_the_detector_finds(corpora: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cv2")
    told = re.search(r"finds (\d+) of (\d+)\s+faces[^.]*and all (\d+) of London", README)
    assert told is not None and "`python benchmarks/detection.py`" in README
    monkeypatch.setenv("EDGEEMO_DATA", str(corpora))
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    program = runpy.run_path(str(ROOT / "benchmarks" / "detection.py"))
    detector = program["open_detector"]("blazeface")
    photos, london = (program["measure"](detector, name) for name in ("photos", "london"))
    assert [photos["large_found"], photos["large"]] == [int(told[1]), int(told[2])]
    assert [london["large_found"] + london["small_found"]] == [int(told[3])]
    assert photos["false"] == london["false"] == 0
