"""The front end in integers: golden vectors, errors, and C folders on cores without an FPU."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeemo import _native, load
from edgeemo.artifacts.models import DEFAULT, ZOO
from edgeemo.artifacts.teachers_package import need
from edgeemo.audio import read_audio
from edgeemo.errors import BadInput
from edgeemo.export.c_writer import Folder, write_folder
from edgeemo.features import LOGMEL40, WHISPER80, FeatureSpec, fixed_log_mel, log_mel
from edgeemo.speech.chain import EngineChain, Plan
from edgeemo.types import Emotion

ROOT = Path(__file__).resolve().parents[2]
BUDGET = tomllib.loads((ROOT / "cmake_ext" / "budget_fixed.toml").read_text())
sys.path.append(str(ROOT / "benchmarks"))
import fixed as benchmark

HTK = FeatureSpec(fft=256, window=256, mel_scale="htk", log="db", floor=1e-9)
ODD = FeatureSpec(fft=128, window=101, hop=203, bands=16)
SPECS = {
    "logmel40": LOGMEL40,
    "whisper80": WHISPER80,
    "htk": HTK,
    "odd": ODD,
    "long": FeatureSpec(fft=1024, window=1024),
    "short": FeatureSpec(fft=64, window=64, hop=32, bands=20),
}
# CRC-32 of the frames of the clip: the same bits on every machine, and in every version.
GOLDEN = {
    "logmel40": 0x6BD0617D,
    "whisper80": 0x0348E392,
    "htk": 0x8764A4C4,
    "odd": 0x6F41A895,
    "long": 0x9D3A5EBD,
    "short": 0x90C04ECC,
}


def require(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed; .ci/run installs it when run by root")


@pytest.fixture(scope="module")
def clip() -> NDArray[np.int16]:
    samples = read_audio(need("speech/emodb_full/03a01Fa.flac")) * 32768
    return np.rint(samples).clip(-32768, 32767).astype(np.int16)


# ---- features ----


@pytest.mark.parametrize("name", SPECS)
def test_the_bits_are_those_of_the_golden_vectors(name: str, clip: NDArray[np.int16]) -> None:
    frames = fixed_log_mel(clip, SPECS[name])
    assert zlib.crc32(frames.astype("<f4").tobytes()) == GOLDEN[name]


@pytest.mark.parametrize("gain", [1, 0.1, 0.01])
@pytest.mark.parametrize("name", SPECS)
def test_they_are_close_to_the_floats(name: str, gain: float, clip: NDArray[np.int16]) -> None:
    """What is as small as the rounding of the samples is left out: it is noise in both."""
    spec = SPECS[name]
    quiet = np.rint(clip * gain).astype(np.int16)
    want, found = log_mel(quiet, spec), fixed_log_mel(quiet, spec)
    scale = 10 / np.log(10) if spec.log == "db" else 1
    heard = want > scale * np.log(1e-6)
    error = np.abs(found - want)[heard] / scale
    assert error.mean() < 5e-4 and error.max() < 0.02, (error.mean(), error.max())


@pytest.mark.parametrize("name", SPECS)
def test_nothing_overflows(name: str) -> None:
    """Sound of full scale whose energy lies in one place."""
    spec, n = SPECS[name], np.arange(8000)
    loud = [np.where(n // width % 2, 32767, -32768) for width in (1, 2, 3, 8, 50, 9000)]
    loud.append(np.where(np.sin(n * 0.3) > 0, 32767, -32768))
    for samples in (some.astype(np.int16) for some in loud):
        want, found = log_mel(samples, spec), fixed_log_mel(samples, spec)
        strong = (want > want.max() - 10) & (want > np.log(1e-6))
        assert np.abs(found - want)[strong].max(initial=0) < 0.02
        assert found.max() < max(want.max(), np.log(1e-6)) + 0.02


def test_blocks_and_kinds_of_samples_change_nothing(clip: NDArray[np.int16]) -> None:
    for spec in (LOGMEL40, ODD):
        want = fixed_log_mel(clip, spec)
        floats = clip * np.float32(1 / 32768)
        assert np.array_equal(fixed_log_mel(floats, spec), want)
        stream, found = _native.Frontend(spec, True), []
        for at in range(0, len(clip), 377):
            block = (clip if at % 2 else floats)[at : at + 377]
            out = np.empty((stream.frames(len(block)), spec.bands), np.float32)
            assert stream.push(block, out) == len(out)
            found.append(out)
        assert np.array_equal(np.concatenate(found), want)


def test_samples_beyond_full_scale_are_cut() -> None:
    wide = np.array([2, -2, 1, -1, 0.5, np.float32(1e6)] * 100, np.float32)
    cut = np.array([32767, -32768, 32767, -32768, 16384, 32767] * 100, np.int16)
    assert np.array_equal(fixed_log_mel(wide), fixed_log_mel(cut))
    with pytest.raises(BadInput, match="sample 1 is nan"):
        fixed_log_mel(np.array([0, np.nan], np.float32))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"spectrum": "magnitude"}, "spectrum"),
        ({"floor_mode": "add"}, "floor_mode"),
        ({"prenorm": "utterance"}, "prenorm"),
    ],
)
def test_what_integers_do_not_compute_is_refused(change: dict[str, str], field: str) -> None:
    with pytest.raises(BadInput, match=f"{field} is .*leave it in floats"):
        fixed_log_mel(np.zeros(400, np.int16), replace(LOGMEL40, **change))
    if field != "prenorm":
        with pytest.raises(ValueError, match="takes powers"):
            _native.Frontend(replace(LOGMEL40, **change), True)
    out = np.empty((1, 40), np.float32)
    assert _native.Frontend(LOGMEL40, True).whole(np.zeros(400, np.float32), out) < 0


# ---- the stream ----


def test_the_stream_says_what_that_in_floats_says() -> None:
    """Gate and estimates, over speech and silence."""
    session = load(DEFAULT, "c")
    sound = read_audio(next(iter(sorted(need("speech/librispeech").glob("*.ogg")))))[:160_000]
    sound[64_000:96_000] = np.random.default_rng(3).normal(0, 1e-3, 32_000)
    told: list[list[Emotion]] = []
    for fixed in (False, True):
        plan = Plan(48_000, 4_000, "energy", None, 0.0, None)
        chain = EngineChain(session, plan, session.backend.blob, fixed)  # type: ignore[attr-defined]
        told.append([])
        for at in range(0, len(sound), 4_000):
            chain.push(sound[at : at + 4_000], lost=False)
            if at >= 12_000:
                told[-1].append(chain.estimate(last=False))
    spoken = [[item.speech for item in items] for items in told]
    assert spoken[0] == spoken[1] and {*spoken[0]} == {True, False}
    for a, b in zip(*told, strict=True):
        if a.arousal is not None and b.arousal is not None:
            assert abs(a.arousal - b.arousal) < 0.02 and abs(a.confidence - b.confidence) < 0.05


# ---- C folders ----


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    require("gcc")
    artifact = Path(os.environ.get("EDGEEMO_STUDENT", ZOO / f"{DEFAULT}.tflite"))
    return write_folder(artifact, tmp_path_factory.mktemp("fixed") / "c", "fixed")


@pytest.mark.parametrize("board", ["Cortex-M0+", "Cortex-M3", "rv32imc"])
def test_a_folder_passes_and_costs_what_its_budget_allows(
    board: str, folder: Folder, tmp_path: Path
) -> None:
    """The self-test of the folder is part of each: features and estimate of x86, to the bit."""
    if board == "rv32imc":
        require("riscv64-unknown-elf-gcc", "qemu-system-riscv32")
        second = benchmark.on_riscv(folder.path, tmp_path)
    else:
        require("make", "arm-none-eabi-gcc", "qemu-system-arm")
        copy = Path(shutil.copytree(folder.path, tmp_path / "copy"))
        counted = board == "Cortex-M0+"  # by the export
        second = folder.costs["second"] if counted else benchmark.on_cortex(copy, "cortex-m3")
    assert second <= 1.02 * BUDGET["instructions"][board], second


def test_the_memory_that_it_names_is_enough_and_no_more(folder: Folder) -> None:
    if not folder.costs:
        pytest.skip("arm-none-eabi-gcc or qemu-system-arm is not installed")
    assert folder.costs["memory"] == folder.memory
    readme = (folder.path / "README.md").read_text()
    assert "Measured on a Cortex-M0+" in readme and "make cortex-m0plus" in readme


def test_no_double_and_no_front_end_in_floats_is_linked(folder: Folder, tmp_path: Path) -> None:
    require("make", "arm-none-eabi-gcc", "arm-none-eabi-nm")
    copy = Path(shutil.copytree(folder.path, tmp_path / "copy"))
    subprocess.run(["make", "-s", "build/cortex-m0plus.elf"], check=True, cwd=copy)
    command = ["arm-none-eabi-nm", copy / "build" / "cortex-m0plus.elf"]
    listing = subprocess.run(command, check=True, capture_output=True, text=True)
    names = {line.split()[-1] for line in listing.stdout.splitlines()}
    assert "edgeemo_fixed_gate_add" in names
    assert not {n for n in names if n.startswith("__aeabi_d") and n not in DIVISIONS}
    assert not {"edgeemo_fft", "edgeemo_mel", "edgeemo_log", "edgeemo_begin"} & names


DIVISIONS = {"__aeabi_div0"}  # what a division by nothing calls


def test_other_compilers_give_its_bits(folder: Folder, tmp_path: Path) -> None:
    require("clang", "aarch64-linux-gnu-gcc", "qemu-aarch64")
    sources = [*folder.path.glob("*.c"), *(folder.path / "src").glob("*.c")]
    sources += [folder.path / "ports" / name for name in ("terminal.c", "terminal_stdio.c")]
    places = [f"-I{folder.path / place}" for place in ("src", "ports")]
    for compiler, runner in (
        (["clang", "-O3"], []),
        (["aarch64-linux-gnu-gcc", "-static", "-O2"], ["qemu-aarch64"]),
    ):
        subprocess.run([*compiler, *places, *sources, "-o", tmp_path / "program"], check=True)
        done = subprocess.run([*runner, tmp_path / "program"], capture_output=True, text=True)
        assert done.returncode == 0 and "self-test: ok" in done.stdout


def test_sanitizers_find_nothing(folder: Folder, tmp_path: Path) -> None:
    copy = shutil.copytree(folder.path, tmp_path / "copy")
    flags = "CFLAGS=-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all"
    done = subprocess.run(["make", "-s", "-C", copy, flags], capture_output=True, text=True)
    assert done.returncode == 0 and "self-test: ok" in done.stdout, done.stderr
