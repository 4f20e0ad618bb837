"""Writer of C folders: a student as sources for firmware, which have passed their self-test.

The integers are those of an int8 TFLite file; the folder holds all that a C compiler needs. It is
written beside its place, its self-test compiled and run, and only then moved there.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edgeemo
from edgeemo.artifacts.card import Card, to_json
from edgeemo.artifacts.engine_blob import compile_graph
from edgeemo.artifacts.licences import verdict_of
from edgeemo.artifacts.tflite import read_tflite
from edgeemo.artifacts.tflite_graph import read_graph
from edgeemo.audio import read_audio
from edgeemo.backends.c import CBackend
from edgeemo.errors import BadArtifact, BadInput, ParityFailed
from edgeemo.features import CHOICES, FeatureSpec, check_fixed, fixed_log_mel, log_mel
from edgeemo.session import Session
from edgeemo.speech.chain import MOST_VALUES, EngineChain, Plan
from edgeemo.types import SAMPLE_RATE

from . import c_file, c_packages, c_text

PACKAGE = Path(edgeemo.__file__).parent
# In a wheel it lies inside the package, in a checkout beside it.
LIBRARY = next(p for p in (PACKAGE / "cmake_ext", PACKAGE.parent / "cmake_ext") if p.is_dir())

COPIED = {
    "": ("Makefile", "CMakeLists.txt", "main.c"),
    "src": ("edgeemo_self_test.h", "edgeemo_self_test.c", f"{c_packages.NAME}.h"),
    "examples/FirstEstimate": ("FirstEstimate.ino",),
}
HEADERS = (
    "edgeemo.h",
    "edgeemo_confidence.h",
    "edgeemo_file.h",
    "edgeemo_gate.h",
    "edgeemo_model.h",
    "edgeemo_speech.h",
    "edgeemo_stream.h",
)
# Not the making of tables: nothing in a folder calls it.
LEFT_OUT = ("init", "tables", "fixed_tables")
PORTS = (
    "common.ld",
    "cortex_m.c",
    "cortex_m.h",
    "mps2-an385.ld",
    "mps2-an386.ld",
    "mps2-an505.ld",
    "mps3-an547.ld",
    "semihosting.h",
    "start.c",
    "terminal.c",
    "terminal.h",
    "terminal_semihosting.c",
    "terminal_stdio.c",
)

GOLDEN = Path(__file__).parent / "golden.flac"
"""A second of Emo-DB (03a01Wa, CC0), rounded to 10 bits: what the last six hold is noise that no
coder makes smaller. The file is without loss: every machine reads the same samples."""

GOLDEN_SECONDS = 1.0

FRONT_ENDS = {"float": ("cortex-m4", "Cortex-M4F"), "fixed": ("cortex-m0plus", "Cortex-M0+")}
"""How a front end computes: with an FPU, or in integers without one; and the processor, by its name
in the folder's Makefile and in prose, on which its costs are told."""

STRICT = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-ffp-contract=off")


@dataclass(frozen=True)
class Folder:
    """A folder that was written and has passed its self-test.

    Attributes:
        path: where it lies.
        card: of the student.
        flash: bytes of the network and of the tables of its front end.
        memory: bytes of RAM on a 32-bit part, all that is written.
        front_end: of FRONT_ENDS.
        costs: on its processor, by name; empty without its compiler or QEMU.
    """

    path: Path
    card: Card
    flash: int
    memory: int
    front_end: str
    costs: Mapping[str, int]


