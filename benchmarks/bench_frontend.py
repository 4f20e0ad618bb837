"""How long does a frame of log-mel take, against librosa, kaldi-native-fbank and numpy?

    python benchmarks/bench_frontend.py [--rounds 7]

prints a table and writes benchmarks/results/frontend.json.

Each peer runs in a process of its own with one thread, in turn; those that are not installed are
named and left out. All take the same 60 s of sound with the same window, hop, FFT and bands.
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

PEERS = ["edgeemo", "edgeemo_stream", "numpy", "librosa", "kaldi_native_fbank"]
RESULT = Path(__file__).parent / "results" / "frontend.json"
RUNNER = Path(__file__).with_name("frontend_runner.py")
THREADS = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"]
NOT_INSTALLED = 3  # exit status of the runner


def measure(peer: str) -> dict[str, Any] | None:
    """Run one peer in a fresh process: no shared caches, threads or allocator. None: not there."""
    environment = os.environ | dict.fromkeys(THREADS, "1")
    done = subprocess.run([sys.executable, RUNNER, peer], stdout=subprocess.PIPE, env=environment)
    if done.returncode == NOT_INSTALLED:
        return None
    done.check_returncode()
    return dict(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()

    results: dict[str, list[dict[str, Any]]] = {}
    for _ in range(arguments.rounds):
        # Peers take turns, so that a slow minute of the machine hits all.
        for peer in PEERS:
            if (result := measure(peer)) is not None:
                results.setdefault(peer, []).append(result)
    for peer in PEERS:
        if peer not in results:
            print(f"{peer}: not installed, left out")
    frames = {r["frames"] for rounds in results.values() for r in rounds}
    assert len(frames) == 1, f"the peers did different work: {frames} frames"

    machine, python = platform.machine(), platform.python_version()
    print(f"{machine}, Python {python}, {arguments.rounds} rounds, 1 thread")
    print(f"{'':20} {'version':>10} {'ns a frame, best':>17} {'median':>8} {'of edgeemo':>11}")
    ours = [r["seconds"] for r in results["edgeemo"]]
    table = []
    for peer, rounds in results.items():
        seconds = [r["seconds"] / r["frames"] * 1e9 for r in rounds]
        ratio = statistics.median(r["seconds"] / o for r, o in zip(rounds, ours, strict=True))
        row = {
            "peer": peer,
            "version": rounds[0]["version"],
            "best_ns": min(seconds),
            "median_ns": statistics.median(seconds),
            "ratio": ratio,
        }
        table.append(row)
        print(
            f"{peer:20} {row['version']:>10} {min(seconds):17.0f}"
            f" {statistics.median(seconds):8.0f} {ratio:10.2f}x"
        )
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    found = {
        "machine": f"{machine}, {os.cpu_count()} cores",
        "protocol": f"60 s of noise, 1 thread, {arguments.rounds} rounds in turn; ns a frame",
        "command": "python benchmarks/bench_frontend.py",
        "rows": table,
    }
    RESULT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
