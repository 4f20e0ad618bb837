"""The script prints what its README says, and each cell of the notebook runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from edgeemo.artifacts.teachers_package import need

HERE = Path(__file__).parent
LINE = re.compile(r"(\d+) clips of (\d+) people, UAR (0\.\d{3})\n")


def test_a_linear_classifier_finds_the_emotions() -> None:
    command = [sys.executable, str(HERE / "emotion_features.py"), str(need("speech/emodb_full"))]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    found = LINE.fullmatch(run.stdout)
    assert found, run.stdout
    assert float(found[3]) > 0.5  # of seven emotions; chance is one in seven
    shown = re.search(r"`(\d+ clips of [^`]*)`", (HERE / "README.md").read_text())
    assert shown and LINE.fullmatch(shown[1] + "\n")
    assert shown[1].split(" people")[0] == run.stdout.split(" people")[0]


def test_all_cells_of_the_notebook_run() -> None:
    """In one interpreter and in order, as a notebook runs them."""
    cells = json.loads((HERE / "notebook.ipynb").read_text())["cells"]
    code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    assert len(code) >= 5 and all(not c.get("outputs") for c in cells)
    run = subprocess.run(
        [sys.executable, "-"], input="\n".join(code), capture_output=True, text=True, cwd=HERE
    )
    assert run.returncode == 0, run.stderr
    assert "speakers by the teacher" in run.stdout
    figure = re.search(r"UAR (0\.\d{3}), chance", run.stdout)
    assert figure and float(figure[1]) > 0.5
