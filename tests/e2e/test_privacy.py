"""What leaves the device, and what is left on it: the system calls of each command.

Each command runs as a stranger runs it: no CI, an empty home, nothing in the environment that tells
a package to be quiet. onnxruntime is silent where CI is set, so a test that keeps CI shows nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgeemo.artifacts import models
from edgeemo.privacy import SWITCHES
from tests.e2e.conftest import RECIPE, some_speech, toy_teacher

pytestmark = pytest.mark.slow

VIDEO = Path(__file__).parents[1] / "data" / "faces"
CI = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "JENKINS_URL", "DO_NOT_TRACK", "DISABLE_TELEMETRY")
OPENED = re.compile(r"\b(?:openat|open|creat)\((?P<how>.*)\) = \d+<(?P<path>[^>]*)>")
WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|creat\(")


@dataclass(frozen=True)
class Place:
    """A folder to work in, and what a process may touch beside it.

    Attributes:
        work: what the user asked for goes here.
        home: stays empty.
        temporary: may be used, and is as before afterwards.
    """

    work: Path
    home: Path
    temporary: Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed; .ci/run installs it")
    names = ("work", "home", "temporary")
    return Place(*(tmp_path_factory.mktemp(name) for name in names))


def traced(place: Place, *arguments: str | Path, refused: bool = False) -> None:
    """Run a command; it must succeed, speak to nobody and write only where it may."""
    log = place.work.parent / "trace.txt"
    quiet = {variable for variable, _ in SWITCHES.values()}
    known = {k: v for k, v in os.environ.items() if k not in quiet and k not in CI}
    env = known | {
        "HOME": str(place.home),
        "TMPDIR": str(place.temporary),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    strace = ["strace", "-f", "-qq", "-y", "--seccomp-bpf", "-s", "500", "-o", str(log)]
    watch = ["-e", "trace=network,open,openat,creat"]
    command = [*strace, *watch, sys.executable, "-m", "edgeemo", *map(str, arguments)]
    run = subprocess.run(command, cwd=place.work, capture_output=True, text=True, env=env)
    assert run.returncode == 0 or (refused and "is not written" in run.stderr), run.stderr
    lines = log.read_text(errors="replace").splitlines()
    assert any("O_RDONLY" in line for line in lines), "strace saw nothing"
    assert talk(lines) == []
    assert strays(lines, place) == []
    assert [*place.home.rglob("*")] == []


def talk(lines: Sequence[str]) -> list[str]:
    """Lines that reach for a network: sockets of the internet, and the look-up of a name."""
    return [line for line in lines if "AF_INET" in line or "/etc/resolv.conf" in line]


def strays(lines: Sequence[str], place: Place) -> list[str]:
    """Files that were written where nobody asked for one."""
    allowed = (str(place.work), str(place.temporary), "/dev/", "/proc/")
    written = (m for m in map(OPENED.search, lines) if m and WRITES.search(m[0]))
    return [m["path"] for m in written if not m["path"].startswith(allowed)]


def test_the_watcher_sees_what_it_is_for(place: Place) -> None:
    """A process that talks and writes is caught by both rules."""
    code = (
        "import pathlib, socket\n"
        "pathlib.Path.home().joinpath('id').write_text('x')\n"
        "socket.socket().connect_ex(('127.0.0.1', 9))\n"
    )
    log = place.work.parent / "proof.txt"
    command = ["strace", "-f", "-y", "-o", str(log), sys.executable, "-c", code]
    subprocess.run(command, check=True, env=os.environ | {"HOME": str(place.home)})
    lines = log.read_text().splitlines()
    assert talk(lines)
    assert strays(lines, place) == [str(place.home / "id")]
    (place.home / "id").unlink()


@pytest.fixture(scope="module")
def run_folder(place: Place) -> Path:
    """A toy distillation with all stages, watched: NNCF takes part."""
    some_speech(place.work / "clips", speakers=6, each=2)
    (place.work / "clips" / "broken.flac").unlink()
    table = place.work / "clips" / "labels.csv"
    rows = table.read_text().splitlines(keepends=True)
    table.write_text("".join(row for row in rows if "broken" not in row))
    recipe = RECIPE.replace("epochs = 15", "epochs = 1") + "[qat]\nepochs = 1\n"
    (place.work / "tiny.toml").write_text(recipe)
    teacher = toy_teacher(place.work / "teacher")
    traced(place, "distill", "--recipe", "tiny.toml", "--data", "clips", "--teacher", teacher)
    (found,) = (p for p in (place.work / "runs").iterdir() if (p / "run.json").is_file())
    return found


def test_distill(run_folder: Path) -> None:
    assert (run_folder / "student.pt").is_file()


def test_export_of_all_formats(place: Place, run_folder: Path) -> None:
    """A student of one epoch may fail parity in int8; all that an export runs has run by then."""
    traced(place, "export", run_folder, "-o", "out")
    traced(place, "export", run_folder, "--int8", "--format", "tflite", "-o", "out", refused=True)
    traced(place, "export", "wav2small-stream", "--format", "c", "-o", "out")
    assert {path.suffix for path in (place.work / "out").iterdir()} >= {".onnx", ""}


@pytest.mark.parametrize("backend", ["onnx", "tflite", "c"])
def test_predict(place: Place, speech: Path, backend: str) -> None:
    traced(place, "predict", speech, "--backend", backend)


def test_predict_of_faces(place: Place) -> None:
    picture = next(iter(sorted((VIDEO / "london").glob("*.jpg"))))
    traced(place, "predict", picture)


@pytest.fixture(scope="module")
def speech(place: Place) -> Path:
    path = place.work / "speech.wav"
    shutil.copy(next(iter(sorted((place.work / "clips").glob("*.flac")))), path)
    return path


def test_live(place: Place, speech: Path) -> None:
    traced(place, "live", "--wav", speech, "--fast", "--json")


def test_live_with_video(place: Place, film: Path) -> None:
    traced(place, "live", "--video", film, "--fast", "--json")


@pytest.fixture(scope="module")
def film(place: Place, speech: Path) -> Path:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed; .ci/run installs it")
    path = place.work / "film.mp4"
    picture = next(iter(sorted((VIDEO / "london").glob("*.jpg"))))
    made = ["ffmpeg", "-v", "error", "-loop", "1", "-t", "1", "-i", str(picture), "-i", str(speech)]
    subprocess.run([*made, "-vf", "scale=320:-2", "-r", "5", str(path)], check=True)
    return path


def test_evaluate(place: Place, run_folder: Path) -> None:
    traced(place, "evaluate", "clips")


def test_bench(place: Place) -> None:
    traced(place, "bench", "--model", models.resolve("wav2small-stream", "tflite"))


def test_doctor(place: Place) -> None:
    traced(place, "doctor")
