"""The C library by itself: strict compilers, small builds, hostile input."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

C = Path(__file__).resolve().parents[2] / "cmake_ext"
SOURCES = sorted((C / "src").glob("*.c"))
BATCH = sorted((C / "batch").glob("*.c"))
Build = Callable[..., Path]  # conftest.py

STRICT = [
    "-std=c99",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wpedantic",
    "-Werror",
    "-Wdouble-promotion",
]


@pytest.mark.parametrize("source", [*SOURCES, *BATCH], ids=lambda path: path.name)
@pytest.mark.parametrize("level", ["-O0", "-O2", "-Os"])
def test_firmware_flags_give_no_warning(source: Path, level: str, tmp_path: Path) -> None:
    include = [f"-I{C / 'include'}", f"-I{C / 'src'}"]
    command = ["gcc", *STRICT, level, *include, "-c", str(source)]
    subprocess.run([*command, "-o", str(tmp_path / "x.o")], check=True)


def test_sources_are_there() -> None:
    """Or the test above would pass with nothing compiled."""
    assert {"edgeemo_frontend.c", "edgeemo_fft.c"} <= {path.name for path in SOURCES}


def test_header_stands_alone_and_is_cpp_too(tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    for compiler, language in (("gcc", "c"), ("g++", "c++")):
        subprocess.run(
            [
                compiler,
                "-x",
                language,
                "-Wall",
                "-Wextra",
                "-Werror",
                "-fsyntax-only",
                str(C / "include" / "edgeemo.h"),
            ],
            check=True,
        )


def test_needs_nothing_from_outside(tmp_path: Path) -> None:
    """No libm, no allocation, no printing: memory functions are all that is called."""
    for source in SOURCES:
        subprocess.run(
            [
                "gcc",
                "-std=c99",
                "-O2",
                "-ffp-contract=off",
                "-fno-stack-protector",
                f"-I{C / 'include'}",
                "-c",
                str(source),
                "-o",
                str(tmp_path / f"{source.stem}.o"),
            ],
            check=True,
        )
    objects = [str(path) for path in sorted(tmp_path.glob("*.o"))]
    whole = tmp_path / "whole.o"
    subprocess.run(["ld", "-r", *objects, "-o", str(whole)], check=True)
    listing = subprocess.run(["nm", "-u", str(whole)], check=True, capture_output=True, text=True)
    assert set(re.findall(r"U (\w+)", listing.stdout)) <= {"memcpy", "memmove", "memset"}


def test_every_public_function_is_in_the_header_and_has_the_prefix(tmp_path: Path) -> None:
    header = (C / "include" / "edgeemo.h").read_text()
    declared = set(re.findall(r"\b(edgeemo_\w+)\(", re.sub(r"/\*.*?\*/", "", header, flags=re.S)))
    defined = set()
    for source in SOURCES:
        out = tmp_path / "x.o"
        subprocess.run(["gcc", f"-I{C / 'include'}", "-c", str(source), "-o", str(out)], check=True)
        listing = subprocess.run(
            ["nm", "-g", "--defined-only", str(out)], check=True, capture_output=True, text=True
        ).stdout
        defined |= set(re.findall(r" [A-Z] (\w+)", listing))
    assert declared <= defined
    assert all(name.startswith("edgeemo_") for name in defined)


def test_example_of_the_readme_runs(build: Build, tmp_path: Path) -> None:
    text = (C / "README.md").read_text()
    code, said = re.findall(r"```c\n(.*?)```\n+prints `(.*?)`", text, flags=re.S)[0]
    (tmp_path / "example.c").write_text(code)
    program = build("sanitizers", tmp_path / "example.c")
    done = subprocess.run([str(program)], check=True, capture_output=True, text=True)
    assert done.stdout == said + "\n"
