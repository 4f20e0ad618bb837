"""How large is each package of edgeemo, beside those of others for sound on a device?

    python benchmarks/sizes.py

builds ours, fetches the others' archives from npm and PyPI by their own clients, and weighs all as
a registry gives them out: compressed. Writes benchmarks/results/sizes.json. What is inside differs:
`holds` says whether a model is among it. Needs clang, lld, npm, a JDK and arm-none-eabi-gcc.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _usage import no_arguments

from edgeemo.artifacts.models import DEFAULT, resolve
from edgeemo.export.c_writer import write_folder

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "sizes.json"

PEERS_NPM = {
    "@ricky0123/vad-web@0.0.31": "a model that tells speech from silence; needs onnxruntime-web",
    "onnxruntime-web@1.30.0": "a runtime in several builds, of which a page takes one; no model",
    "sherpa-onnx@1.13.8": "speech recognition and more; no model",
    "@mediapipe/tasks-audio@1.0.1": "sound classification; no model",
}
PEERS_PYPI = {
    "sherpa-onnx==2.0.1": "speech recognition and more; no model",
    "mediapipe==1.2.3": "tasks of pictures, text and sound; few models",
}


def run(command: Sequence[str | Path], folder: Path) -> str:
    """The output of a program that must succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def row(name: str, registry: str, size: int, holds: str) -> dict[str, Any]:
    """A line of the table."""
    return {"package": name, "for": registry, "bytes": size, "holds": holds}


def ours(work: Path) -> list[dict[str, Any]]:
    """What this checkout builds.

    Args:
        work: an empty folder.
    """
    model = "network, front end, gate and confidence"
    web = work / "edgeemo-web"
    run([sys.executable, ROOT / "cmake_ext" / "bindings" / "web" / "build.py", web], ROOT)
    archive = web / run(["npm", "pack", "--silent"], web).strip()
    folder = write_folder(resolve(DEFAULT, "c"), work / "c")
    packed = shutil.make_archive(str(work / "c-folder"), "zip", folder.path)
    jdk = Path(str(shutil.which("javac"))).resolve().parents[1]
    options = [f"STUDENT={folder.path}", f"BUILD={work / 'aar'}", f"JDK={jdk}"]
    run(["make", "-s", "aar", *options], ROOT / "examples" / "phone")
    (aar,) = (work / "aar").glob("*.aar")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    run([*pip, "-w", work / "wheel", ROOT], work)
    (wheel,) = (work / "wheel").glob("*.whl")
    return [
        row("edgeemo-web", "npm", archive.stat().st_size, f"{model}, twice: with vectors, without"),
        row("edgeemo-voice (AAR)", "Android", aar.stat().st_size, f"{model}, for 3 processors"),
        row("C folder (ZIP)", "firmware", Path(packed).stat().st_size, f"{model}, as sources"),
        row("edgeemo", "PyPI", wheel.stat().st_size, "all of edgeemo with its shipped models"),
    ]


def peers(work: Path) -> list[dict[str, Any]]:
    """What others give out.

    Args:
        work: an empty folder.
    """
    rows = []
    for name, holds in PEERS_NPM.items():
        archive = work / run(["npm", "pack", "--silent", name], work).strip().splitlines()[-1]
        rows.append(row(name.rpartition("@")[0], "npm", archive.stat().st_size, holds))
    for name, holds in PEERS_PYPI.items():
        place = work / re.sub(r"\W", "_", name)
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", place]
        platform = ["--only-binary", ":all:", "--python-version", "3.11"]
        run([*pip, *platform, name], work)
        (wheel,) = place.iterdir()
        rows.append(row(name.partition("==")[0], "PyPI", wheel.stat().st_size, holds))
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """As the guide has it."""
    lines = ["| package | for | KB | holds |", "| --- | --- | --- | --- |"]
    for line in rows:
        size = f"{line['bytes'] / 1000:,.0f}"
        lines.append(f"| {line['package']} | {line['for']} | {size} | {line['holds']} |")
    return "\n".join(lines)


def main() -> None:
    no_arguments(__doc__)
    with tempfile.TemporaryDirectory() as mine, tempfile.TemporaryDirectory() as theirs:
        rows = [*ours(Path(mine)), *peers(Path(theirs))]
    versions = {**PEERS_NPM, **PEERS_PYPI}
    told = {"command": "python benchmarks/sizes.py", "peers": [*versions], "packages": rows}
    RESULT.write_text(json.dumps(told, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
