"""What does the int8 engine take beside onnxruntime, LiteRT, TFLite Micro and ExecuTorch?

    python benchmarks/engine.py [--tflite FILE] [--onnx FILE] [--hop-onnx FILE] [--data DIR]

prints a table and writes benchmarks/results/engine.json. One thread each. The network alone, from
features: `clip`, 5 s of speech in one call; `stream`, 5 s as frames come, four at a time, with an
estimate every 250 ms: the peers, which keep no state in these files, run their whole window of the
last 3 s for each estimate, or with --hop-onnx one step of a one-hop file for each four frames.
`samples`: 5 s from samples to the estimate, with edgeemo's front end before each. Times are of the
processor, so that what else runs does not count. Peers take turns in one process and every figure
is the best of its round; ratios are medians over rounds. `bytes` are of what a runtime reads, and
`memory` is what a process of its own grows by at its peak, in MB, when it loads runtime and file
and does all this, beyond Python, numpy and the front end.

The first four run the same integers; ExecuTorch, whose wheel has no extra of edgeemo's (pip install
executorch), quantizes the same weights by itself, and its Python brings torch along.

With --data, a folder of corpora with labels.csv, also how far arousal, dominance and valence of 240
clips lie from those of LiteRT on the same file, its reference kernels and its usual ones.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import _engine_peers as peers
import numpy as np
from _data import add_data
from _engine_peers import FRAMES, ROOT, WINDOW, Work

from edgeemo.artifacts.engine_blob import compile_graph
from edgeemo.artifacts.tflite import read_tflite
from edgeemo.artifacts.tflite_graph import read_graph
from edgeemo.audio import read_audio
from edgeemo.backends.engine import Model, model_kernels
from edgeemo.cli import exit_status
from edgeemo.features import log_mel

RESULT = ROOT / "benchmarks" / "results" / "engine.json"
CLIPS = 240
WORKS = ("clip", "stream", "samples")


@dataclass(frozen=True)
class Files:
    """What the peers read; a hop file and ExecuTorch's may be missing."""

    tflite: Path
    onnx: Path
    hop: Path | None
    pte: Path | None

    @property
    def model(self) -> bytes:
        """The TFLite file without what lies behind it."""
        return read_tflite(self.tflite).model


def names(files: Files) -> Iterator[str]:
    """Peers that can run here; edgeemo with each set of kernels, the best one last."""
    yield from (f"edgeemo c, {kernels}" for kernels in model_kernels())
    if find_spec("onnxruntime"):
        yield "onnxruntime int8"
        if files.hop:
            yield "onnxruntime int8, one hop"
    if find_spec("ai_edge_litert"):
        yield "LiteRT int8 (XNNPACK)"
    if find_spec("tflite_micro"):
        yield "TFLM int8, host"
    if files.pte:
        yield "ExecuTorch int8 (XNNPACK)"


def started(name: str, files: Files) -> tuple[dict[str, Work], int]:
    """A peer's works, and the bytes that it reads."""
    if name.startswith("edgeemo c"):
        blob = compile_graph(read_graph(files.model)).data
        return peers.ours(blob, name.split(", ")[1]), len(blob)
    if name == "onnxruntime int8, one hop":
        assert files.hop is not None
        return peers.onnx_hops(files.hop), files.hop.stat().st_size
    if name.startswith("onnxruntime"):
        return peers.onnx(files.onnx), files.onnx.stat().st_size
    if name.startswith("ExecuTorch"):
        assert files.pte is not None
        return peers.executorch(files.pte), files.pte.stat().st_size
    if name.startswith("LiteRT"):
        return peers.works(peers.litert_run(files.model)), len(files.model)
    return peers.tflm(files.model), len(files.model)


def grown(name: str, files: Files) -> float:
    """MB by which this process grows when a peer does its works."""

    def told(what: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1024

    model = files.model
    compile_graph(read_graph(model))
    peers.features()
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak until here
    before = told("VmRSS")
    for work in started(name, files)[0].values():
        work()
    return told("VmHWM") - before


def memory(name: str, files: Files) -> float:
    """The same in a process of its own."""
    given = [str(path or "") for path in (files.tflite, files.onnx, files.hop, files.pte)]
    command = [sys.executable, __file__, "--grown", name, *given]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.split()[-1])


def timed(name: str, work: Work) -> float:
    """Seconds of the processor, the best of some calls."""
    work()
    best = float("inf")
    for _ in range(2 if "TFLM" in name else 8):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best * (FRAMES / WINDOW if "TFLM" in name else 1.0)


