"""How long does `edgeemo predict` take for thousands of short files, beside another version?

    python benchmarks/batch.py [--files 5000] [--rounds 3] [--against PYTHON]

The files are shipped clips of two to four seconds, as WAV and as FLAC. PYTHON is the interpreter of
an environment with the other version (`git worktree add` and `pip install -e .` make one). Each run
is a process of its own with one thread a job; runs take turns, so that a slow minute of the machine
hits all. Beside the clock stand the processor seconds of all processes of a run, which other work
on the machine changes less. On a machine that does other work, too, as root: `chrt -f 1` before the
command lets it go first.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from edgeemo.artifacts.teachers_package import need
from edgeemo.audio import read_audio
from edgeemo.errors import require
from edgeemo.io.files import write_text
from edgeemo.types import SAMPLE_RATE

RESULT = Path(__file__).parent / "results" / "batch.json"
FORMS = ("wav", "flac")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def make_files(folder: Path, form: str, count: int) -> Path:
    """A folder of so many clips in one form."""
    soundfile = require("soundfile", "audio")
    clips = [read_audio(path) for path in sorted(need("speech/cremad").rglob("*.flac"))]
    clips += [read_audio(path) for path in sorted(need("speech/emodb_full").rglob("*.flac"))]
    clips = [clip for clip in clips if 2 <= len(clip) / SAMPLE_RATE <= 4]
    out = folder / form
    out.mkdir()
    for i in range(count):
        soundfile.write(out / f"{i:05d}.{form}", clips[i % len(clips)], SAMPLE_RATE)
    return out


def run(python: str, folder: Path, jobs: int) -> dict[str, float]:
    """Seconds on the clock and of processors that one run took."""
    command = [python, "-m", "edgeemo", "predict", "--json", str(folder)]
    command += ["--jobs", str(jobs)] if jobs > 1 else []
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command,
        env=os.environ | ONE_THREAD,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        cwd=folder,
    )
    seconds = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == len([*folder.iterdir()]) and not any("error" in row for row in rows)
    used = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    return {"clock": seconds, "processor": used}


def measure(folder: Path, rounds: int, against: str | None) -> dict[str, Any]:
    """Medians over the rounds, and how many times as fast as the other version a round was."""
    runs = {"one job": (sys.executable, 1), "two jobs": (sys.executable, 2)}
    if against is not None:
        runs = {"other version": (against, 1)} | runs
    for python, jobs in runs.values():  # files and programs are in the cache then
        run(python, folder, jobs)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, (python, jobs) in runs.items():
            found[name].append(run(python, folder, jobs))
    result: dict[str, Any] = {
        f"{name}, {what} s": round(statistics.median(r[what] for r in all_of), 2)
        for name, all_of in found.items()
        for what in ("clock", "processor")
    }
    for name in ("one job", "two jobs") if against is not None else ():
        for what in ("clock", "processor"):
            ratios = [
                other[what] / ours[what]
                for other, ours in zip(found["other version"], found[name], strict=True)
            ]
            result[f"{name}, times as fast, {what}"] = [round(ratio, 2) for ratio in ratios]
    return result


def main() -> None:
    """Print and keep what each form took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", metavar="PYTHON", help="interpreter of another version")
    args = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="edgeemo-batch-") as folder:
        for form in FORMS:
            files = make_files(Path(folder), form, args.files)
            results[form] = measure(files, args.rounds, args.against)
            print(json.dumps({form: results[form]}, indent=1), flush=True)
    document = {
        "command": f"python benchmarks/batch.py --files {args.files} --rounds {args.rounds}"
        + (" --against PYTHON" if args.against else ""),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "goes before other work": os.sched_getscheduler(0) == os.SCHED_FIFO,
        "load of the machine meanwhile": round(os.getloadavg()[0], 1),
        **results,
    }
    write_text(RESULT, json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
