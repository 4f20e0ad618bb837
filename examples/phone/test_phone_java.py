"""Voice.java over JNI, compiled and run by this machine's JDK."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def build(
    student: Any, needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    needs("make", "java", "javac")
    build = tmp_path_factory.mktemp("java")
    jdk = Path(str(shutil.which("javac"))).resolve().parents[1]
    command = ["make", "-s", "-C", HERE, f"STUDENT={student.folder}", f"BUILD={build}"]
    done = subprocess.run([*command, f"JDK={jdk}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return build


def listen(build: Path, file: Path) -> subprocess.CompletedProcess[str]:
    """Run the program; the machine checks each call from C and prints what is wrong with it."""
    command = ["java", "-Xcheck:jni", f"-Djava.library.path={build}", "-cp", build, "Listen", file]
    return subprocess.run(command, capture_output=True, text=True)


def test_java_gives_the_bits_of_python(
    build: Path, student: Any, clip: Any, tmp_path: Path
) -> None:
    samples = clip.samples.astype("<f4") / 32768
    (tmp_path / "clip.f32").write_bytes(samples.tobytes())
    done = listen(build, tmp_path / "clip.f32")
    assert done.returncode == 0, done.stderr
    # A warning of -Xcheck:jni stands among the lines and would not be a name and a number.
    found = dict(line.split() for line in done.stdout.splitlines())
    want = student.estimate(clip.samples)
    assert {name: np.float32(text) for name, text in found.items()} == want


@pytest.mark.parametrize(
    ("samples", "message"), [(np.zeros(100), "too few frames"), ([np.nan], "not finite")]
)
def test_what_is_wrong_is_an_exception(
    build: Path, tmp_path: Path, samples: Any, message: str
) -> None:
    (tmp_path / "clip.f32").write_bytes(np.asarray(samples, "<f4").tobytes())
    done = listen(build, tmp_path / "clip.f32")
    assert done.returncode == 1 and "IllegalStateException" in done.stderr
    assert message in done.stderr


GUIDE = """import org.edgeemo.*;
final class Guide {{
    static void show(Float value) {{}}
    static void listen(float[] samples) {{
        {block}
    }}
}}
"""


def test_the_block_of_the_guide_compiles(
    build: Path, shown: Callable[[str], str], tmp_path: Path
) -> None:
    source = tmp_path / "Guide.java"
    source.write_text(GUIDE.format(block=shown("java")))
    command = ["javac", "-Xlint:all", "-Werror", "-cp", build, "-d", tmp_path, source]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
