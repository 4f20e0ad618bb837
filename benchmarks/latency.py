"""How long do 5 s of speech take from samples to arousal, dominance, valence, and how much memory?

    python benchmarks/latency.py [--model M] [--rounds 5]

prints a table and writes benchmarks/results/latency.json.

Each peer runs in a process of its own with one thread, in turn; those that are not installed are
named and left out. `librosa+onnxruntime` runs the same file on librosa's features, as one would
without edgeemo. `opensmile` (eGeMAPS, 88 functionals) does less: it stops at the features.
Memory is the process's peak, with the interpreter, numpy and all that was imported.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SECONDS, RATE, REPEATS = 5, 16000, 60
RESULT = Path(__file__).parent / "results" / "latency.json"
THREADS = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"]
Samples = NDArray[np.float32]
Peer = Callable[[Samples], list[float]]  # gives arousal, dominance, valence, or nothing


def edgeemo(model: str) -> Peer:
    from edgeemo import load

    session = load(model)

    def run(clip: Samples) -> list[float]:
        found = session.predict(clip, RATE)
        return [v for v in (found.arousal, found.dominance, found.valence) if v is not None]

    return run


def librosa_onnxruntime(model: str) -> Peer:
    import librosa
    import onnxruntime

    from edgeemo import load

    session = load(model, backend="onnx")
    spec, path = session.card.features, session.path
    del session
    assert (spec.prenorm, spec.log, spec.floor_mode) == ("none", "natural", "clamp")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    runtime = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(clip: Samples) -> list[float]:
        # Centred in the FFT, librosa's window starts (fft - window) / 2 samples late.
        lead = (spec.fft - spec.window) // 2
        mel = librosa.feature.melspectrogram(
            y=np.pad(clip, (lead, spec.fft - spec.window - lead)), sr=spec.sample_rate,
            n_fft=spec.fft, hop_length=spec.hop, win_length=spec.window, center=False,
            n_mels=spec.bands, fmin=spec.low_hz, fmax=spec.high_hz, htk=False, norm="slaney",
        )  # fmt: skip
        features = np.log(np.maximum(mel.T, spec.floor)).astype(np.float32)[None]
        return list(map(float, runtime.run(["adv"], {"features": features})[0][0]))

    return run


def opensmile(model: str) -> Peer:
    import opensmile as peer

    smile = peer.Smile(peer.FeatureSet.eGeMAPSv02, peer.FeatureLevel.Functionals, num_workers=1)

    def run(clip: Samples) -> list[float]:
        smile.process_signal(clip, RATE)
        return []

    return run


PEERS: dict[str, tuple[Callable[[str], Peer], str]] = {
    "edgeemo": (edgeemo, "onnxruntime"),
    "librosa+onnxruntime": (librosa_onnxruntime, "librosa"),
    "opensmile eGeMAPS": (opensmile, "opensmile"),
}
"""Function, and the package that must be there."""


def speech() -> Samples:
    """5 s of the shipped speech, several clips behind each other."""
    from edgeemo.audio import read_audio

    folder = Path(__file__).parents[1] / "edgeemo" / "speech"
    clips = [read_audio(path) for path in sorted(folder.rglob("*.flac"))[:6]]
    return np.resize(np.concatenate(clips), SECONDS * RATE).astype(np.float32)


def run_peer(name: str, model: str) -> None:
    """In the peer's own process: time it and print one JSON object."""
    clip = np.frombuffer(sys.stdin.buffer.read(), np.float32)
    start = time.perf_counter()
    run = PEERS[name][0](model)
    loaded = time.perf_counter()
    values = run(clip)
    first = time.perf_counter()
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        run(clip)
        times.append(time.perf_counter() - begin)
    status = Path("/proc/self/status").read_text()
    # VmHWM begins anew with each program; ru_maxrss would remember the process that started it.
    peak = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
    print(json.dumps({
        "ms": statistics.median(times) * 1e3, "load_ms": (loaded - start) * 1e3,
        "first_ms": (first - loaded) * 1e3, "peak_mb": peak * 1024 / 1e6, "values": values,
    }))  # fmt: skip


def measure(name: str, model: str, clip: Samples) -> dict[str, Any]:
    """Run one peer in a fresh process with one thread."""
    command = [sys.executable, __file__, "--model", model, "--peer", name]
    environment = os.environ | dict.fromkeys(THREADS, "1")
    done = subprocess.run(
        command, input=clip.tobytes(), stdout=subprocess.PIPE, env=environment, check=True
    )
    return dict(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="wav2small-stream", help="name or path")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        run_peer(arguments.peer, arguments.model)
        return

    clip = speech()
    installed = [name for name, (_, package) in PEERS.items() if find_spec(package)]
    for name in PEERS.keys() - set(installed):
        print(f"{name}: not installed, left out")
    # Peers take turns, so that a slow minute of the machine hits all.
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in installed}
    for _ in range(arguments.rounds):
        for name in installed:
            results[name].append(measure(name, arguments.model, clip))
    ours = results["edgeemo"]
    same = results.get("librosa+onnxruntime", ours)
    apart = np.abs(np.subtract(ours[0]["values"], same[0]["values"])).max()
    assert apart < 0.02, f"the peers did different work: outputs differ by {apart:.3f}"

    rows = []
    print(f"{'':22}{'ms, median':>11}{'best':>7}{'load ms':>9}{'peak MB':>9}{'of edgeemo':>12}")
    for name, rounds in results.items():
        middle = {k: statistics.median(r[k] for r in rounds) for k in ("ms", "load_ms", "peak_mb")}
        best = min(r["ms"] for r in rounds)
        ratio = statistics.median(r["ms"] / o["ms"] for r, o in zip(rounds, ours, strict=True))
        rows.append({"peer": name, **middle, "best_ms": best, "ratio": ratio})
        print(f"{name:22}{middle['ms']:11.2f}{best:7.2f}{middle['load_ms']:9.0f}"
              f"{middle['peak_mb']:9.1f}{ratio:11.2f}x")  # fmt: skip
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "protocol": f"{SECONDS} s of speech, 1 thread, {REPEATS} calls in each of "
        f"{arguments.rounds} rounds in turn; medians",
        "command": f"python benchmarks/latency.py --model {arguments.model}",
        "model": arguments.model,
        "rows": rows,
    }, indent=1) + "\n")  # fmt: skip


if __name__ == "__main__":
    main()
