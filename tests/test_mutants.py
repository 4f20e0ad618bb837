"""Files that were changed on purpose: an answer or one line, never a lost process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx")

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "benchmarks" / "mutants.py"
sys.path.insert(0, str(ROOT))

from benchmarks import mutants


@pytest.mark.parametrize("name", list(mutants.FORMATS))
def test_a_short_run(name: str) -> None:
    count = 200 if name == "blob" else 40  # a tenth of the blobs pass, and they take least time
    run = subprocess.run(
        [sys.executable, SCRIPT, name, "--count", str(count), "--seed", "7"],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]
    said = run.stdout.splitlines()[-1]
    counts = dict(part.split()[::-1] for part in said.removeprefix(f"{name}: ").split(", "))
    assert sum(map(int, counts.values())) == count
    # Mutants of which all pass, or none, would test nothing.
    assert int(counts["refused"]) >= 5 and int(counts["answer"]) >= 2, said


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("pass", "answer"),
        ("raise mutants.EdgeemoError('no')", "refused"),
        ("raise mutants.EdgeemoError(chr(27))", "refused"),
        ("raise KeyError", "traceback"),
        ("json.dumps(float('nan'), allow_nan=False)", "traceback"),
        ("os.abort()", "lost"),
        ("os.kill(os.getpid(), 11)", "lost"),
        ("bytes(range(256)) * (600 << 12)", "large"),
    ],
)
def test_each_outcome_is_seen(code: str, found: str, tmp_path: Path) -> None:
    program = (
        f"import json, os, sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\nfrom benchmarks import mutants\n"
        "def run():\n"
        f"    {code}\n"
        f"print(mutants.apart(run, Path({str(tmp_path / 'note')!r}))[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == [found], done.stderr[-2000:]


def test_a_guard_that_is_lost_is_counted() -> None:
    program = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from benchmarks import mutants\n"
        "mutants.FORMATS['toy'] = lambda: mutants.Format(\n"
        "    lambda rng: bytes([rng.randrange(4)]), '.bin',\n"
        "    lambda path: os.abort() if path.read_bytes() == bytes(1) else None)\n"
        "for index, found, _ in mutants.outcomes('toy', 30, 1):\n"
        "    print(index, found)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    found = [line.split() for line in done.stdout.splitlines()]
    assert [int(index) for index, _ in found] == list(range(30)), done.stderr[-2000:]
    assert {name for _, name in found} == {"lost", "answer"}
