"""The firmware on a Cortex-M4F and an M55: what it says, what it costs, what it is linked with."""

from __future__ import annotations

import re
import subprocess
import tomllib
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeemo.session import Session

HERE = Path(__file__).parent
BUDGET = tomllib.loads((HERE / "budget.toml").read_text())
SLACK = 1.02
BOARDS = ("cortex-m4", "cortex-m55")
RATE = 16_000
GOLDEN_BYTES = 32_000
LINE = re.compile(
    r"(\S+) s  (?:(nobody speaks|not sure)|(\w+)  arousal (\S+)  dominance (\S+)  valence (\S+)"
    r"  confidence (\S+))"
)
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


@pytest.fixture(scope="module")
def sound(clip: Any) -> NDArray[np.int16]:
    """A voice, four seconds of noise at -69 dB, and the voice again."""
    noise = np.random.default_rng(1).normal(0, 12, 4 * RATE)
    return np.concatenate([clip.samples, np.rint(noise).astype("<i2"), clip.samples])


def write_wav(path: Path, samples: NDArray[np.int16]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype("<i2").tobytes())


@pytest.fixture(scope="module", params=BOARDS)
def run(
    request: pytest.FixtureRequest,
    student: Any,
    sound: NDArray[np.int16],
    needs: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Run]:
    needs("make", "arm-none-eabi-gcc", "qemu-system-arm")
    board: str = request.param
    folder = tmp_path_factory.mktemp(board)
    make(student, board, folder)
    write_wav(folder / "clip.wav", sound)
    # The program opens clip.wav in QEMU's working folder.
    told = make(student, board, folder, "-n", "run").stdout
    done = subprocess.run(["sh", "-c", told], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    elf = folder / f"{board}.elf"
    printed = {name: int(n) for name, n in re.findall(r"^(.+) (\d+)$", done.stdout, re.M)}
    size = subprocess.run(["arm-none-eabi-size", elf], capture_output=True, text=True, check=True)
    text, data, bss = map(int, size.stdout.split("\n")[1].split()[:3])
    costs = {
        "second": printed["instructions a second"],
        "block": printed["most in 10 ms"],
        "flash": text + data - GOLDEN_BYTES,
        "ram": data + bss,
        "stack": printed["stack"],
    }
    return board, Run(elf, done.stdout, costs)


def test_it_says_what_pythons_stream_says(
    run: tuple[str, Run], student: Any, sound: NDArray[np.int16]
) -> None:
    """Four digits of each number; the self-test compares bits."""
    lines = LINE.findall(run[1].text)
    want = Session(student.backend, Path("student")).stream().push(sound)
    assert len(want) - len(lines) in (0, 1)  # the last one may be on its way
    for (end, nothing, shown, *numbers), e in zip(lines, want, strict=False):
        assert float(end) == pytest.approx(e.end, abs=1e-3)
        if e.arousal is None:
            assert nothing == "nobody speaks"
            continue
        assert shown == e.expression
        found = [float(number) for number in numbers]
        assert found == pytest.approx([e.arousal, e.dominance, e.valence, e.confidence], abs=1e-4)


def test_it_reacts_within_a_window(run: tuple[str, Run], clip: Any) -> None:
    """To silence after the voice, and to the voice after the silence."""
    said = {float(end): nothing == "" for end, nothing, *_ in LINE.findall(run[1].text)}
    stops = len(clip.samples) / RATE
    begins = stops + 4
    assert said[1.0]
    assert not any(speaks for end, speaks in said.items() if stops + 3.04 < end < begins)
    assert any(speaks for end, speaks in said.items() if begins < end < begins + 1.5)


def test_costs_are_within_the_budget(run: tuple[str, Run]) -> None:
    board, made = run
    assert set(made.costs) == set(BUDGET[board])
    over = {k: (v, BUDGET[board][k]) for k, v in made.costs.items() if v > SLACK * BUDGET[board][k]}
    assert not over, f"cost and budget: {over}"


def test_it_fits_a_hearing_aid(run: tuple[str, Run]) -> None:
    costs = run[1].costs
    assert costs["second"] <= 15_000_000
    assert costs["flash"] <= 128 << 10
    assert costs["ram"] + costs["stack"] <= 26 << 10  # 24 KB of it the stream's


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
    assert "edgeemo_stream_push_i16" in found
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
