"""The fuzz entries: stored inputs, random bytes, and a short search by libFuzzer."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

C = Path(__file__).resolve().parents[2] / "cmake_ext"
BATCH = sorted((C / "batch").glob("*.c"))
ENTRY = C / "fuzz" / "frontend.c"
CORPUS = sorted((C / "fuzz" / "corpus" / "frontend").iterdir())
Build = Callable[..., Path]  # conftest.py


def test_stored_inputs_break_no_invariant(build: Build) -> None:
    assert len(CORPUS) > 100
    program = build("sanitizers", ENTRY, C / "fuzz" / "main.c", *BATCH)
    subprocess.run([str(program), *map(str, CORPUS)], check=True)


def test_random_bytes_break_no_invariant(build: Build) -> None:
    program = build("sanitizers", ENTRY, C / "fuzz" / "main.c", *BATCH)
    done = subprocess.run([str(program), "1000", "1"], check=True, capture_output=True, text=True)
    assert done.stdout == "1000 runs\n"


@pytest.mark.parametrize("entry", ["model", "stream"])
def test_random_models_and_calls_break_no_invariant(entry: str, tmp_path: Path) -> None:
    """They need all of the library."""
    program = tmp_path / entry
    flags = "-std=c99 -g -O1 -Wall -Wextra -Werror -fsanitize=address,undefined".split()
    flags += ["-fno-sanitize-recover=all", f"-I{C / 'include'}", f"-I{C / 'src'}"]
    files = [C / "fuzz" / f"{entry}.c", C / "fuzz" / "main.c", *sorted((C / "src").glob("*.c"))]
    subprocess.run(["gcc", *flags, *files, "-o", program], check=True)
    done = subprocess.run([program, "100", "1"], check=True, capture_output=True, text=True)
    assert done.stdout == "100 runs\n"


def test_search_by_libfuzzer_finds_nothing(sources: list[Path], tmp_path: Path) -> None:
    """From the stored inputs on, at most 20 seconds; what it finds is printed."""
    if shutil.which("clang") is None:
        pytest.skip("clang is not installed; .ci/run installs it when run by root")
    subprocess.run(
        [
            "clang",
            "-g",
            "-O1",
            "-fsanitize=fuzzer,address,undefined",
            "-fno-sanitize-recover=all",
            "-ffp-contract=off",
            f"-I{C / 'include'}",
            f"-I{C / 'src'}",
            *map(str, [*sources, *BATCH, ENTRY]),
            "-o",
            str(tmp_path / "fuzz"),
        ],
        check=True,
    )
    (tmp_path / "new").mkdir()
    done = subprocess.run(
        [
            "./fuzz",
            "-seed=1",
            "-runs=3000",
            "-max_total_time=20",
            "-timeout=300",
            # Linux counts to a process what its parent had when it began: here a worker of pytest.
            "-rss_limit_mb=0",
            "-malloc_limit_mb=2048",
            "-max_len=2048",
            "new",
            str(CORPUS[0].parent),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done " in done.stderr
