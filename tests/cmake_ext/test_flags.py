"""The C library under flags that it did not choose: the same bits, or one clear refusal."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgeemo import _native
from edgeemo.features import log_mel

ROOT = Path(__file__).resolve().parents[2]
C = ROOT / "cmake_ext"
SOURCES = sorted((C / "src").glob("*.c"))
INCLUDES = [f"-I{C / part}" for part in ("include", "src", "ports")]

sys.path.append(str(ROOT / "benchmarks"))
import bench_riscv


@dataclass(frozen=True)
class Kind:
    """A compiler with the flags of a build system that knows nothing of edgeemo."""

    compiler: tuple[str, ...]
    link: tuple[str, ...] = ()
    runner: tuple[str, ...] = ()
    ports: tuple[str, ...] = ("host_stdio",)


CORTEX_M4 = ("-mthumb", "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard")
ARM_LINK = ("arm-none-eabi-gcc", *CORTEX_M4, "-nostartfiles", "--specs=nano.specs",
            "--specs=nosys.specs", "-L", str(C / "ports"), "-T", "mps2-an386.ld")  # fmt: skip
ARM_RUN = ("qemu-system-arm", "-M", "mps2-an386", *bench_riscv.QEMU, "-kernel")
ARM_PORTS = ("start", "host_semihosting")
CLANG_ARM = ("clang", "--target=arm-none-eabi", "-O2", "-munaligned-access", "-fshort-enums",
             "-isystem", "/usr/lib/arm-none-eabi/include", *CORTEX_M4)  # fmt: skip
CLANG_RISCV = ("clang", "--target=riscv32-unknown-elf", "-O2", "-isystem",
               "/usr/lib/picolibc/riscv64-unknown-elf/include", *bench_riscv.PROCESSOR)  # fmt: skip
KINDS = {
    "x86-64 with FMA, gcc": Kind(("gcc", "-O2", "-march=x86-64-v3"), ("gcc",)),
    "x86-64 with FMA, clang": Kind(("clang", "-O2", "-march=x86-64-v3"), ("clang",)),
    "64-bit Arm, gcc": Kind(
        ("aarch64-linux-gnu-gcc", "-O2"), ("aarch64-linux-gnu-gcc", "-static"), ("qemu-aarch64",)
    ),
    "64-bit Arm, clang": Kind(
        ("clang", "--target=aarch64-linux-gnu", "-O2"),
        ("aarch64-linux-gnu-gcc", "-static"),
        ("qemu-aarch64",),
    ),
    "Cortex-M4F, gcc as Arduino": Kind(
        ("arm-none-eabi-gcc", "-Os", "-std=gnu11", *CORTEX_M4), ARM_LINK, ARM_RUN, ARM_PORTS
    ),
    "Cortex-M4F, clang": Kind(CLANG_ARM, ARM_LINK, ARM_RUN, ARM_PORTS),
    "RV32, gcc as Arduino": Kind(
        (*bench_riscv.COMPILER, "-Os", "-std=gnu11"),
        bench_riscv.LINK,
        bench_riscv.RUN,
        bench_riscv.PORTS,
    ),
    "RV32, clang": Kind(CLANG_RISCV, bench_riscv.LINK, bench_riscv.RUN, bench_riscv.PORTS),
}


def require(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed; .ci/run installs it when run by root")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds what chain.c reads."""
    bench_riscv.write_inputs(tmp_path)
    return tmp_path


def assert_bits_of_python(folder: Path) -> None:
    samples = np.fromfile(folder / "clip", "<i2")
    want = log_mel(samples)
    found = np.fromfile(folder / "frames", "<i4").reshape(-1, want.shape[1])
    different = np.argwhere(found != want.view(np.int32))
    assert len(different) == 0, f"features: {len(different)} of {want.size} differ"
    engine, estimate = _native.Model((folder / "blob").read_bytes(), 64), np.zeros(11, np.float32)
    engine.push(want)
    assert engine.outputs(estimate) == 11
    found = np.fromfile(folder / "estimate", "<i4")
    assert np.array_equal(found, estimate.view(np.int32)), "estimate"


