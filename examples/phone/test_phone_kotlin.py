"""The Flow of Emotions.kt, compiled and run by this machine's Java; and the module for Swift."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edgeemo-tests"
VERSION = "2.4.20"


GUIDE = """import kotlinx.coroutines.flow.*
import org.edgeemo.emotions
fun microphone(): Flow<FloatArray> = emptyFlow()
fun show(value: Float?, confidence: Float) = println("$value $confidence")
suspend fun guide() {{
    {block}
}}
"""


@pytest.fixture(scope="module")
def kotlin(needs: Callable[..., None]) -> Path:
    """The compiler, which npm fetches once; kotlinx-coroutines is part of it."""
    needs("npm", "java", "javac")
    folder = CACHE / f"kotlin-compiler-{VERSION}"
    if not (folder / "node_modules" / ".package-lock.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder]
        subprocess.run([*command, f"kotlin-compiler@{VERSION}"], check=True, cwd=folder)
    return folder / "node_modules" / "kotlin-compiler"


def test_the_flow_gives_the_bits_of_python(
    kotlin: Path,
    student: Any,
    sound: Any,
    numbered: Callable[[str], Any],
    needs: Callable[..., None],
    shown: Callable[[str], str],
    tmp_path: Path,
) -> None:
    """Also compiles the guide's block."""
    needs("make")
    jdk = Path(str(shutil.which("javac"))).resolve().parents[1]
    build = ["make", "-s", "-C", HERE, f"STUDENT={student.folder}", f"BUILD={tmp_path}"]
    subprocess.run([*build, f"JDK={jdk}"], check=True)
    compiler = ["java", "-cp", f"{kotlin}/lib/*", "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"]
    classes = f"{kotlin}/lib/kotlinx-coroutines-core-jvm.jar:{tmp_path}"
    options = ["-kotlin-home", kotlin, "-jvm-target", "1.8", "-Werror", "-cp", classes]
    (tmp_path / "Guide.kt").write_text(GUIDE.format(block=shown("kotlin")))
    sources = [HERE / "Emotions.kt", HERE / "FlowOfFile.kt", tmp_path / "Guide.kt"]
    done = subprocess.run(
        [*compiler, *options, "-d", tmp_path, *sources], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    place = f"-Djava.library.path={tmp_path}"
    classes += f":{kotlin}/lib/kotlin-stdlib.jar"
    run = ["java", place, "-cp", classes, "FlowOfFileKt", sound.path]
    done = subprocess.run(run, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert numbered(done.stdout) == student.stream(sound.samples)


def test_the_module_for_swift_is_one_that_clang_reads(
    student: Any, needs: Callable[..., None], tmp_path: Path
) -> None:
    """Swift imports C by clang's modules; its own compiler is not at hand."""
    needs("make", "clang")
    build = ["make", "-s", "-C", HERE, "swift", f"STUDENT={student.folder}", f"BUILD={tmp_path}"]
    subprocess.run(build, check=True)
    package = tmp_path / "swift"
    target = package / "Sources" / "CEdgeemo"
    program = tmp_path / "use.m"
    program.write_text(
        "@import CEdgeemo;\nint main(void) { return edgeemo_phone_stream_new() == 0; }\n"
    )
    modules = ["-fmodules", f"-fmodules-cache-path={tmp_path / 'cache'}"]
    command = ["clang", *modules, f"-I{target / 'include'}", "-fsyntax-only", "-Werror", program]
    subprocess.run(command, check=True)
    sources = sorted(target.glob("*.c"))
    assert {"edgeemo_phone.c", "edgeemo_student.c"} <= {path.name for path in sources}
    # As Swift's package manager compiles a C target: its folder, its include folder, no flags.
    subprocess.run(["clang", "-c", f"-I{target / 'include'}", *sources], check=True, cwd=tmp_path)
    for name in ("Package.swift", "Sources/Edgeemo/VoiceStream.swift"):
        text = (package / name).read_text().replace("//", "")
        assert "No Swift compiler has seen it" in " ".join(text.split())
    used = [w for w in text.replace("(", " ").split() if w.startswith("edgeemo_phone_")]
    header = (target / "include" / "edgeemo_phone.h").read_text()
    assert used and all(f"{name}(" in header for name in used)
