"""Build the wheel for Linux on 64-bit Arm on another machine, and try it under an emulator.

    pip install ziglang
    python tools/arm_wheel.py [--check] [-o dist]

The compiler is zig's, which brings the headers of glibc 2.17 and its symbols. `--check` fetches
Debian's Python and numpy for arm64 with apt-get, into build/arm64 alone, runs the wheel with them
under qemu-aarch64, and compares features and estimates of a clip with this machine's, bit for bit.
Not checked: a device, and another Python or numpy than Debian's.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import wave
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeemo.artifacts.teachers_package import need
from edgeemo.audio import read_audio

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "arm64"
GLIBC = "2.17"
PLATFORM = f"manylinux_{GLIBC.replace('.', '_')}-aarch64"
"""What scikit-build-core makes the wheel's tag of."""

PACKAGES = ("python3.11-minimal", "libpython3.11-stdlib", "python3-numpy")

# What both machines do. The numbers are written as C does, so that no bit is lost.
USE = """
import hashlib, json, platform, sys
import edgeemo
clip = edgeemo.read_audio(sys.argv[1])
session = edgeemo.load("wav2small-stream", "c")
def numbers(e):
    values = (e.arousal, e.dominance, e.valence, *e.classes.values())
    return [None if v is None else float(v).hex() for v in values]
with session.stream() as stream:
    found = [*stream.push(clip), *stream.flush()]
print(json.dumps({
    "machine": platform.machine(),
    "features": hashlib.sha256(edgeemo.log_mel(clip).tobytes()).hexdigest(),
    "clip": numbers(session.predict(clip)),
    "stream": [numbers(e) for e in found],
}))
"""


class Missing(Exception):
    """A program or package that the work needs; the text says how to get it."""


def build(out: Path) -> Path:
    """Build the wheel.

    Args:
        out: folder for it.

    Returns:
        Its path.

    Raises:
        Missing: ziglang is not installed.
    """
    if importlib.util.find_spec("ziglang") is None:
        raise Missing("needs zig's compiler; install it with: pip install ziglang")
    BUILD.mkdir(parents=True, exist_ok=True)
    compiler = BUILD / "cc"
    target = f"aarch64-linux-gnu.{GLIBC}"
    compiler.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ziglang cc -target {target} "$@"\n')
    compiler.chmod(0o755)
    toolchain = BUILD / "toolchain.cmake"
    toolchain.write_text(
        "set(CMAKE_SYSTEM_NAME Linux)\nset(CMAKE_SYSTEM_PROCESSOR aarch64)\n"
        f'set(CMAKE_C_COMPILER "{compiler}")\n'
    )
    environment = {
        "CMAKE_TOOLCHAIN_FILE": str(toolchain),
        "_PYTHON_HOST_PLATFORM": PLATFORM,  # the one way to name another platform to Python
        "ZIG_GLOBAL_CACHE_DIR": str(BUILD / "zig"),
        "ZIG_LOCAL_CACHE_DIR": str(BUILD / "zig"),
    }
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
        command += ["--no-deps", "--no-build-isolation", "--wheel-dir", folder, str(ROOT)]
        subprocess.run(command, check=True, env=os.environ | environment)
        (made,) = Path(folder).iterdir()
        out.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(made, out / made.name))


def arm_python() -> Path:
    """Debian's Python and numpy for arm64, unpacked in a folder; nothing of the system changes.

    Returns:
        The folder, with usr/ in it.

    Raises:
        Missing: apt-get, dpkg or qemu-aarch64 are not installed.
    """
    for program in ("apt-get", "dpkg", "qemu-aarch64"):
        if shutil.which(program) is None:
            raise Missing(f"--check needs {program}, on Debian or its kin (package qemu-user)")
    root, apt = BUILD / "root", BUILD / "apt"
    if (root / "usr/bin/python3.11").exists():
        return root
    for part in ("lists/partial", "cache/archives/partial", "state"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    (apt / "state/status").touch()
    (apt / "apt.conf").write_text(apt_configuration(apt))
    environment = os.environ | {"APT_CONFIG": str(apt / "apt.conf")}
    subprocess.run(["apt-get", "-qq", "update"], check=True, env=environment)
    fetch = ["apt-get", "-qq", "-y", "--download-only", "install", *PACKAGES]
    subprocess.run(fetch, check=True, env=environment)
    for package in sorted((apt / "cache/archives").glob("*.deb")):
        subprocess.run(["dpkg", "-x", package, root], check=True)
    return root


def apt_configuration(folder: Path) -> str:
    """What makes apt-get work for arm64 inside a folder, without a look at what is installed."""
    return (
        'APT::Architecture "arm64";\nAPT::Architectures { "arm64"; };\n'
        f'Dir::State "{folder}/state";\nDir::State::lists "{folder}/lists";\n'
        f'Dir::State::status "{folder}/state/status";\nDir::Cache "{folder}/cache";\n'
        'APT::Install-Recommends "false";\nAPT::Sandbox::User "root";\n'
    )


def check(wheel: Path) -> dict[str, Any]:
    """Run the wheel under the emulator, and the same work here.

    Returns:
        What `compared` gives.

    Raises:
        Missing: as `arm_python`.
    """
    root = arm_python()
    with tempfile.TemporaryDirectory() as folder:
        site, clip = Path(folder) / "site", Path(folder) / "clip.wav"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
        _write_clip(clip)
        libraries = root / "usr/lib/aarch64-linux-gnu"
        paths = ":".join(f"{libraries}{part}" for part in ("", "/blas", "/lapack"))
        emulator = ["qemu-aarch64", "-L", str(root), "-E", f"LD_LIBRARY_PATH={paths}"]
        packages = f"{site}:{root}/usr/lib/python3/dist-packages"
        here = _use([sys.executable], clip, {})
        there = _use(
            [*emulator, f"{root}/usr/bin/python3.11"],
            clip,
            {"PYTHONPATH": packages, "PYTHONNOUSERSITE": "1"},
        )
    return compared(here, there)


def _use(python: Sequence[str], clip: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    run = subprocess.run(
        [*python, "-c", USE, clip.name],
        check=True,
        stdout=subprocess.PIPE,
        cwd=clip.parent,  # where no source of edgeemo lies
        env=os.environ | environment,
    )
    return dict(json.loads(run.stdout))


def _write_clip(path: Path) -> None:
    """Shipped speech as WAV, which needs no package to be read."""
    samples = read_audio(need("speech/emodb_full/03a01Wa.flac"))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())


def compared(here: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """Which parts of the work gave the same bits.

    Args:
        here: what USE printed on this machine.
        there: what it printed under the emulator.
    """
    parts = ("features", "clip", "stream")
    return {
        "machines": [here["machine"], there["machine"]],
        "estimates": len(there["stream"]),
        "same": {part: here[part] == there[part] for part in parts},
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Build, and check where that is asked for; 1 if a bit differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "dist", help="folder of the wheel")
    parser.add_argument("--check", action="store_true", help="run it under qemu-aarch64 (Debian)")
    args = parser.parse_args(argv)
    try:
        wheel = build(args.out)
        print(f"{wheel}: {wheel.stat().st_size} bytes")
        if not args.check:
            return 0
        result = check(wheel)
    except (Missing, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(result))
    return int(not all(result["same"].values()))


if __name__ == "__main__":
    sys.exit(main())
