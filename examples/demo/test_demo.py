"""`make demo` from an empty folder, and the README's two commands as they come out of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import edgeemo
from tests.test_readme import blocks, not_in_order, sessions

HERE = Path(__file__).parent
MINUTES = re.compile(r"^Done in (\d+) min (\d+) s\.$", re.MULTILINE)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the demo ran, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    # All cores, as a user has them; the tests' own one thread would double the time.
    env = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    command = [sys.executable, HERE / "demo.py"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=env)
    assert run.returncode == 0, run.stderr[-3000:]
    return folder, run.stdout


@pytest.mark.slow
def test_it_ends_with_numbers_and_the_report(printed: tuple[Path, str]) -> None:
    folder, text = printed
    assert MINUTES.search(text)
    for dimension in ("arousal", "dominance", "valence"):
        assert re.search(rf"^ +ccc.* of {dimension}: -?[01]\.\d+", text, re.MULTILINE)
    last = text.splitlines()[-1]
    assert last.startswith("Report: ")
    assert (folder / last.removeprefix("Report: ")).is_file()


@pytest.mark.slow
def test_the_model_is_small_and_has_learned(printed: tuple[Path, str]) -> None:
    folder, _ = printed
    (model,) = folder.glob("runs/*/export/*-int8.onnx")
    assert model.stat().st_size <= 120_000
    card = edgeemo.load(model).card
    assert {m.of: m.value for m in card.metrics}["arousal"] > 0.3


@pytest.mark.slow
def test_the_readme_shows_what_comes(printed: tuple[Path, str]) -> None:
    shown = [s for b in blocks("console") for s in sessions(b) if "predict" not in s[0]]
    assert [command for command, _ in shown] == ["edgeemo distill", "edgeemo export --int8"]
    for command, lines in shown:
        assert lines, f"the README shows no output for {command}"
        assert not_in_order(lines, printed[1]) == []
