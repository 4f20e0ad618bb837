"""A front end in integers beside that in floats: what do estimates lose, processors gain?

    python benchmarks/fixed.py --data DATA

EmoTale's annotated clips (DATA/speech/emotale) go through both front ends into the same int8
student, and CCC is taken against the annotators. The student may have been trained on these people:
what is measured is the difference. Costs are those of the stream of the exported C folder, from
samples to smoothed estimates with gate and confidence: exact instructions under QEMU, not cycles.
Writes benchmarks/results/fixed.json.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _data import add_data
from _qemu import ROOT, C
from bench_riscv import QEMU

from edgeemo import load
from edgeemo.artifacts.models import DEFAULT, resolve
from edgeemo.cli import exit_status
from edgeemo.compress.data.labels import read_labels
from edgeemo.evaluation.metrics import ccc
from edgeemo.export.c_writer import write_folder
from edgeemo.features import fixed_log_mel, log_mel
from edgeemo.types import DIMENSIONS

RESULT = ROOT / "benchmarks" / "results" / "fixed.json"
PORTS = ("start_riscv", "host_semihosting")
RISCV = (
    "riscv64-unknown-elf-gcc",
    "--specs=picolibc.specs",
    "-march=rv32imc",
    "-mabi=ilp32",
    "-O2",
)


def estimates(data: Path, model: str) -> dict[str, Any]:
    """Errors of features and CCC of both front ends.

    Args:
        data: holds speech/emotale.
        model: name of a student that the backend c runs.
    """
    clips = list(read_labels(data / "speech" / "emotale", "emotale"))
    backend = load(model, "c").backend
    wanted = np.array([clip.dimensions for clip in clips])
    found: dict[str, list[np.ndarray[Any, Any]]] = {"float": [], "fixed": []}
    errors = []
    for clip in clips:
        samples = clip.samples()
        features = {"float": log_mel(samples), "fixed": fixed_log_mel(samples)}
        errors.append(np.abs(features["fixed"] - features["float"]).ravel())
        for name, values in features.items():
            found[name].append(backend.run(values[np.newaxis])["adv"][0])
    error = np.concatenate(errors)
    both = {name: np.stack(values) for name, values in found.items()}
    told = {
        name: [round(ccc(values[:, d], wanted[:, d]), 4) for d in range(len(DIMENSIONS))]
        for name, values in both.items()
    }
    return {
        "clips": len(clips),
        "log-mel, absolute error": {
            "mean": float(f"{error.mean():.2g}"),
            "99.9 percent": float(f"{np.quantile(error, 0.999):.2g}"),
            "most": float(f"{error.max():.2g}"),
        },
        "estimate, largest difference": float(f"{np.abs(both['fixed'] - both['float']).max():.2g}"),
        "ccc": told,
    }


def on_riscv(folder: Path, work: Path) -> int:
    """Instructions for a second of sound on rv32imc, after the self-test.

    Args:
        folder: a C folder.
        work: an empty folder.
    """
    program = ROOT / "tests" / "cmake_ext" / "fixed.c"
    sources = [*(folder / "src").glob("*.c"), program, *(C / "ports" / f"{p}.c" for p in PORTS)]
    link = "-ffunction-sections -Wl,--gc-sections -nostartfiles -Wl,--no-warn-rwx-segments".split()
    places = [f"-I{folder / 'src'}", f"-I{C / 'ports'}", "-T", C / "ports" / "riscv-virt.ld"]
    subprocess.run([*RISCV, *link, *places, *sources, "-o", work / "program"], check=True)
    run = "qemu-system-riscv32 -M virt -cpu rv32 -bios none -icount shift=0".split()
    command = [*run, *QEMU, "-kernel", work / "program"]
    subprocess.run(command, check=True, cwd=work, timeout=300)
    second, loop = np.fromfile(work / "counts", "<u4").tolist()
    assert abs(loop - 2000) <= 5, f"a loop of 2000 instructions counts as {loop}"
    return int(second)


def on_cortex(folder: Path, board: str) -> int:
    """The same on a board of the folder's Makefile."""
    done = subprocess.run(
        ["make", "-s", "-C", folder, board], check=True, capture_output=True, text=True
    )
    assert "self-test: ok" in done.stdout, done.stdout
    (second,) = re.findall(r"^second (\d+)$", done.stdout, re.M)
    return int(second)


def costs(folder: Path) -> dict[str, int]:
    """Instructions for a second of sound by processor.

    Args:
        folder: a C folder.
    """
    with tempfile.TemporaryDirectory() as work:
        return {
            "Cortex-M0+": on_cortex(folder, "cortex-m0plus"),
            "Cortex-M3": on_cortex(folder, "cortex-m3"),
            "rv32imc": on_riscv(folder, Path(work)),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data(parser, "speech/emotale")
    parser.add_argument("--model", default=DEFAULT)
    arguments = parser.parse_args()
    result: dict[str, Any] = {
        "command": "python benchmarks/fixed.py --data DATA",
        "model": arguments.model,
        **estimates(arguments.data, arguments.model),
        "instructions for a second of sound": {},
    }
    for front_end in ("float", "fixed"):
        with tempfile.TemporaryDirectory() as name:
            folder = write_folder(resolve(arguments.model, "c"), Path(name) / "c", front_end)
            result["instructions for a second of sound"][front_end] = costs(folder.path)
    print(json.dumps(result, indent=1))
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(exit_status(main))
