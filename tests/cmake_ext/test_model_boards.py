"""The int8 engine on Cortex-M boards under QEMU: the same bits, within its budget; and by ASan."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeemo.artifacts.engine_blob import compile_graph
from edgeemo.artifacts.tflite_graph import Graph

ROOT = Path(__file__).resolve().parents[2]
C = ROOT / "cmake_ext"
SLACK = 1.02
BUDGET = tomllib.loads((C / "budget_model.toml").read_text())
ENGINE = [
    *sorted((C / "src").glob("edgeemo_model*.c")),
    *sorted((C / "src").glob("edgeemo_kernels*.c")),
]
Build = Callable[..., Path]  # conftest.py

sys.path.append(str(ROOT / "benchmarks"))  # where the benchmark finds its neighbors
_spec = importlib.util.spec_from_file_location(
    "cortex_m_model", ROOT / "benchmarks/bench_cortex_m_model.py"
)
assert _spec is not None and _spec.loader is not None
bench = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(bench)


@pytest.mark.parametrize("board", BUDGET)
def test_board_gives_the_same_bits_within_the_budget(board: str) -> None:
    """measure() compares outputs for five forms of the run, portable kernels among them."""
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed; .ci/run installs it when run by root")
    costs = bench.measure(board, bench.blob_of(bench.SHIPPED))
    assert set(BUDGET[board]) == set(costs)
    over = {k: (v, BUDGET[board][k]) for k, v in costs.items() if v > SLACK * BUDGET[board][k]}
    assert not over, f"cost and budget: {over}"


@pytest.mark.parametrize("board", BUDGET)
def test_board_gives_the_same_bits_for_layers_of_all_shapes(board: str, odd_shapes: Graph) -> None:
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed; .ci/run installs it when run by root")
    bench.measure(board, compile_graph(odd_shapes).data)


def test_every_board_has_a_budget() -> None:
    assert set(BUDGET) == set(bench.BOARDS)


def test_sanitizers_find_nothing(build: Build, tmp_path: Path) -> None:
    program = build("sanitizers", *ENGINE, Path(__file__).with_name("model.c"))
    blob = bench.blob_of(bench.SHIPPED)
    (tmp_path / "blob").write_bytes(blob)
    (tmp_path / "frames").write_bytes(bench.second_of_speech().astype("<f4").tobytes())
    subprocess.run([str(program)], check=True, cwd=tmp_path)
    found = np.fromfile(tmp_path / "outputs", np.int8)
    assert np.array_equal(found, bench.expected(blob))


def test_random_models_break_no_invariant(build: Build) -> None:
    files = [C / "fuzz" / "model.c", C / "fuzz" / "main.c"]
    program = build("sanitizers", *ENGINE, *files)
    done = subprocess.run([str(program), "20000", "1"], check=True, capture_output=True, text=True)
    assert done.stdout == "20000 runs\n"


def test_needs_nothing_from_outside(tmp_path: Path) -> None:
    """No libm, no allocation, no printing: memory functions are all that is called."""
    for source in [*ENGINE, C / "src" / "edgeemo_spec.c"]:
        subprocess.run(
            [
                "gcc",
                "-std=c99",
                "-O2",
                "-ffp-contract=off",
                "-fno-stack-protector",
                f"-I{C / 'include'}",
                "-c",
                str(source),
                "-o",
                str(tmp_path / f"{source.stem}.o"),
            ],
            check=True,
        )
    whole = tmp_path / "whole.o"
    subprocess.run(["ld", "-r", *map(str, tmp_path.glob("*.o")), "-o", str(whole)], check=True)
    listing = subprocess.run(["nm", "-u", str(whole)], check=True, capture_output=True, text=True)
    needed = {line.split()[1] for line in listing.stdout.splitlines()}
    assert needed <= {"memcpy", "memmove", "memset"}


def test_phone_gives_the_same_bits(tmp_path: Path, odd_shapes: Graph) -> None:
    """NEON under qemu-aarch64."""
    compiler, runner = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")
    if compiler is None or runner is None:
        pytest.skip("no aarch64-linux-gnu-gcc or qemu-aarch64; .ci/run installs them as root")
    (tmp_path / "frames").write_bytes(bench.second_of_speech().astype("<f4").tobytes())
    sources = [
        *ENGINE,
        C / "src" / "edgeemo_spec.c",
        C / "ports" / "host_stdio.c",
        Path(__file__).with_name("model.c"),
    ]
    subprocess.run(
        [
            compiler,
            "-std=c99",
            "-O2",
            "-ffp-contract=off",
            "-static",
            "-Wall",
            "-Wextra",
            "-Wconversion",
            "-Werror",
            *(f"-I{C / f}" for f in ("include", "src", "ports")),
            *map(str, sources),
            "-o",
            str(tmp_path / "program"),
        ],
        check=True,
    )
    for blob in (bench.blob_of(bench.SHIPPED), compile_graph(odd_shapes).data):
        (tmp_path / "blob").write_bytes(blob)
        subprocess.run([runner, str(tmp_path / "program")], check=True, cwd=tmp_path)
        assert np.array_equal(np.fromfile(tmp_path / "outputs", np.int8), bench.expected(blob))
