"""Building the C library in the ways that matter, and running its stages on a clip."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeemo.artifacts.tflite_graph import NONE, RELU6, VALID, Graph, Operator, Tensor
from edgeemo.export.c_writer import spec_bytes
from edgeemo.features import FeatureSpec

ROOT = Path(__file__).resolve().parents[2]
C = ROOT / "cmake_ext"
# The front end; the other files of src/ are the engine and the gate, with tests of their own.
SOURCES = [
    C / "src" / f"edgeemo_{part}.c"
    for part in ("fft", "float", "frontend", "init", "math", "mel", "samples", "spec", "tables")
]
STRICT = [
    "-std=c99",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wdouble-promotion",
    "-Werror",
    "-ffp-contract=off",
]


@dataclass(frozen=True)
class Target:
    """A compiler with its flags, and what runs the program."""

    compiler: tuple[str, ...]
    flags: tuple[str, ...]
    runner: tuple[str, ...] = ()
    host: str = "host_stdio.c"
    more: tuple[str, ...] = ()  # further C files of ports/
    linker: tuple[str, ...] = ()  # command that links, where the compiler does not


def host(*flags: str) -> Target:
    return Target((os.environ.get("CC", "gcc"),), flags)


M4 = ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard")
M33 = ("-mcpu=cortex-m33", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard")
M55 = ("-mcpu=cortex-m55", "-mfloat-abi=hard")


def board(machine: str, *flags: str, clang: bool = False) -> Target:
    """GCC for a board under QEMU, or clang with GCC's headers and linker."""
    link = (
        *flags,
        "-nostartfiles",
        "--specs=nano.specs",
        "--specs=nosys.specs",
        "-L",
        str(C / "ports"),
        "-T",
        str(C / "ports" / f"{machine}.ld"),
    )
    runner = (
        "timeout",
        "60",
        "qemu-system-arm",
        "-M",
        machine,
        "-nographic",
        "-monitor",
        "none",
        "-serial",
        "none",
        "-semihosting-config",
        "enable=on,target=native",
        "-kernel",
    )
    more, gcc = ("start.c",), ("arm-none-eabi-gcc", "-mthumb")
    if not clang:
        return Target((*gcc, "-O2"), link, runner, "host_semihosting.c", more)
    compiler = (
        "clang",
        "--target=arm-none-eabi",
        "-mthumb",
        "-O2",
        "-munaligned-access",
        "-fshort-enums",
        "-isystem",
        "/usr/lib/arm-none-eabi/include",
    )
    return Target(compiler, flags, runner, "host_semihosting.c", more, (*gcc, *link))


