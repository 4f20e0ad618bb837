"""Build the npm package edgeemo-web from a student: `python cmake_ext/bindings/web/build.py OUT`.

The folder OUT is complete: `npm pack OUT`, `npm install OUT`, or copy its `dist/` to a web server.
Needs clang and wasm-ld (Debian: apt-get install clang lld). The same student gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import edgeemo
from edgeemo.artifacts.card import Card
from edgeemo.artifacts.engine_blob import Blob, compile_graph
from edgeemo.artifacts.models import DEFAULT, ZOO
from edgeemo.artifacts.tflite import read_tflite
from edgeemo.artifacts.tflite_graph import read_graph
from edgeemo.errors import BadInput, EdgeemoError
from edgeemo.export.c_packages import licences
from edgeemo.export.c_writer import spec_bytes

HERE = Path(__file__).resolve().parent
LIBRARY = HERE.parents[1]
ROOT = LIBRARY.parent
COMMON = ("--target=wasm32", "-std=c99", "-O3", "-Wall", "-Wextra", "-Werror", "-nostdlib")
VARIANTS = {"edgeemo": (), "edgeemo-simd": ("-msimd128", "-mbulk-memory")}
COPIED = ("index.js", "index.d.ts", "engine.js", "error.js", "microphone.js")


def build(student: Path, out: Path) -> None:
    """Write the package.

    Args:
        student: an int8 TFLite file of a causal speech student.
        out: a folder that is not there, or is one that this program wrote; it is replaced.

    Raises:
        BadInput: clang or wasm-ld is missing or fails; or `out` holds something else.
        BadArtifact: the student cannot be read, or not be run frame by frame.
    """
    for tool in ("clang", "wasm-ld"):
        if shutil.which(tool) is None:
            raise BadInput(f"{tool} is not there; install it (Debian: apt-get install clang lld)")
    if out.exists() and any(out.iterdir()) and not (out / "dist" / "student.bin").is_file():
        raise BadInput(f"{out} is there and is no edgeemo-web; name another folder, or remove it")
    file = read_tflite(student)
    graph = read_graph(file.model)
    blob = compile_graph(graph)
    in_order = [tensor.name for tensor in map(graph.tensors.__getitem__, graph.outputs)]
    if in_order != sorted(in_order):
        raise BadInput(f"{student}: outputs {in_order}; expected adv, then probs")
    if file.card.task != "speech" or file.card.features.prenorm != "none" or not blob.streamable:
        raise BadInput(f"{student}: {file.card.name} is no student of speech that streams")
    names = [graph.tensors[number].name for number in graph.outputs]
    outputs = [output for output in map(file.card.output, names) if output is not None]
    labels = [label for output in outputs for label in output.labels]
    with tempfile.TemporaryDirectory() as name:
        made = Path(name) / "package"
        (made / "dist").mkdir(parents=True)
        for variant, flags in VARIANTS.items():
            _compile(flags, made / "dist" / f"{variant}.wasm", Path(name) / variant)
        _write(made, file.card, labels, blob)
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(made, out)


def _compile(flags: tuple[str, ...], program: Path, work: Path) -> None:
    """The library and web.c as a module."""
    work.mkdir()
    includes = [f"-I{LIBRARY / part}" for part in ("include", "src")]
    includes += ["-isystem", str(HERE / "freestanding")]
    compiler = ["clang", *COMMON, *flags, *includes, "-c"]
    sources = [*sorted((LIBRARY / "src").glob("*.c")), HERE / "web.c"]
    # Optimization as a whole must not lose functions that only the last step of a compiler calls.
    _run([*compiler, "-ffreestanding", HERE / "freestanding" / "memory.c"], work)
    _run([*compiler, "-flto", *sources], work)
    # The linker is called by name: where binaryen is installed, clang 14 would run its wasm-opt,
    # which refuses vectors.
    link = "--no-entry --gc-sections --strip-all --lto-O3 -z stack-size=16384".split()
    _run(["wasm-ld", *link, *sorted(work.glob("*.o")), "-o", program], work)
    program.chmod(0o644)


def _run(command: list[str | Path], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise BadInput(f"{command[0]} fails: {(done.stderr.splitlines() or ['no reason'])[0]}")


def _write(package: Path, card: Card, labels: list[str], blob: Blob) -> None:
    dist = package / "dist"
    for name in COPIED:
        shutil.copyfile(HERE / "src" / name, dist / name)
    engine = (HERE / "src" / "engine.js").read_text("utf-8").replace("export class", "class")
    _text(dist / "worklet.js", engine + "\n" + (HERE / "src" / "worklet.js").read_text("utf-8"))
    (dist / "student.bin").write_bytes(blob.data)
    told = {
        "name": card.name,
        "licence": card.licence,
        "digest": card.digest,
        "sampleRate": card.features.sample_rate,
    }
    _text(
        dist / "student.js",
        "// student.js: what student.bin is; written by build.py.\n"
        f"export const card = Object.freeze({json.dumps(told)});\n"
        f"export const labels = {json.dumps(labels)};\n"
        f"export const spec = Uint8Array.of({', '.join(map(str, spec_bytes(card.features)))});\n"
        f"export const model = Object.freeze({json.dumps(_model(card, labels))});\n"
        f"export const regression = Float32Array.of({', '.join(map(str, _regression(card)))});\n",
    )
    _text(package / "package.json", json.dumps(_manifest(card), indent=2) + "\n")
    _text(package / "LICENCES.md", licences(card))
    shutil.copyfile(HERE / "README.md", package / "README.md")
    shutil.copyfile(ROOT / "LICENSE", package / "LICENSE")
    shutil.copyfile(ROOT / "NOTICE", package / "NOTICE")


def _model(card: Card, labels: list[str]) -> dict[str, float]:
    """What a stream must know, as in the C folder; `stride` as EDGEEMO_STREAM_SETTINGS has it."""
    classes, sounds = (len(card.labels(name)) for name in ("probs", "sounds"))
    fitted = card.calibration.confidence
    return {
        "values": len(labels),
        "least": round(card.window.min_seconds * card.features.sample_rate),
        "classesAt": len(labels) - sounds - classes,
        "classes": classes,
        "low": card.outputs[0].low,
        "high": card.outputs[0].high,
        "bias": 0.0 if fitted is None else fitted.bias,
        "stride": 25 * card.features.hop,
    }


def _regression(card: Card) -> list[float]:
    """Of the confidence; empty without one."""
    fitted = card.calibration.confidence
    return [] if fitted is None else fitted.regression.astype("<f4").tolist()


def _manifest(card: Card) -> dict[str, object]:
    return {
        "name": "edgeemo-web",
        "version": edgeemo.__version__,
        "description": "How a voice sounds: arousal, dominance, valence, in the browser alone",
        "keywords": ["speech", "emotion", "audio-worklet", "webassembly"],
        "license": "SEE LICENSE IN LICENCES.md",
        "type": "module",
        "sideEffects": False,
        "exports": {
            ".": {"types": "./dist/index.d.ts", "default": "./dist/index.js"},
            "./dist/*": "./dist/*",
        },
        "types": "./dist/index.d.ts",
        "files": ["dist", "LICENCES.md", "NOTICE"],
        "engines": {"node": ">=18"},
    }


def _text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def main() -> int:
    """Build as the command line says; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the package")
    told = "int8 TFLite file of a student of speech; the shipped one by default"
    shipped = ZOO / f"{DEFAULT}.tflite"
    parser.add_argument("--student", type=Path, default=shipped, metavar="FILE", help=told)
    arguments = parser.parse_args()
    try:
        build(arguments.student, arguments.out)
    except EdgeemoError as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
