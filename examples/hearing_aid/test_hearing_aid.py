"""The firmware on a Cortex-M4F and an M55: what it says, what it costs, what it is linked with."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
BUDGET = tomllib.loads((HERE / "budget.toml").read_text())
SLACK = 1.02
TICKS = {"cortex-m4": 1.6, "cortex-m55": 2.048}  # of SysTick for an instruction of 64 ns
GOLDEN_BYTES = 32_000
LINE = re.compile(r"(\S+) s  arousal (\S+)  dominance (\S+)  valence (\S+)")
FLASH, RAM = 256 << 10, 64 << 10


@dataclass(frozen=True)
class Run:
    """A board's program, what it printed, and its costs."""

    elf: Path
    text: str
    costs: dict[str, int]


def make(
    student: Any, board: str, build: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    command = ["make", "-s", "-C", HERE, f"STUDENT={student.folder}", f"board={board}"]
    return subprocess.run(
        [*command, f"BUILD={build}", *arguments], capture_output=True, text=True, check=True
    )


@pytest.fixture(scope="module", params=TICKS)
def run(
    request: pytest.FixtureRequest,
    student: Any,
    clip: Any,
    needs: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Run]:
    needs("make", "arm-none-eabi-gcc", "qemu-system-arm")
    board: str = request.param
    folder = tmp_path_factory.mktemp(board)
    make(student, board, folder)
    shutil.copy(clip.path, folder / "clip.wav")
    # The program opens clip.wav in QEMU's working folder.
    told = make(student, board, folder, "-n", "run").stdout
    done = subprocess.run(["sh", "-c", told], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    elf = folder / f"{board}.elf"
    printed = {name: int(n) for name, n in re.findall(r"^(\w+) (\d+)$", done.stdout, re.M)}
    size = subprocess.run(["arm-none-eabi-size", elf], capture_output=True, text=True, check=True)
    text, data, bss = map(int, size.stdout.split("\n")[1].split()[:3])
    costs = {
        "second": round(printed["ticks"] / TICKS[board] / (printed["blocks"] * 0.01)),
        "block": round(printed["most"] / TICKS[board]),
        "flash": text + data - GOLDEN_BYTES,
        "ram": data + bss,
        "stack": printed["stack"],
    }
    return board, Run(elf, done.stdout, costs)


def test_it_says_what_python_says(run: tuple[str, Run], student: Any, clip: Any) -> None:
    """Four digits tell one int8 step of an output from the next; the self-test compares bits."""
    lines = LINE.findall(run[1].text)
    assert len(lines) == len(clip.samples) // 4000
    for i, (seconds, *adv) in enumerate(lines):
        assert float(seconds) == 0.25 * (i + 1)
        want = student.estimate(clip.samples[: 4000 * (i + 1)])
        for name, found in zip(("arousal", "dominance", "valence"), adv, strict=True):
            assert abs(float(found) - want[name]) < 1e-4


def test_costs_are_within_the_budget(run: tuple[str, Run]) -> None:
    board, made = run
    assert set(made.costs) == set(BUDGET[board])
    over = {k: (v, BUDGET[board][k]) for k, v in made.costs.items() if v > SLACK * BUDGET[board][k]}
    assert not over, f"cost and budget: {over}"


def test_it_fits_a_hearing_aid(run: tuple[str, Run]) -> None:
    costs = run[1].costs
    assert costs["second"] <= 15_000_000
    assert costs["flash"] <= 128 << 10
    assert costs["ram"] + costs["stack"] <= 24 << 10


def symbols(elf: Path) -> dict[str, int]:
    listing = subprocess.run(["arm-none-eabi-nm", elf], capture_output=True, text=True, check=True)
    rows = (line.split() for line in listing.stdout.splitlines())
    return {row[-1]: int(row[0], 16) for row in rows if len(row) == 3}


def test_the_linker_knows_the_limits(run: tuple[str, Run]) -> None:
    found = symbols(run[1].elf)
    assert found["port_stack_top"] == 0x2000_0000 + RAM
    assert found["port_data_load"] < FLASH
    assert found["port_stack_top"] - found["end"] >= 4096


def test_nothing_allocates_and_nothing_is_double(run: tuple[str, Run]) -> None:
    found = symbols(run[1].elf)
    assert "edgeemo_speech_push_i16" in found
    heap = re.compile(r"_?(malloc|calloc|realloc|free|sbrk)(_r)?$")
    double = re.compile(r"__aeabi_(d|[a-z]+2d)|__(add|sub|mul|div|eq|lt|gt|le|ge)df")
    stdio = re.compile(r"_?v?[fs]?n?i?printf(_r)?$")
    for pattern in (heap, double, stdio):
        assert not list(filter(pattern.match, found))


def test_a_file_of_another_kind_is_refused(
    run: tuple[str, Run], student: Any, tmp_path: Path
) -> None:
    board, made = run
    (tmp_path / "clip.wav").write_bytes(b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + b"\1" * 40)
    told = make(student, board, made.elf.parent, "-n", "run").stdout
    done = subprocess.run(["sh", "-c", told], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "16 kHz, one channel, 16 bits" in done.stdout
