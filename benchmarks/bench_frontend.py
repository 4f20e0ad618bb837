"""How long does a frame of log-mel take, against librosa, kaldi-native-fbank, torch and numpy?

    python benchmarks/bench_frontend.py [--rounds 7]

prints a table and writes benchmarks/results/frontend.json.

Each peer runs in a process of its own with one thread, in turn; those that are not installed are
named and left out. All take the same 60 s of sound with the same window, hop, FFT and bands. A
round's figure is the best of seven repeats, in processor time; a ratio is to edgeemo in the same
round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from frontend_runner import PEERS

RESULT = Path(__file__).parent / "results" / "frontend.json"
RUNNER = Path(__file__).with_name("frontend_runner.py")
THREADS = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"]
NOT_INSTALLED = 3  # exit status of the runner
RATIOS_TO = "edgeemo_in_c"  # the peers, whole clips
BLOCKS = {"edgeemo_blocks", "edgeemo_in_c_blocks"}  # 10 ms, hence a frame, a call


def measure(peer: str) -> dict[str, Any]:
    """Run one peer in a fresh process: no shared caches, threads or allocator."""
    environment = os.environ | dict.fromkeys(THREADS, "1")
    done = subprocess.run([sys.executable, RUNNER, peer], stdout=subprocess.PIPE, env=environment)
    if done.returncode == NOT_INSTALLED:
        return {}
    done.check_returncode()
    return dict(json.loads(done.stdout))


def row(peer: str, rounds: list[dict[str, Any]], ours: list[dict[str, Any]]) -> dict[str, Any]:
    """Best, median and range in ns a frame; the median and range of the ratios to ours."""
    ns = [r["seconds"] / r["frames"] * 1e9 for r in rounds]
    ratios = [r["seconds"] / o["seconds"] for r, o in zip(rounds, ours, strict=True)]
    return {
        "peer": peer,
        "version": rounds[0]["version"],
        "best_ns": min(ns),
        "median_ns": statistics.median(ns),
        "most_ns": max(ns),
        "ratio": statistics.median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()

    results: dict[str, list[dict[str, Any]]] = {}
    for _ in range(arguments.rounds):
        # Peers take turns, so that a slow minute of the machine hits all.
        for peer in ("inside_c", *PEERS):
            for name, result in measure(peer).items():
                results.setdefault(name, []).append(result)
    for peer in PEERS:
        if peer not in results:
            print(f"{peer}: not installed, left out")
    frames = {r["frames"] for rounds in results.values() for r in rounds}
    assert len(frames) == 1, f"the peers did different work: {frames} frames"

    machine, python = platform.machine(), platform.python_version()
    print(f"{machine}, Python {python}, {arguments.rounds} rounds, 1 thread, ns a frame")
    print(f"{'':20} {'version':>10} {'best':>7} {'median':>7} {'most':>7}  times {RATIOS_TO}")
    table = [row(peer, rounds, results[RATIOS_TO]) for peer, rounds in results.items()]
    for r in table:
        low, high = r["ratio_range"]
        note = "  (10 ms a call)" if r["peer"] in BLOCKS else ""
        print(
            f"{r['peer']:20} {r['version']:>10} {r['best_ns']:7.0f} {r['median_ns']:7.0f}"
            f" {r['most_ns']:7.0f}  {r['ratio']:5.2f} ({low:.2f} to {high:.2f}){note}"
        )
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    found = {
        "machine": f"{machine}, {os.cpu_count()} cores",
        "protocol": f"60 s of noise, 1 thread, {arguments.rounds} rounds in turn, best of 7 repeats"
        f" in processor time; ns a frame; ratios to {RATIOS_TO}",
        "command": "python benchmarks/bench_frontend.py",
        "rows": table,
    }
    RESULT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
