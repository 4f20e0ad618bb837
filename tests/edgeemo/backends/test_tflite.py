"""The backend tflite on tflite-runtime, LiteRT's older form, which works with numpy 1 alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgeemo
from edgeemo import _native
from edgeemo.artifacts.teachers_package import need
from edgeemo.audio import read_audio

NEEDS = ("tflite-runtime==2.14.0", "numpy==1.26.4")
USE = """
import json, sys, numpy, edgeemo
samples = numpy.load(sys.argv[1])
session = edgeemo.load("wav2small-stream", "tflite")
found = session.predict(samples)
print(json.dumps({
    "numpy": numpy.__version__,
    "runtime": [name for name in sys.modules if name.endswith(".interpreter")],
    "adv": [found.arousal, found.dominance, found.valence],
}))
"""


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """The Python of an environment with the older runtime, numpy 1 and this edgeemo."""
    if sys.version_info[:2] != (3, 11):
        pytest.skip("tflite-runtime has no wheel for Python 3.12 and later")
    folder = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            python,
            "--disable-pip-version-check",
            "install",
            "--quiet",
            "--only-binary",
            ":all:",
            *NEEDS,
        ],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"no wheels of {' and '.join(NEEDS)}: {done.stderr.strip().splitlines()[-1]}")
    (site,) = (folder / "lib").glob("python3*/site-packages")
    (site / "edgeemo").mkdir()
    native = Path(_native.__file__)
    for path in (*Path(edgeemo.__file__).parent.iterdir(), native):
        link = site / "edgeemo" / path.name
        if not link.exists():
            link.symlink_to(path)
    return python


@pytest.mark.slow
def test_it_predicts_what_the_newer_runtime_does(older: Path, tmp_path: Path) -> None:
    clip = sorted(need("speech").rglob("*.flac"))[0]
    samples = read_audio(clip)[:32000]
    np.save(tmp_path / "clip.npy", samples)
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [older, "-c", USE, tmp_path / "clip.npy"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["numpy"] == "1.26.4" and told["runtime"] == ["tflite_runtime.interpreter"]
    want = edgeemo.load("wav2small-stream", "tflite").predict(samples)
    # Each runtime has kernels of its own, up to two int8 steps apart.
    assert told["adv"] == pytest.approx([want.arousal, want.dominance, want.valence], abs=0.03)
