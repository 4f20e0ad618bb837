"""Figures go onto a card without another byte of the network."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from edgeemo.artifacts.card import Metric
from edgeemo.artifacts.onnx import read_onnx
from edgeemo.artifacts.teachers_package import need


def test_figures_change_the_card_alone(tmp_path: Path, tool: Callable[[str], ModuleType]) -> None:
    shipped = need("zoo/teacher-open.onnx")
    figure = Metric("a test", "ccc", "arousal", 0.5)
    made = tmp_path / "made.onnx"
    made.write_bytes(tool("open_weights").with_metrics(shipped, (figure,)))
    before, after = read_onnx(shipped).card, read_onnx(made).card
    assert before.metrics and after.metrics == (figure,)
    assert after.digest == before.digest and after.attributions == before.attributions


def test_missing_data_are_one_line(tmp_path: Path) -> None:
    script = Path(__file__).resolve().parents[2] / "tools" / "open_weights.py"
    program = [sys.executable, str(script), "--whisper", "none", "--data", str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(str(tmp_path)) and done.stderr.count("\n") == 1
