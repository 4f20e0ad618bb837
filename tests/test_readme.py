"""The README is true: its code runs, its commands give what it shows, its figures are measured."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edgeemo.artifacts.teachers_package import need

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
CLIP = need("speech/emodb_full/03a01Wa.flac")


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def sessions(block: str) -> list[tuple[str, list[str]]]:
    """Commands of a console block, each with the lines of output shown under it."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.strip():
            found[-1][1].append(line)
    return found


def loose(line: str) -> str:
    """A line without what may differ from machine to machine: numbers, bars and spacing."""
    return " ".join(re.sub(r"[0-9][0-9.,:]*", "#", line).split())


def not_in_order(shown: list[str], printed: str) -> list[str]:
    """Shown lines that the output does not have, in this order; `...` stands for any lines."""
    rest = iter([loose(line) for line in printed.splitlines()])
    return [line for line in shown if line != "..." and loose(line) not in rest]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with the clip that the README speaks of."""
    sound = pytest.importorskip("soundfile")
    samples, rate = sound.read(CLIP)
    sound.write(tmp_path / "clip.wav", samples, rate)
    return tmp_path


def environment() -> dict[str, str]:
    """The user's environment, with the tested edgeemo first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "COLUMNS": "100"}


PYTHON = blocks("python")


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_python_runs(number: int, folder: Path) -> None:
    command = [sys.executable, "-c", PYTHON[number]]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


# What takes minutes is tested with all else that a run leaves, in tests/e2e.
QUICK = [s for b in blocks("console") for s in sessions(b) if "predict" in s[0]]


@pytest.mark.parametrize(("command", "shown"), QUICK, ids=[c for c, _ in QUICK])
def test_console_shows_what_comes(command: str, shown: list[str], folder: Path) -> None:
    run = subprocess.run(
        shlex.split(command), cwd=folder, capture_output=True, text=True, env=environment()
    )
    assert run.returncode == 0, run.stderr
    assert shown, "the README shows no output for it"
    assert not_in_order(shown, run.stdout) == [], run.stdout


def test_the_readme_has_what_a_newcomer_needs() -> None:
    assert len(PYTHON) >= 2 and len(QUICK) >= 1
    commands = [command for block in blocks("console") for command, _ in sessions(block)]
    assert commands[:2] == ["edgeemo distill", "edgeemo export --int8"]


def test_the_comparison_notices() -> None:
    shown = ["a.wav  0.71", "...", "done in 3 s"]
    assert not_in_order(shown, "a.wav 0.66\nmore\ndone in 12 s\n") == []
    assert not_in_order(shown, "b.wav 0.66\ndone in 12 s\n") == ["a.wav  0.71", "done in 3 s"]
    assert not_in_order(["a", "b"], "b\na\n") == ["b"]


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    """benchmarks/readme_table.py as a module."""
    path = ROOT / "benchmarks" / "readme_table.py"
    spec = importlib.util.spec_from_file_location("readme_table", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(path.parent)])  # where it finds its neighbors
        spec.loader.exec_module(module)
    return module


def test_figures_are_those_of_the_results(figures: ModuleType) -> None:
    found = [
        name for page in figures.PAGES for _, name, _ in figures.BLOCK.findall(page.read_text())
    ]
    assert sorted(found) == sorted(figures.WRITERS)
    for page in figures.PAGES:
        assert figures.filled(page.read_text()) == page.read_text(), f"run: {figures.COMMAND}"


def test_a_figure_changed_by_hand_is_noticed(figures: ModuleType) -> None:
    text = "<!-- figures:accuracy -->\n| student | 0.99 |\n<!-- /figures -->\n"
    assert figures.filled(text) != text


def test_the_table_is_made_of_the_results(
    figures: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crossval.json").write_text(
        '{"test_set": "T", "protocol": "P", "command": "C", "rows": [{"name": "student",'
        ' "arousal": {"mean": 0.8, "sd": 0.0123}, "valence": {"mean": 0.5}}]}'
    )
    monkeypatch.setitem(figures.result.__globals__, "RESULTS", tmp_path)
    assert "| student | 0.800 ± 0.012 |  | 0.500 |" in figures.accuracy()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links {target}"
