"""How fast is the int8 engine beside onnxruntime, LiteRT and TensorFlow Lite Micro on this machine?

    python benchmarks/engine.py [--tflite FILE] [--onnx FILE] [--hop-onnx FILE] [--data DIR]

prints a table and writes benchmarks/results/engine.json. One thread each; the network alone, from
features. `clip`: 5 s of speech in one call. `stream`: 5 s as frames come, four at a time, with an
estimate every 250 ms; the peers, which keep no state in these files, run their whole window of the
last 3 s for each estimate, or with --hop-onnx one step of a one-hop file for each four frames.
Times are of the processor, so that what else runs does not count. Peers take turns in one process
and every figure is the best of its round; ratios are medians over rounds.

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
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.engine_blob import compile_graph
from edgeemo.artifacts.teachers_package import need
from edgeemo.artifacts.tflite import read_tflite
from edgeemo.artifacts.tflite_graph import read_graph
from edgeemo.audio import read_audio
from edgeemo.backends.engine import Model, model_kernels
from edgeemo.errors import BadArtifact, require
from edgeemo.features import log_mel

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "engine.json"
FRAMES, HOP, EVERY, WINDOW = 500, 4, 25, 300
CLIPS = 240
Work = Callable[[], NDArray[np.float32]]


def features() -> NDArray[np.float32]:
    """5 s of the shipped speech."""
    paths = sorted(need("speech").rglob("*.flac"))[:8]
    return np.concatenate([log_mel(read_audio(path)) for path in paths])[:FRAMES]


def ours(model: bytes, x: NDArray[np.float32], kernels: str | None) -> dict[str, Work]:
    blob = compile_graph(read_graph(model)).data
    whole, stream = Model(blob, 64, kernels), Model(blob, HOP, kernels)
    out = np.zeros(whole.info()["values"], np.float32)

    def clip() -> NDArray[np.float32]:
        whole.reset()
        whole.push(x)
        whole.outputs(out)
        return out[:3]

    def live() -> NDArray[np.float32]:
        stream.reset()
        for at in range(0, FRAMES, HOP):
            stream.push(x[at : at + HOP])
            if (at + HOP) % EVERY < HOP:
                stream.outputs(out)
        return out[:3]

    return {"clip": clip, "stream": live}


def windows(
    run: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    x: NDArray[np.float32],
    size: int = WINDOW,
) -> Work:
    """An estimate every 250 ms from the last `size` frames."""

    def live() -> NDArray[np.float32]:
        for end in range(EVERY, FRAMES + 1, EVERY):
            found = run(x[max(0, end - size) : end])
        return found

    return live


def onnx_session(path: Path) -> Any:
    onnxruntime = require("onnxruntime", "onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def onnx(path: Path, x: NDArray[np.float32]) -> dict[str, Work]:
    session = onnx_session(path)

    def run(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(session.run(["adv"], {"features": rows[np.newaxis]})[0][0])

    return {"clip": lambda: run(x), "stream": windows(run, x)}


def onnx_hops(path: Path, x: NDArray[np.float32]) -> dict[str, Work]:
    """Bare calls: one for each hop, and one more where an estimate is wanted."""
    session = onnx_session(path)
    names = [o.name for o in session.get_outputs()]
    start = {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs()}

    def live() -> NDArray[np.float32]:
        given, total = dict(start), np.zeros_like(start["mean"])
        for count, at in enumerate(range(0, FRAMES, HOP), 1):
            given["features"] = x[np.newaxis, at : at + HOP]
            found = dict(zip(names, session.run(names, given), strict=True))
            given |= {n.replace("next", "state"): v for n, v in found.items() if "next" in n}
            total += found["token"].reshape(total.shape)
            if (at + HOP) % EVERY < HOP:
                said = session.run(["adv"], given | {"mean": total / np.float32(count)})[0][0]
        return np.asarray(said, np.float32)

    return {"stream": live}


def litert_run(model: bytes, *, reference: bool = False) -> Callable[..., NDArray[np.float32]]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
    runners = {}

    def run(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(rows) not in runners:
            runner = Interpreter(
                model_content=model, num_threads=1, experimental_op_resolver_type=kernels
            )
            place = runner.get_input_details()[0]
            runner.resize_tensor_input(place["index"], [1, len(rows), 40, 1])
            runner.allocate_tensors()
            runners[len(rows)] = runner
        runner = runners[len(rows)]
        place = runner.get_input_details()[0]
        scale, zero = place["quantization"]
        codes = np.clip(np.rint(rows / np.float32(scale)) + zero, -128, 127).astype(np.int8)
        runner.set_tensor(place["index"], codes[np.newaxis, :, :, np.newaxis])
        runner.invoke()
        adv = next(d for d in runner.get_output_details() if d["shape"][-1] == 3)
        scale, zero = adv["quantization"]
        found = (runner.get_tensor(adv["index"])[0].astype(np.float32) - zero) * np.float32(scale)
        return np.asarray(found, np.float32)

    return run


def litert(model: bytes, x: NDArray[np.float32]) -> dict[str, Work]:
    run = litert_run(model)
    return {"clip": lambda: run(x), "stream": windows(run, x)}


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
        theirs = [litert_run(model, reference=reference)(x) for x in sounds]
        apart = np.abs(np.array(ours_) - np.array(theirs))
        found[name] = {"largest": apart.max(0).tolist(), "mean": apart.mean(0).tolist()}
        print(
            f"LiteRT, {name}: A/D/V of {len(sounds)} clips at most {apart.max(0)} apart, "
            f"{apart.mean(0)} on average"
        )
    return found


def tflm(model: bytes, x: NDArray[np.float32]) -> dict[str, Work]:
    """Its host build takes the file's own length alone; the time is scaled to 5 s."""
    from tflite_micro import runtime

    runner = runtime.Interpreter.from_bytes(model)
    codes = np.zeros([1, WINDOW, 40, 1], np.int8)

    def clip() -> NDArray[np.float32]:
        runner.set_input(codes, 0)
        runner.invoke()
        return np.zeros(0, np.float32)

    return {"clip": clip}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tflite", type=Path, default=ROOT / "edgeemo/zoo/wav2small-stream.tflite")
    parser.add_argument("--onnx", type=Path, default=ROOT / "edgeemo/zoo/wav2small-stream.onnx")
    parser.add_argument("--hop-onnx", type=Path, help="one-hop file of the same student")
    parser.add_argument("--data", type=Path, help="folder of corpora, to compare estimates")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    try:
        model = read_tflite(arguments.tflite).model
    except BadArtifact:
        model = arguments.tflite.read_bytes()
    x = features()
    peers = {f"edgeemo c, {k}": ours(model, x, k) for k in model_kernels()}
    best = f"edgeemo c, {model_kernels()[-1]}"
    if find_spec("onnxruntime"):
        peers["onnxruntime int8"] = onnx(arguments.onnx, x)
        if arguments.hop_onnx:
            peers["onnxruntime int8, one hop"] = onnx_hops(arguments.hop_onnx, x)
    if find_spec("ai_edge_litert"):
        peers["LiteRT int8 (XNNPACK)"] = litert(model, x)
    if find_spec("tflite_micro"):
        peers["TFLM int8, host"] = tflm(model, x)
    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(arguments.rounds):
        for name, works in peers.items():
            for what, work in works.items():
                work()
                best_time = float("inf")
                for _ in range(2 if "TFLM" in name else 8):
                    start = time.process_time()
                    work()
                    best_time = min(best_time, time.process_time() - start)
                scale = FRAMES / WINDOW if "TFLM" in name else 1.0
                times.setdefault((name, what), []).append(best_time * scale)
    apart = np.abs(ours(model, x, None)["clip"]() - litert(model, x)["clip"]()).max()
    assert apart < 0.02, f"the peers did different work: outputs differ by {apart:.3f}"
    rows = []
    print(f"{'':28}{'work':>8}{'ms, best':>10}{'of edgeemo':>12}")
    for (name, what), found in times.items():
        ratio = statistics.median(a / b for a, b in zip(found, times[best, what], strict=True))
        rows.append({"peer": name, "work": what, "best_ms": min(found) * 1e3, "ratio": ratio})
        print(f"{name:28}{what:>8}{min(found) * 1e3:10.3f}{ratio:11.2f}x")
    RESULT.write_text(
        json.dumps(
            {
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "protocol": " ".join((__doc__ or "").split("\n\n")[2].split()),
                "command": f"python benchmarks/engine.py --tflite {arguments.tflite.name} "
                f"--onnx {arguments.onnx.name}"
                + (f" --hop-onnx {arguments.hop_onnx.name}" if arguments.hop_onnx else "")
                + (" --data DIR" if arguments.data else ""),
                "rows": rows,
                **({"agreement": evaluate(model, arguments.data)} if arguments.data else {}),
            },
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