def clips(data: Path) -> list[Path]:
    """As many of each corpus, spread over its table."""
    tables = sorted(data.glob("*/labels.csv"))
    found = []
    for table in tables:
        with table.open(encoding="utf-8") as file:
            paths = [table.parent / row["path"] for row in csv.DictReader(file)]
        paths = [p for p in paths if p.is_file()]
        found += paths[:: max(1, len(paths) * len(tables) // CLIPS)][: -(-CLIPS // len(tables))]
    return found


def evaluate(model: bytes, data: Path) -> dict[str, object]:
    """Largest and mean distance of A, D and V from LiteRT's over real clips."""
    sounds = [log_mel(read_audio(path)) for path in clips(data)]
    blob = compile_graph(read_graph(model)).data
    engine, out = Model(blob, 64), np.zeros(11, np.float32)
    ours_ = []
    for x in sounds:
        engine.reset()
        engine.push(x)
        assert engine.outputs(out) == len(out)
        ours_.append(out[:3].copy())
    found: dict[str, object] = {"clips": len(sounds)}
    for name, reference in (("reference kernels", True), ("XNNPACK", False)):
        theirs = [peers.litert_run(model, reference=reference)(x) for x in sounds]
        apart = np.abs(np.array(ours_) - np.array(theirs))
        found[name] = {"largest": apart.max(0).tolist(), "mean": apart.mean(0).tolist()}
        print(
            f"LiteRT, {name}: A/D/V of {len(sounds)} clips at most {apart.max(0)} apart, "
            f"{apart.mean(0)} on average"
        )
    return found


def measure(files: Files, rounds: int) -> list[dict[str, object]]:
    """A row for each peer; prints them."""
    runs = {name: started(name, files) for name in names(files)}
    best = f"edgeemo c, {model_kernels()[-1]}"
    apart = np.abs(runs[best][0]["clip"]() - runs["LiteRT int8 (XNNPACK)"][0]["clip"]()).max()
    assert apart < 0.02, f"the peers did different work: outputs differ by {apart:.3f}"
    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for name, (works, _) in runs.items():
            for what, work in works.items():
                times.setdefault((name, what), []).append(timed(name, work))
    rows = []
    head = "".join(f"{what + ', ms':>13}{'ratio':>7}" for what in WORKS)
    print(f"{'':27}{head}{'bytes':>9}{'memory, MB':>12}")
    for name, (works, size) in runs.items():
        row: dict[str, object] = {"peer": name, "bytes": size, "memory_mb": memory(name, files)}
        line = f"{name:27}"
        for what in WORKS:
            if what not in works:
                line += f"{'':20}"
                continue
            pairs = zip(times[name, what], times[best, what], strict=True)
            ratio, ms = statistics.median(a / b for a, b in pairs), min(times[name, what]) * 1e3
            row[what] = {"best_ms": ms, "ratio": ratio}
            line += f"{ms:13.3f}{ratio:6.2f}x"
        print(f"{line}{size:9,}{row['memory_mb']:12.1f}")
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tflite", type=Path, default=ROOT / "edgeemo/zoo/wav2small-stream.tflite")
    parser.add_argument("--onnx", type=Path, default=ROOT / "edgeemo/zoo/wav2small-stream.onnx")
    parser.add_argument("--hop-onnx", type=Path, help="one-hop file of the same student")
    add_data(parser, "*/labels.csv", required=False)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--grown", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.grown:
        name, *paths = arguments.grown
        print(grown(name, Files(*(Path(path) if path else None for path in paths))))  # type: ignore[arg-type]
        return
    with tempfile.TemporaryDirectory() as folder:
        pte = Path(folder) / "student.pte" if find_spec("executorch") else None
        if pte:
            peers.executorch_file(arguments.onnx, pte)
        files = Files(arguments.tflite, arguments.onnx, arguments.hop_onnx, pte)
        rows = measure(files, arguments.rounds)
    hop = f" --hop-onnx {arguments.hop_onnx.name}" if arguments.hop_onnx else ""
    found = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "protocol": " ".join((__doc__ or "").split("\n\n")[2].split()),
        "command": f"python benchmarks/engine.py --tflite {arguments.tflite.name} "
        f"--onnx {arguments.onnx.name}{hop}{' --data DIR' if arguments.data else ''}",
        "rows": rows,
    }
    if arguments.data:
        found["agreement"] = evaluate(files.model, arguments.data)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(exit_status(main))
