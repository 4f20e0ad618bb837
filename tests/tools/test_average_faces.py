"""The command that averages models of faces."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from edgeemo.artifacts.teachers_package import need
from edgeemo.backends import open_backend

Tool = Callable[[str], ModuleType]
LARGE, SMALL = need("zoo/teacher-face.onnx"), need("zoo/efficientnet-lite0-face.onnx")


def test_metrics_come_from_the_benchmark(tool: Tool, tmp_path: Path) -> None:
    table = {
        "models": {
            "both-face (onnx)": {
                "ferplus": {"argmax": {"pictures": 9, "accuracy": 0.81234, "uar": 0.5}, "kl": 0.25}
            }
        }
    }
    (tmp_path / "faces.json").write_text(json.dumps(table))
    out = tmp_path / "both-face.onnx"
    arguments = [SMALL, LARGE, "-o", out, "--metrics", tmp_path / "faces.json"]
    assert tool("average_faces").main([str(a) for a in arguments]) == 0
    metrics = open_backend(out, "onnx").card.metrics
    assert [m.value for m in metrics] == [0.8123, 0.5, 0.25]
    assert metrics[0].test_set.startswith("ferplus: 9 faces")


def test_a_missing_file_is_one_line_and_2(
    tool: Tool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [SMALL, tmp_path / "none.onnx", "-o", tmp_path / "out.onnx"]
    assert tool("average_faces").main([str(a) for a in arguments]) == 2
    error = capsys.readouterr().err
    assert "none.onnx" in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
