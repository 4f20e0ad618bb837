"""What the front end costs on Cortex-M boards, exactly, against cmake_ext/budget.toml."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SLACK = 1.02
BUDGET = tomllib.loads((ROOT / "cmake_ext" / "budget.toml").read_text())

sys.path.append(str(ROOT / "benchmarks"))  # where the benchmark finds its neighbors
_spec = importlib.util.spec_from_file_location("cortex_m", ROOT / "benchmarks/bench_cortex_m.py")
assert _spec is not None and _spec.loader is not None
cortex_m = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cortex_m)


@pytest.mark.parametrize("board", BUDGET)
def test_costs_are_within_the_budget(board: str) -> None:
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed; .ci/run installs it when run by root")
    costs = cortex_m.measure(board)
    assert set(BUDGET[board]) == set(costs)
    over = {k: (v, BUDGET[board][k]) for k, v in costs.items() if v > SLACK * BUDGET[board][k]}
    assert not over, f"cost and budget: {over}"


def test_every_board_has_a_budget() -> None:
    assert set(BUDGET) == set(cortex_m.BOARDS)


SHOWN = {
    "instructions, stages": "stages",
    "instructions, 10 ms of samples with all that belongs to it": "push",
    "bytes of code that a frame runs": "code",
    "bytes of tables, flash or RAM": "tables",
    "bytes of state and work": "state",
    "bytes of stack": "stack",
}


def test_the_readme_and_the_budget_are_what_was_measured() -> None:
    """By the command that both name."""
    boards = json.loads(cortex_m.RESULT.read_text())["boards"]
    assert boards == BUDGET
    text = (ROOT / "cmake_ext" / "README.md").read_text()
    for shown, name in SHOWN.items():
        figures = " | ".join(f"{costs[name]:,}" for costs in boards.values())
        assert f"| {shown} | {figures} |" in text