def write_folder(artifact: Path, path: Path, front_end: str = "float") -> Folder:
    """Write the C folder of an int8 TFLite file. The same file gives the same bytes.

    Args:
        artifact: an int8 TFLite file of a causal speech student.
        path: the folder; one that was written before is replaced.
        front_end: "float", or "fixed" for processors without an FPU: front end and gate compute in
            integers; the network is the same.

    Raises:
        BadInput: no C compiler here, so that the self-test cannot be run; the student needs a
            whole clip at once, or features that integers do not have; or there is something else
            at `path`.
        BadArtifact: the file cannot be read, or not be run by the C engine.
        ParityFailed: the self-test did not give what the backend `c` gives; nothing is written.
    """
    compiler = find_compiler()
    with tempfile.TemporaryDirectory() as name, _replacing(path) as folder:
        work = Path(name)
        student = _student(artifact, compiler, work, front_end)
        _copy(folder)
        _write(folder, student)
        _self_test(folder, compiler, work / "self_test", path)
        costs = measure(folder, work / "board", front_end)
        _text(folder / "README.md", c_text.readme(student, costs))
    flash = len(student.blob) + student.sizes["TABLES"]
    return Folder(path, student.card, flash, student.sizes["SMALL_STREAM"], front_end, costs)


def find_compiler() -> list[str]:
    """The C compiler with its arguments: CC of the environment, else cc, gcc or clang.

    Raises:
        BadInput: there is none.
    """
    given = os.environ.get("CC")
    for command in [shlex.split(given)] if given else [["cc"], ["gcc"], ["clang"]]:
        if command and shutil.which(command[0]):
            return command
    what = f"CC={given} is not there" if given else "there is no C compiler"
    raise BadInput(
        f"{what}, and a C folder is not written before its self-test has run; "
        "install gcc or clang (Debian: apt-get install gcc), or set CC"
    )


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; on a clean exit it becomes `path`."""
    # What older versions wrote had it at the top.
    ours = [path / "src" / "edgeemo_student.c", path / "edgeemo_student.c"]
    if path.exists() and not any(file.is_file() for file in ours):
        raise BadInput(f"{path} is there and is no C folder of edgeemo; name another, or remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as name:
        made = Path(name) / "made"
        made.mkdir()
        yield made
        if path.exists():
            path.rename(Path(name) / "before")
        made.rename(path)


# ---- what is written ----


def _student(artifact: Path, compiler: Sequence[str], work: Path, front_end: str) -> c_text.Student:
    file = read_tflite(artifact)
    backend, card = CBackend(artifact, file), file.card
    if card.task != "speech":
        raise BadInput(f"{artifact}: a student of faces; the format c is for speech")
    if card.features.prenorm != "none":
        raise BadInput(f"{artifact}: {card.name} normalizes whole clips; the format c streams")
    fixed = front_end == "fixed"
    if fixed:
        check_fixed(card.features)
    graph = read_graph(file.model)
    blob = compile_graph(graph)
    if not blob.streamable:
        raise BadInput(f"{artifact}: {card.name} needs a whole clip at once; the format c streams")
    names = [graph.tensors[number].name for number in graph.outputs]
    outputs = [card.output(name) for name in names]
    labels = tuple(label for o in outputs if o is not None for label in o.labels)
    clip = golden_clip(card.features)
    features = (fixed_log_mel if fixed else log_mel)(clip, card.features)
    found = backend.run(features[np.newaxis])
    estimate = np.concatenate([found[name][0] for name in names])
    ranges = {(o.low, o.high) for o in outputs if o is not None}
    if names != sorted(names) or len(ranges) > 1 or len(labels) > MOST_VALUES:
        raise BadInput(
            f"{artifact}: outputs {names} with the ranges {sorted(ranges)}; the format c takes "
            f"adv, then probs, then sounds, of one range, {MOST_VALUES} values at most"
        )
    if len(labels) != len(estimate) or None in outputs:
        raise BadArtifact(f"{artifact}: outputs {names}; its card does not name all of them")
    rate = card.features.sample_rate  # EDGEEMO_STREAM_SETTINGS, but for the smoothing
    plan = Plan(3 * rate, rate // 4, "energy", None, 0.0, None)
    chain = EngineChain(Session(backend, artifact), plan, blob.data, fixed)
    chain.push(clip * np.float32(1 / 32768), lost=False)
    confidence = chain.estimate(last=False).confidence
    sizes, definitions, tables = _definitions(card.features, blob.data, compiler, work, front_end)
    golden = c_text.Golden(clip, np.clip(estimate, *ranges.pop()), confidence, features)
    board = FRONT_ENDS[front_end][1]
    return c_text.Student(card, blob.data, labels, golden, definitions, tables, sizes, board)


def golden_clip(spec: FeatureSpec) -> NDArray[np.int16]:
    """The clip of the self-test, 16-bit samples at the rate of the spec."""
    clip = np.asarray(read_audio(GOLDEN, spec.sample_rate))
    return np.clip(np.rint(clip * 32768), -32768, 32767).astype(np.int16)


def _definitions(
    spec: FeatureSpec, blob: bytes, compiler: Sequence[str], work: Path, front_end: str
) -> tuple[dict[str, int], str, bytes]:
    """Sizes and tables (in C, and as bytes), from the library: a small program prints them."""
    program = work / "print_tables"
    sources = sorted((LIBRARY / "src").glob("*.c"))
    files = [c_text.TEMPLATES / "print_tables.c", *sources]
    _compile(compiler, files, program, LIBRARY / "include", LIBRARY / "src")
    (work / "spec").write_bytes(spec_bytes(spec))
    (work / "blob").write_bytes(blob)
    printed = _run([str(program), "spec", "blob", front_end, "tables"], work).stdout
    sizes = {name: int(n) for name, n in re.findall(r"^#define (\w+) (\d+)$", printed, re.M)}
    definitions = re.sub(r"^#define .*\n", "", printed, flags=re.M)
    return sizes, definitions, (work / "tables").read_bytes()


def spec_bytes(spec: FeatureSpec) -> bytes:
    """An edgeemo_feature_spec in memory: the same on all little-endian targets.

    Args:
        spec: of the features.
    """
    choice = {name: words.index(getattr(spec, name)) for name, words in CHOICES.items()}
    return struct.pack(
        "<12i3d",
        spec.sample_rate,
        spec.window,
        spec.hop,
        spec.fft,
        choice["window_shape"],
        choice["spectrum"],
        spec.bands,
        choice["mel_scale"],
        choice["triangles"],
        choice["area_norm"],
        choice["log"],
        choice["floor_mode"],
        spec.low_hz,
        spec.high_hz,
        spec.floor,
    )


def _copy(folder: Path) -> None:
    left_out = {f"edgeemo_{part}.c" for part in LEFT_OUT}
    sources = [p.name for p in (LIBRARY / "src").glob("*.[ch]") if p.name not in left_out]
    for place, names in COPIED.items():
        _copy_files(c_text.TEMPLATES, folder / place, names)
    _copy_files(LIBRARY / "include", folder / "src", HEADERS)
    _copy_files(LIBRARY / "src", folder / "src", sources)
    _copy_files(LIBRARY / "ports", folder / "ports", PORTS)


def _copy_files(source: Path, to: Path, names: Sequence[str]) -> None:
    to.mkdir(parents=True, exist_ok=True)
    for name in names:
        text = (source / name).read_text("utf-8")
        bare = name.endswith((".c", ".h", ".ld")) and "SPDX-License-Identifier" not in text
        _text(to / name, c_text.CODE + text if bare else text)


def _write(folder: Path, student: c_text.Student) -> None:
    _text(folder / "card.json", to_json(student.card) + "\n")
    if student.tables:
        (folder / "model.bin").write_bytes(c_file.model_file(student))
    source = folder / "src"
    _text(source / "edgeemo_student.h", c_text.student_header(student))
    _text(source / "edgeemo_student.c", c_text.student_source(student))
    parts = (LIBRARY / "src" / "edgeemo_parts.h").read_text("utf-8")
    _text(source / "edgeemo_parts.h", c_text.parts_header(parts, student.sizes))
    _text(source / "edgeemo_golden.h", c_text.golden_header(student))
    _text(source / "edgeemo_golden.c", c_text.golden_source(student))
    names = sorted(path.name for path in source.iterdir())
    for name, text in c_packages.manifests(student.card, names).items():
        _text(folder / name, text)


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


# ---- what is run ----


def _compile(
    compiler: Sequence[str], sources: Sequence[Path], program: Path, *places: Path
) -> None:
    include = [f"-I{place}" for place in places]
    command = [*compiler, *STRICT, *include, *map(str, sources), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.splitlines() or [f"it ends with {done.returncode}"]
        line = next((x for x in said if "error" in x or "undefined" in x), said[-1])
        raise BadInput(f"the C compiler {compiler[0]} fails, so nothing is written: {line}")


def _run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise ParityFailed(f"{command[0]} ends with {done.returncode}: {done.stdout[-200:]}")
    return done


def _self_test(folder: Path, compiler: Sequence[str], program: Path, final: Path) -> None:
    sources = [*sorted(folder.glob("*.c")), *sorted((folder / "src").glob("*.c"))]
    sources += [folder / "ports" / name for name in ("terminal.c", "terminal_stdio.c")]
    _compile(compiler, sources, program, folder / "src", folder / "ports")
    done = subprocess.run([str(program)], capture_output=True, text=True)
    if done.returncode or "self-test: ok" not in done.stdout:
        raise ParityFailed(f"{final.name} is not written: {done.stdout.strip() or done.returncode}")


def text(folder: Folder) -> str:
    """What `edgeemo export` prints for a folder that was made of a file."""
    costs = folder.costs
    processor = FRONT_ENDS[folder.front_end][1]
    board = (
        f"on a {processor} {costs['second']:,} instructions a second of sound, "
        f"{costs['flash']:,} bytes of flash, {costs['memory']:,} of RAM and {costs['stack']:,} of "
        "stack in all"
        if costs
        else "costs on a Cortex-M not measured: arm-none-eabi-gcc or qemu-system-arm is missing"
    )
    return (
        f"{folder.path}\n"
        f"{folder.flash:,} bytes of flash for network and tables; self-test passed\n{board}\n"
        f"licence: {folder.card.licence}\n{verdict_of(folder.card)}\n"
        f"use it: make -C {shlex.quote(str(folder.path))} (its README.md tells the rest)"
    )


def row(folder: Folder) -> dict[str, Any]:
    """The same for `edgeemo export --json`."""
    return {
        "path": str(folder.path),
        "format": "c",
        "bytes": folder.flash,
        "memory": folder.memory,
        FRONT_ENDS[folder.front_end][0].replace("-", "_"): dict(folder.costs),
        "digest": folder.card.digest,
    }


def measure(folder: Path, work: Path, front_end: str) -> dict[str, int]:
    """What the folder costs on its processor under QEMU; empty where the tools are not there.

    Args:
        folder: a C folder.
        work: where a copy of it is built.
        front_end: of FRONT_ENDS.

    Returns:
        "flash": bytes of the self-test's program without its clip; "memory": bytes that the stream
        takes; "stack": bytes; "second": instructions for a second of sound, from samples to
        estimates; "block": for the most expensive 10 ms.

    Raises:
        ParityFailed: the self-test gives other estimates on the board.
    """
    tools = ("make", "arm-none-eabi-gcc", "arm-none-eabi-size", "qemu-system-arm", "timeout")
    if not all(map(shutil.which, tools)):
        return {}
    shutil.copytree(folder, work)
    board, prose = FRONT_ENDS[front_end]
    printed = _run(["make", "-s", board], work).stdout
    if "self-test: ok" not in printed:
        raise ParityFailed(f"the self-test fails on a {prose}: {printed[-200:]}")
    told = {name: int(n) for name, n in re.findall(r"^(\w+) (\d+)$", printed, re.M)}
    sizes = _run(["arm-none-eabi-size", f"build/{board}.elf"], work).stdout.split("\n")[1].split()
    clip = 2 * int(GOLDEN_SECONDS * SAMPLE_RATE)
    names = ("memory", "stack", "second", "block")
    return {"flash": int(sizes[0]) + int(sizes[1]) - clip, **{n: told[n] for n in names}}
