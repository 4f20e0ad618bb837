"""Front end and network in one (edgeemo_speech.h), under sanitizers: the bits of Python's parts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from edgeemo import _native
from edgeemo.artifacts.engine_blob import compile_graph
from edgeemo.artifacts.teachers_package import need
from edgeemo.artifacts.tflite_graph import read_graph
from edgeemo.audio import read_audio
from edgeemo.features import log_mel

ROOT = Path(__file__).resolve().parents[2]
C = ROOT / "cmake_ext"
FILE = ROOT / "tests" / "golden" / "stream-int8.tflite"
CLIP = need("speech/emodb_full/03a01Fa.flac")


def test_blocks_resets_and_faults(tmp_path: Path) -> None:
    samples = np.rint(read_audio(CLIP)[:16_000] * 32768).clip(-32768, 32767).astype("<i2")
    blob = compile_graph(read_graph(FILE.read_bytes())).data
    (tmp_path / "clip").write_bytes(samples.tobytes())
    (tmp_path / "blob").write_bytes(blob)
    program = tmp_path / "program"
    subprocess.run(
        [
            "gcc",
            "-std=c99",
            "-g",
            "-O1",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-ffp-contract=off",
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover=all",
            *(f"-I{C / folder}" for folder in ("include", "src", "ports")),
            Path(__file__).with_name("speech.c"),
            *(C / "src").glob("*.c"),
            C / "ports" / "host_stdio.c",
            "-o",
            program,
        ],
        check=True,
    )
    done = subprocess.run([program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, f"line {done.returncode - 1} of speech.c\n{done.stderr}"
    model, want = _native.Model(blob, 64), np.zeros(11, np.float32)
    model.push(log_mel(samples))
    assert model.outputs(want) == 11
    assert (np.fromfile(tmp_path / "estimate", "<f4") == want).all()
