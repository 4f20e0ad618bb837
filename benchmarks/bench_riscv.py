"""What does a second of sound cost on a 32-bit RISC-V core with an FPU, samples to estimate?

    python benchmarks/bench_riscv.py

prints a table and writes benchmarks/results/riscv.json: rv32imafc under QEMU, portable kernels.
Counts are exact (minstret under QEMU's -icount) and belong to one compiler version; they are
instructions, not cycles. The program is tests/cmake_ext/chain.c; tests/cmake_ext/test_flags.py
compares its bits with Python's, and the counts with cmake_ext/budget_riscv.toml.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from _qemu import ROOT, C
from _usage import no_arguments
from bench_cortex_m_model import SHIPPED, blob_of

from edgeemo.artifacts.teachers_package import need
from edgeemo.audio import read_audio

RESULT = ROOT / "benchmarks" / "results" / "riscv.json"
COMMAND = "python benchmarks/bench_riscv.py"
PROTOCOL = (
    "instructions for a second of sound (16-bit samples in blocks of 10 ms) and an estimate on "
    "rv32imafc: front end, engine; by level of optimization"
)
PROCESSOR = ("-march=rv32imafc", "-mabi=ilp32f")
COMPILER = ("riscv64-unknown-elf-gcc", "--specs=picolibc.specs", *PROCESSOR)
SCRIPT = str(C / "ports" / "riscv-virt.ld")
LINK = (*COMPILER, "-nostartfiles", "-Wl,--no-warn-rwx-segments", "-T", SCRIPT)
PORTS = ("start_riscv", "host_semihosting")
QEMU = "-nographic -monitor none -serial none -semihosting-config enable=on,target=native".split()
RUN = ("qemu-system-riscv32", "-M", "virt", "-cpu", "rv32", "-bios", "none", "-icount", "shift=0",
       *QEMU, "-kernel")  # fmt: skip


def write_inputs(folder: Path) -> None:
    """What tests/cmake_ext/chain.c reads: the shipped student, and a second of speech.

    Args:
        folder: where they go.
    """
    samples = read_audio(need("speech/emodb_full/03a01Fa.flac"))[:16_000] * 32768
    (folder / "blob").write_bytes(blob_of(SHIPPED))
    (folder / "clip").write_bytes(np.rint(samples).clip(-32768, 32767).astype("<i2").tobytes())


def measure_at(level: str) -> dict[str, int]:
    """Instructions of front end and engine with a level of optimization, "-O2" or "-Os"."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder)
        sources = [*sorted((C / "src").glob("*.c")), ROOT / "tests" / "cmake_ext" / "chain.c"]
        sources += [C / "ports" / f"{port}.c" for port in PORTS]
        includes = [f"-I{C / part}" for part in ("include", "src", "ports")]
        command = [*LINK, level, *includes, *sources, "-o", folder / "program"]
        subprocess.run(command, check=True)
        subprocess.run([*RUN, folder / "program"], check=True, cwd=folder, timeout=120)
        front, chain, loop = np.fromfile(folder / "counts", "<u4").tolist()
    assert abs(loop - 2000) <= 5, f"a loop of 2000 instructions counts as {loop}"
    return {"frontend": front, "engine": chain - front}


def measure() -> dict[str, dict[str, int]]:
    """By level: instructions of front end and engine for a second of sound."""
    return {level.lstrip("-"): measure_at(level) for level in ("-O2", "-Os")}


def main() -> None:
    no_arguments(__doc__)
    results = measure()
    for level, costs in results.items():
        print(f"-{level:4}" + "".join(f"{name:>10} {count:12,}" for name, count in costs.items()))
    version = subprocess.run([COMPILER[0], "--version"], check=True, capture_output=True, text=True)
    result = {
        "protocol": PROTOCOL,
        "compiler": version.stdout.split("\n")[0],
        "command": COMMAND,
        "instructions": results,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
