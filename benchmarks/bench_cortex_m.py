"""What does a frame of logmel40 cost on Cortex-M boards: instructions, bytes, stack?

    python benchmarks/bench_cortex_m.py

prints a table and writes benchmarks/results/cortex_m.json. Needs arm-none-eabi-gcc and
qemu-system-arm. Counts are exact (SysTick under QEMU's -icount) and belong to one compiler
version; they are instructions, not cycles. tests/cmake_ext/test_budget.py compares them with
cmake_ext/budget.toml.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from _qemu import BOARDS, ROOT, C, compiler_and_flags, run_on_board
from _usage import no_arguments

from edgeemo.export.c_writer import spec_bytes
from edgeemo.features import LOGMEL40

RESULT = ROOT / "benchmarks" / "results" / "cortex_m.json"
PARTS = ("fft", "float", "frontend", "init", "math", "mel", "samples", "spec", "tables")
STAGES = ("begin", "fft", "spectrum", "mel", "log")
# What runs for each frame; the rest is set-up, or for whole clips.
STREAM = re.compile(
    r"edgeemo_(begin|fft|spectrum|mel|log)$|(first_column|turn_columns|window_columns|fill_columns"
    r"|fill_frame|quarter_blocks|last_fours|halve_pairs|split_bins|take_square_roots)(\.\w+)*$"
)


def code_bytes(elf: Path) -> int:
    """Bytes of the functions that run for each frame."""
    listing = subprocess.run(
        ["arm-none-eabi-nm", "-S", elf], check=True, capture_output=True, text=True
    ).stdout
    rows = [line.split() for line in listing.splitlines()]
    return sum(int(row[1], 16) for row in rows if len(row) == 4 and STREAM.search(row[3]))


def measure(board: str) -> dict[str, int]:
    """Instructions a frame by stage and by push of 10 ms; bytes of code, memory and stack."""
    _, ticks, _ = BOARDS[board]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "spec").write_bytes(spec_bytes(LOGMEL40))
        clip = np.load(ROOT / "tests" / "golden" / "logmel40.npz")["clip"]
        (folder / "clip").write_bytes((clip[:8000] / 32768).astype("<f4").tobytes())
        sources = [C / "src" / f"edgeemo_{part}.c" for part in PARTS]
        sources.append(C / "ports" / "measure.c")
        program = run_on_board(board, sources, folder)
        lines = (folder / "measured").read_text().split("\n")[:-1]
        told = {key: int(value) for key, value in (line.split() for line in lines)}
        code = code_bytes(program)

    def count(region: str) -> int:
        return round((told[region] - told["nothing"]) / ticks)

    loop = count("loop_of_2000")
    assert abs(loop - 2000) <= 5, f"a loop of 2000 instructions counts as {loop}: no -icount?"
    stages = {stage: count(stage) for stage in STAGES}
    return {
        **stages,
        "stages": sum(stages.values()),
        "push": count("pushes") // 10,
        "push_i16": count("pushes_i16") // 10,
        "code": code,
        "tables": told["tables"],
        "state": told["state"],
        "stack": told["stack"],
        "stack_i16": told["stack_i16"],
    }


def main() -> None:
    no_arguments(__doc__)
    results = {board: measure(board) for board in BOARDS}
    print(f"{'':10}" + "".join(f"{board:>12}" for board in results))
    for key in next(iter(results.values())):
        print(f"{key:10}" + "".join(f"{row[key]:12}" for row in results.values()))
    found = {
        "protocol": "logmel40; instructions a frame (begin to log: stages; push: 10 ms of samples "
        "with all that belongs to it); bytes of code a frame runs, tables, state, stack",
        "compiler": compiler_and_flags(),
        "command": "python benchmarks/bench_cortex_m.py",
        "boards": results,
    }
    RESULT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