@pytest.mark.parametrize("name", KINDS)
def test_flags_of_a_build_system_change_no_bit(name: str, folder: Path) -> None:
    """None of them forbids to fuse a product and a sum into one rounding; the sources do."""
    kind = KINDS[name]
    require(kind.compiler[0], kind.link[0], *kind.runner[:1])
    if "FMA" in name and "fma" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("hardware: this processor has no FMA")
    ports = [C / "ports" / f"{port}.c" for port in kind.ports]
    sources = [*SOURCES, Path(__file__).with_name("chain.c"), *ports]
    subprocess.run([*kind.compiler, *INCLUDES, "-c", *sources], check=True, cwd=folder)
    objects = sorted(folder.glob("*.o"))
    subprocess.run([*kind.link, *objects, "-o", "program"], check=True, cwd=folder)
    done = subprocess.run([*kind.runner, folder / "program"], cwd=folder, timeout=120)
    assert done.returncode == 0
    assert_bits_of_python(folder)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_no_file_computes_without_the_rule(source: Path) -> None:
    """A new file with floats would be right on a PC, and other bits on a board."""
    text = source.read_text()
    if not any(word in text for word in ("float", "double", "real")):
        return
    told = subprocess.run(["gcc", "-E", "-dM", *INCLUDES, source], capture_output=True, text=True)
    assert "EDGEEMO_ARITHMETIC_H" in told.stdout, f'{source.name}: include "edgeemo_arithmetic.h"'


@pytest.mark.parametrize(
    ("flags", "remedy"),
    [
        (["-O2", "-ffast-math"], "without -ffast-math"),
        (["-Ofast"], "without -ffast-math"),
        (["-m32", "-mno-sse", "-ffreestanding"], "compile with -msse2 -mfpmath=sse"),
    ],
    ids=str,
)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_flags_that_change_bits_are_refused(compiler: str, flags: list[str], remedy: str) -> None:
    require(compiler)
    for part in ("frontend", "kernels", "gate"):
        command = [compiler, *flags, *INCLUDES, "-fsyntax-only", C / "src" / f"edgeemo_{part}.c"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode != 0 and remedy in done.stderr, part


def test_rv32_costs_what_its_budget_allows() -> None:
    require("riscv64-unknown-elf-gcc", "qemu-system-riscv32")
    budget = tomllib.loads((C / "budget_riscv.toml").read_text())
    found = bench_riscv.measure()
    assert set(found) == set(budget)
    for level, costs in found.items():
        assert all(costs[name] <= 1.02 * budget[level][name] for name in costs), (level, costs)


def test_32_bit_arm_with_an_operating_system_is_no_cortex_m(tmp_path: Path) -> None:
    """The self-test's program must not ask for the counters of a microcontroller."""
    require("arm-none-eabi-gcc", "arm-none-eabi-nm")
    (tmp_path / "edgeemo_student.h").write_text(
        '#include "edgeemo_stream.h"\n#define EDGEEMO_STUDENT_STREAM_MEMORY 8\n#define TICKS 1600\n'
        "enum { EDGEEMO_STUDENT_RATE = 16000 };\n"
        "extern const edgeemo_speech_model edgeemo_student;\n"
    )
    (tmp_path / "edgeemo_golden.h").write_text(
        "#define EDGEEMO_GOLDEN_SAMPLES 16\nextern const int16_t edgeemo_golden_clip[16];\n"
    )
    main = ROOT / "export" / "c_folder" / "main.c"
    names = {}
    for processor in ("cortex-a7", "cortex-m4"):
        command = ["arm-none-eabi-gcc", f"-mcpu={processor}", "-mthumb", f"-I{main.parent}"]
        command += [f"-I{tmp_path}", *INCLUDES, "-c", str(main), "-o", str(tmp_path / "x.o")]
        subprocess.run(command, check=True)
        listing = ["arm-none-eabi-nm", "-u", tmp_path / "x.o"]
        done = subprocess.run(listing, check=True, capture_output=True, text=True)
        names[processor] = {line.split()[-1] for line in done.stdout.splitlines()}
    assert "cortex_m_ticks" in names["cortex-m4"]
    assert not any(name.startswith("cortex_m") for name in names["cortex-a7"])
