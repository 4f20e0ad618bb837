"""A program that PyInstaller packs finds models and lazy modules, by the hook in the wheel."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

import edgeemo
from edgeemo import _native

pytestmark = pytest.mark.slow

PROGRAM = """
import numpy as np
import edgeemo

session = edgeemo.load("wav2small-stream")
with session.stream() as stream:
    found = stream.push(np.sin(np.arange(32000, dtype=np.float32)))
print(session.backend.name, len(found), session.predict(np.zeros(16000, np.float32)).speech)
"""

# What the environment of the tests has beside numpy; a user's own has only what the program needs.
OTHERS = (
    "torch",
    "scipy",
    "pandas",
    "pyarrow",
    "PIL",
    "cv2",
    "onnxruntime",
    "google",
    "soundfile",
    "soxr",
    "sklearn",
    "matplotlib",
    "librosa",
    "numba",
    "IPython",
    "pytest",
    "cryptography",
)


def test_a_packed_program_runs(tmp_path: Path) -> None:
    pytest.importorskip("PyInstaller")
    home = tmp_path / "env"
    venv.create(home)
    (site,) = home.glob("lib/python*/site-packages")
    ignored = shutil.ignore_patterns("compress", "export", "cmake_ext", "__pycache__")
    shutil.copytree(Path(edgeemo.__file__).parent, site / "edgeemo", ignore=ignored)
    shutil.copy(_native.__file__, site / "edgeemo")
    info = importlib.metadata.distribution("edgeemo")._path  # type: ignore[attr-defined]
    shutil.copytree(info, site / info.name)
    (site / "others.pth").write_text(str(Path(np.__file__).parents[1]))
    (tmp_path / "app.py").write_text(PROGRAM)
    command = [home / "bin" / "python", "-m", "PyInstaller", "--log-level", "ERROR", "app.py"]
    for name in OTHERS:
        command += ["--exclude-module", name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    program = tmp_path / "dist" / "app" / "app"
    run = subprocess.run([program], cwd="/", env={}, capture_output=True, text=True)
    assert run.stdout == "c 5 False\n", run.stderr
    assert not list(program.parent.rglob("*torch*"))
    assert sys.prefix not in run.stdout
