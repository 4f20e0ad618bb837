"""The stream that firmware runs (edgeemo_stream.h): the bits of Python's, for ever, at its cost."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import edgeemo

ROOT = Path(__file__).resolve().parents[2]
C = ROOT / "cmake_ext"
SLACK = 1.02
BUDGET = tomllib.loads((C / "budget_stream.toml").read_text())
Build = Callable[..., Path]  # conftest.py

sys.path.append(str(ROOT / "benchmarks"))  # where the benchmark finds its neighbors
_spec = importlib.util.spec_from_file_location(
    "cortex_m_stream", ROOT / "benchmarks/bench_cortex_m_model.py"
)
assert _spec is not None and _spec.loader is not None
bench = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(bench)


@pytest.fixture(scope="module")
def session() -> edgeemo.Session:
    return edgeemo.load(bench.SHIPPED, "c")


def other_sources() -> list[Path]:
    """What conftest's front end lacks."""
    parts = ("confidence", "gate", "kernels*", "model*", "speech", "stream*", "windows*")
    return [path for part in parts for path in sorted((C / "src").glob(f"edgeemo_{part}.c"))]


def test_the_bits_of_python_under_sanitizers(
    build: Build, session: edgeemo.Session, tmp_path: Path
) -> None:
    """stream.c also compares blocks, kinds of samples, settings and resets, counters that were put
    near the ends of 29, 32 and 40 bits, and all estimates through a month."""
    program = build("sanitizers", *other_sources(), Path(__file__).with_name("stream.c"))
    bench.write_stream(tmp_path, session)
    done = subprocess.run([program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, f"line {done.returncode - 1} of stream.c\n{done.stderr}"
    bench.compare_stream(tmp_path, session)


@pytest.mark.parametrize("board", BUDGET)
def test_the_bits_of_python_on_boards_within_the_budget(
    board: str, session: edgeemo.Session
) -> None:
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed; .ci/run installs it when run by root")
    costs = bench.measure_stream(board, session)
    assert set(BUDGET[board]) == set(costs)
    over = {k: (v, BUDGET[board][k]) for k, v in costs.items() if v > SLACK * BUDGET[board][k]}
    assert not over, f"cost and budget: {over}"
    assert costs["stream_block"] <= 2 * costs["stream"] / 100
    assert costs["stream_memory"] + costs["stream_stack"] <= 25 << 10


def test_every_board_has_a_budget() -> None:
    assert set(BUDGET) == set(bench.BOARDS)
