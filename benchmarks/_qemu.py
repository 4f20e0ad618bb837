"""Programs for Cortex-M boards, built and run under QEMU; used by the two benchmarks of boards."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
C = ROOT / "cmake_ext"
FLAGS = "-std=c99 -O2 -ffp-contract=off -mthumb -mfloat-abi=hard -ffunction-sections".split()
# Name: machine of QEMU, ticks of SysTick per instruction of 64 ns, processor.
BOARDS = {
    "Cortex-M4F": ("mps2-an386", 1.6, ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16")),
    "Cortex-M33": ("mps2-an505", 1.28, ("-mcpu=cortex-m33", "-mfpu=fpv5-sp-d16")),
    "Cortex-M55": ("mps3-an547", 2.048, ("-mcpu=cortex-m55", "-fno-if-conversion2")),
}
_QEMU = "-nographic -monitor none -serial none -semihosting-config enable=on,target=native".split()


def run_on_board(board: str, sources: Sequence[Path], folder: Path, *flags: str) -> Path:
    """Build a program for a board and run it in a folder, where it reads and writes files.

    Args:
        board: key of BOARDS.
        sources: C files beside those of the port.
        folder: where the program lies and runs.
        flags: further ones of the compiler.

    Returns:
        The program.
    """
    machine, _, processor = BOARDS[board]
    ports, program = C / "ports", folder / "program"
    port = [ports / f"{name}.c" for name in ("cortex_m", "start", "host_semihosting")]
    includes = [f"-I{C / part}" for part in ("include", "src", "ports")]
    link = "-nostartfiles --specs=nano.specs --specs=nosys.specs -Wl,--gc-sections".split()
    script = ["-L", ports, "-T", ports / f"{machine}.ld"]
    compiler = ["arm-none-eabi-gcc", *flags, *FLAGS, *processor, *link, *includes]
    subprocess.run([*compiler, *sources, *port, *script, "-o", program], check=True)
    # shift=6: an instruction takes 64 ns of the board's time, so SysTick counts them.
    emulator = ["timeout", "60", "qemu-system-arm", "-M", machine, *_QEMU, "-icount", "shift=6"]
    subprocess.run([*emulator, "-kernel", program], check=True, cwd=folder)
    return program


def compiler_and_flags() -> str:
    """The compiler's version and what it was told, for the results."""
    version = ["arm-none-eabi-gcc", "--version"]
    gcc = subprocess.run(version, check=True, capture_output=True, text=True).stdout
    return gcc.split("\n")[0] + ", " + " ".join(FLAGS)
