"""What does streaming speech cost: share of a core, time from the last sample, memory?

    python benchmarks/stream.py [--model M] [--backend B] [--minutes 10]

Ten minutes of shipped speech and silence go through one stream in blocks of 50 ms, as from a
microphone, in a process of its own with one thread. The share of a core is processor time over the
time that the sound lasts; the delay is the wall clock of the push that completes a window.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
BLOCK = 800


def measure(model: str, backend: str | None, minutes: float) -> dict[str, object]:
    """In this process, from the import on."""
    begun = time.perf_counter()
    from edgeemo import load
    from edgeemo.artifacts.teachers_package import need
    from edgeemo.audio import read_blocks

    session = load(model, backend)
    stream = session.stream()
    files = sorted(need("speech/librispeech").glob("*.ogg"))
    pieces = (piece for file in files * 99 for piece in (*read_blocks(file), np.zeros(16000)))
    first = None
    seen, delays, work, used = 0, [], [], 0.0
    rest = np.zeros(0, np.float32)
    while seen < minutes * 60 * 16000:
        while len(rest) < BLOCK:
            rest = np.concatenate([rest, next(pieces).astype(np.float32)])
        block, rest = rest[:BLOCK], rest[BLOCK:]
        clock, cpu = time.perf_counter(), time.process_time()
        found = stream.push(block)
        cpu = time.process_time() - cpu
        used += cpu
        if found:
            delays.append(1e3 * (time.perf_counter() - clock))
            work.append(1e3 * cpu)
            first = first or time.perf_counter() - begun
        seen += BLOCK
    return {
        "model": session.card.name,
        "backend": session.backend.name,
        "minutes": minutes,
        "share of a core, percent": round(100 * used / (seen / 16000), 3),
        "from the last sample to the estimate, ms of wall clock": _spread(delays),
        "the same, ms of processor time": _spread(work),
        "load of the machine meanwhile": round(os.getloadavg()[0], 1),
        "start to first estimate, s, without waiting for sound": round(first or 0.0, 2),
        "peak resident memory, MB": round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1
        ),
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(float(np.median(values)), 2),
        "99 percent": round(float(np.percentile(values, 99)), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="wav2small-stream")
    parser.add_argument("--backend")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.here:
        print(json.dumps(measure(args.model, args.backend, args.minutes)))
        return
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, __file__, *sys.argv[1:], "--here"]
    run = subprocess.run(command, env=os.environ | one, check=True, stdout=subprocess.PIPE)
    result = {"command": "python benchmarks/stream.py"} | json.loads(run.stdout)
    path = ROOT / "benchmarks" / "results" / "stream.json"
    held = json.loads(path.read_text()) if path.exists() else {}
    held[result["backend"]] = result
    path.write_text(json.dumps(held, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
