"""How long do 10 s of sound take in Node.js, with vectors and without; how large is edgeemo-web?

    python benchmarks/web.py

prints a table and writes benchmarks/results/web.json. Both modules of the package take turns in
one process, so that a slow minute of the machine hits both. Each second of sound counts with the
least of 60 times, of code that Node.js optimized before it runs, in pushes of 128 samples, as an
audio worklet gives them, on one state of the student.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _usage import no_arguments

from edgeemo import LogMel
from edgeemo.artifacts.engine_blob import compile_graph
from edgeemo.artifacts.models import DEFAULT, ZOO
from edgeemo.artifacts.teachers_package import need
from edgeemo.artifacts.tflite import read_tflite
from edgeemo.artifacts.tflite_graph import read_graph
from edgeemo.audio import read_audio
from edgeemo.backends import c

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "web.json"
COMMAND = "python benchmarks/web.py"
PROTOCOL = (
    "milliseconds for 10 s of sound in pushes of 128 samples, each second the least of 60 rounds, "
    "modules in turn; "
    "ratio: with vectors to without; bytes: of the archive that npm packs, of each file by gzip -9"
)
ROUNDS, BLOCK = 60, 128
SCRIPT = """
import { readFileSync } from "node:fs";
import { Engine } from "./dist/engine.js";
import { model, regression, spec } from "./dist/student.js";
const blob = new Uint8Array(readFileSync("dist/student.bin"));
const clip = new Float32Array(readFileSync(process.argv[2]).buffer.slice(0));
const engines = ["edgeemo", "edgeemo-simd"].map((name) => {
  const module = new WebAssembly.Module(readFileSync(`dist/${name}.wasm`));
  return new Engine(new WebAssembly.Instance(module), { blob, spec, regression, model });
});
const SECOND = 16000;
const seconds = engines.map(() => new Array(clip.length / SECOND).fill(Infinity));
const values = [];
for (let round = 0; round < ROUNDS; round++)
  engines.forEach((engine, i) => {
    engine.reset();
    for (let second = 0; second < seconds[i].length; second++) {
      const begin = performance.now();
      for (let at = second * SECOND; at < (second + 1) * SECOND; at += BLOCK)
        engine.push(clip.subarray(at, at + BLOCK));
      seconds[i][second] = Math.min(seconds[i][second], performance.now() - begin);
    }
    values[i] = engine.estimate();
  });
const least = seconds.map((times) => times.reduce((sum, time) => sum + time));
console.log(JSON.stringify({ least, values, version: process.version }));
"""


def native(clip: np.ndarray, blob: bytes) -> tuple[float, list[float]]:
    """The same C in this process: milliseconds, a call from Python for each frame; values."""
    least, values = float("inf"), np.zeros(0, np.float32)
    for _ in range(ROUNDS):
        front, model = LogMel(), c._native.Model(blob, 1)
        values = np.zeros(model.info()["values"], np.float32)
        begin = time.perf_counter()
        for at in range(0, len(clip), 160):
            frames = front.push(clip[at : at + 160])
            if len(frames):
                model.push(frames)
        model.outputs(values)
        least = min(least, 1000 * (time.perf_counter() - begin))
    return least, values.tolist()


def main() -> None:
    no_arguments(__doc__)
    clip = np.resize(np.asarray(read_audio(need("speech/emodb_full/03a01Fa.flac"))), 160_000)
    with tempfile.TemporaryDirectory() as name:
        package = Path(name) / "edgeemo-web"
        build = ROOT / "cmake_ext" / "bindings" / "web" / "build.py"
        subprocess.run([sys.executable, build, package], check=True)
        (Path(name) / "clip").write_bytes(clip.astype("<f4").tobytes())
        script = SCRIPT.replace("ROUNDS", str(ROUNDS)).replace("BLOCK", str(BLOCK))
        (package / "bench.mjs").write_text(script)
        command = ["node", "--no-liftoff", "bench.mjs", Path(name) / "clip"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=package)
        (package / "bench.mjs").unlink()
        pack = ["npm", "pack", "--silent"]
        packed = subprocess.run(pack, check=True, capture_output=True, text=True, cwd=package)
        archive = (package / packed.stdout.strip()).stat().st_size
        files = {p.name: len(gzip.compress(p.read_bytes(), 9)) for p in package.glob("dist/*.*")}
    blob = compile_graph(read_graph(read_tflite(ZOO / f"{DEFAULT}.tflite").model)).data
    here, values = native(clip, blob)
    told = json.loads(done.stdout)
    assert told["values"] == [values, values], "the modules give other bits than this machine"
    plain, vectors = told["least"]
    bytes_of = {"archive": archive, **{name: files[name] for name in sorted(files)}}
    print(f"without vectors {plain:.1f} ms, with them {vectors:.1f}, ratio {vectors / plain:.3f}")
    print(f"native, through Python: {here:.1f} ms; Node.js {told['version']}")
    for name, count in bytes_of.items():
        print(f"{name:20}{count:10,} bytes")
    result = {
        "protocol": PROTOCOL,
        "command": COMMAND,
        "node": told["version"],
        "milliseconds": {"plain": plain, "vectors": vectors},
        "ratio": vectors / plain,
        "bytes": bytes_of,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