TARGETS = {
    "x86 -O0": host("-O0"),
    "x86 -O3": host("-O3"),
    # ASan and UBSan: a fault ends the program with a status that is not 0.
    "sanitizers": host("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    "AVX2": host("-O3", "-march=x86-64-v3", "-mno-fma"),
    "Cortex-M4": board("mps2-an386", *M4),
    "Cortex-M33": board("mps2-an505", *M33),
    # Without the flag, GCC 12 and binutils 2.40 disagree about a conditional conversion.
    "Cortex-M55": board("mps3-an547", *M55, "-fno-if-conversion2"),
    "Cortex-M4 by clang": board("mps2-an386", *M4, clang=True),
    "Cortex-M55 by clang": board("mps3-an547", *M55, clang=True),
}


@pytest.fixture
def sources() -> list[Path]:
    """The C files of the front end."""
    return SOURCES


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> str:
    """The name of each target in turn."""
    return str(request.param)


def _chained(
    before: Tensor, outputs: int, kernel: tuple[int, int], seed: int, **options: int
) -> tuple[list[Tensor], tuple[int, int]]:
    """Weights, bias, padded input and output of a causal layer on `before`; what is padded."""
    o = {"stride_rows": 1, "stride_columns": 1, "dilation_rows": 1, "dilation_columns": 1} | options
    draw = np.random.default_rng(seed)
    _, rows, columns, channels = before.shape
    shape = (1 if options.get("depthwise") else outputs, *kernel, channels)
    tall, wide = (
        (k - 1) * o[f"dilation_{side}"] + 1
        for k, side in zip(kernel, ("rows", "columns"), strict=True)
    )
    top, side = tall - o["stride_rows"], wide // 2
    taps = kernel[0] * kernel[1] * (1 if options.get("depthwise") else channels)
    factors = draw.uniform(0.5, 1, outputs).astype(np.float32) / np.float32(64 * taps**0.5)
    if options.get("tiny"):
        factors *= 3000  # a layer that multiplies by more than 1
    made = (rows // o["stride_rows"], (columns + 2 * side - wide) // o["stride_columns"] + 1)

    def tensor(
        shape: tuple[int, ...], dtype: str, data: object, scales: object, axis: int
    ) -> Tensor:
        found = np.atleast_1d(np.asarray(scales, np.float32))
        zero = before.zeros[0] if data is None else 0
        constant = None if data is None else np.asarray(data, dtype)
        return Tensor(shape, dtype, constant, found, np.full(len(found), zero), axis, "adv")

    scale = before.scales[0]
    weights = draw.integers(-127, 128, shape)
    bias = draw.integers(-900, 900, outputs)
    amounts = np.array([[0, 0], [top, 0], [side, side], [0, 0]])
    return [
        tensor((4, 2), "int32", amounts, scale, 0),
        tensor((1, rows + top, columns + 2 * side, channels), "int8", None, scale, 0),
        tensor(shape, "int8", weights, factors, 3 if options.get("depthwise") else 0),
        tensor((outputs,), "int32", bias, factors * scale, 0),
        tensor((1, *made, outputs), "int8", None, scale, 0),
    ], made


CHAIN: list[dict[str, Any]] = [
    {"outputs": 24, "kernel": (3, 5), "stride_rows": 2, "stride_columns": 2},
    {"outputs": 24, "kernel": (3, 3), "depthwise": 1, "activation": RELU6},
    {"outputs": 33, "kernel": (1, 1)},
    {"outputs": 33, "kernel": (5, 1), "depthwise": 1},
    {"outputs": 9, "kernel": (2, 1), "activation": RELU6},
    {"outputs": 15, "kernel": (2, 3), "dilation_rows": 2, "dilation_columns": 2},
    {"outputs": 15, "kernel": (2, 2), "depthwise": 1, "dilation_columns": 2},
    {"outputs": 22, "kernel": (1, 3), "tiny": 1},
    {"outputs": 22, "kernel": (2, 1), "depthwise": 1, "tiny": 1},
]


def in_four_bits(graph: Graph, every: int = 1) -> Graph:
    """The graph with weights of some of its convolutions on the nearest of 15 steps."""
    tensors = list(graph.tensors)
    weights = [o.inputs[1] for o in graph.operators if o.name == "CONV_2D"]
    for i in weights[::every]:
        held = tensors[i]
        assert held.data is not None
        few = np.rint(held.data * np.float32(7 / 127)).astype(np.int8)
        scales = held.scales * np.float32(127 / 7)
        tensors[i] = replace(held, dtype="int4", data=few, scales=scales)
    return replace(graph, tensors=tuple(tensors))


@pytest.fixture(scope="session")
def to_four_bits() -> Callable[..., Graph]:
    return in_four_bits


@pytest.fixture(scope="session")
def odd_shapes() -> Graph:
    """A causal model on rows of 10 x 4 whose layers are not those of a student: odd numbers of
    channels and taps, dilations, limits, factors above 1, weights of four bits in every other
    convolution. The mean of each layer is an output."""
    one = np.ones(1, np.float32) * np.float32(0.05)
    tensors = [
        Tensor((1, 100, 10, 4), "int8", None, one, np.full(1, -3), 0, "features"),
        Tensor((2,), "int32", np.array([1, 2], np.int32), one, np.zeros(1, np.int64), 0, ""),
    ]
    steps, outputs, at = [], [], 0
    for seed, layer in enumerate(CHAIN):
        made, _ = _chained(tensors[at], seed=seed, **layer)
        first = len(tensors)
        amounts, padded, weights, bias, out, mean = range(first, first + 6)
        shape = (1, layer["outputs"])
        tensors += [*made, replace(made[-1], shape=shape)]
        options = {"padding": VALID, "activation": NONE, "stride_rows": 1, "stride_columns": 1}
        options |= {"dilation_rows": 1, "dilation_columns": 1} | layer
        name = "DEPTHWISE_CONV_2D" if layer.get("depthwise") else "CONV_2D"
        steps += [
            Operator("PAD", (at, amounts), (padded,), {}),
            Operator(name, (padded, weights, bias), (out,), options),
            Operator("MEAN", (out, 1), (mean,), {}),
        ]
        outputs.append(mean)
        at = out
    return in_four_bits(Graph(tuple(tensors), tuple(steps), (0,), tuple(outputs)), every=2)


Build = Callable[..., Path]
RunOnClip = Callable[..., Path]
RunStages = Callable[..., dict[str, NDArray[np.float32]]]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """build(name of target, *files): the library with `files`, warnings being errors.

    Gives the program. Each is made once.
    """
    made: dict[tuple[str, tuple[Path, ...]], Path] = {}

    def run(name: str, *files: Path) -> Path:
        target = TARGETS[name]
        for tool in (target.compiler[0], *target.linker[:1], *target.runner[2:3]):
            if shutil.which(tool) is None:
                pytest.skip(f"{tool} is not installed; .ci/run installs it when run by root")
        if name == "AVX2" and "avx2" not in Path("/proc/cpuinfo").read_text():
            pytest.skip("hardware: this processor has no AVX2")
        if (name, files) not in made:
            folder = tmp_path_factory.mktemp("build")
            program = folder / "program"
            sources = [*SOURCES, *files, C / "ports" / target.host]
            sources += [C / "ports" / name for name in target.more]
            include = [f"-I{C / part}" for part in ("include", "src", "ports")]
            command = [*target.compiler, *STRICT, *include, *map(str, sources), *target.flags]
            if target.linker:
                subprocess.run([*command, "-c"], check=True, cwd=folder)
                command = [*target.linker, *map(str, sorted(folder.glob("*.o")))]
            subprocess.run([*command, "-o", str(program)], check=True)
            made[name, files] = program
        return made[name, files]

    return run


@pytest.fixture(scope="session")
def run_on_clip(build: Build, tmp_path_factory: pytest.TempPathFactory) -> RunOnClip:
    """run_on_clip(name of target, clip, spec, *files): a program that reads `clip` and `spec`.

    Gives its working folder; a status that is not 0 is an error.
    """

    def run(name: str, clip: NDArray[np.float32], spec: FeatureSpec, *files: Path) -> Path:
        program = build(name, *files)
        folder = tmp_path_factory.mktemp("run")
        (folder / "spec").write_bytes(spec_bytes(spec))
        (folder / "clip").write_bytes(clip.astype("<f4").tobytes())
        subprocess.run([*TARGETS[name].runner, str(program)], check=True, cwd=folder)
        return folder

    return run


@pytest.fixture(scope="session")
def run_stages(run_on_clip: RunOnClip) -> RunStages:
    """run_stages(name of target, clip, spec): power, mel and logmel, from stages.c."""

    def run(
        name: str, clip: NDArray[np.float32], spec: FeatureSpec
    ) -> dict[str, NDArray[np.float32]]:
        folder = run_on_clip(name, clip, spec, Path(__file__).with_name("stages.c"))
        rows = np.fromfile(folder / "stages", "<f4").reshape(spec.frames(len(clip)), -1)
        ends = np.cumsum([spec.fft // 2 + 1, spec.bands])
        return dict(zip(("power", "mel", "logmel"), np.split(rows, ends, axis=1), strict=True))

    return run
