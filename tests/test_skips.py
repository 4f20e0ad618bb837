"""In CI nothing is skipped in silence: conftest.py turns a skip into a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CASES = {
    "inside": 'import pytest\ndef test_a(): pytest.skip("no tool")\n',
    "marked": 'import pytest\n@pytest.mark.skipif(True, reason="no tool")\ndef test_a(): ...\n',
    "module": 'import pytest\npytest.importorskip("no_such_module")\ndef test_a(): ...\n',
}
HARDWARE = 'import pytest\ndef test_a(): pytest.skip("hardware: no GPU")\ndef test_b(): ...\n'


def status(folder: Path, text: str, no_skips: str, *options: str) -> int:
    """Exit status of pytest over one file, with the project's conftest.py."""
    shutil.copy(Path(__file__).parent / "conftest.py", folder)
    # A test that passes beside it, so that "nothing ran" is not what is seen.
    (folder / "test_one.py").write_text(text)
    (folder / "test_two.py").write_text("def test_b(): ...\n")
    command: list[str | Path] = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull]
    env = os.environ | {"EDGEEMO_NO_SKIPS": no_skips}
    command += ["--rootdir", folder, *options, folder]
    return subprocess.run(command, cwd=folder, capture_output=True, env=env).returncode


@pytest.mark.parametrize("text", CASES.values(), ids=CASES)
def test_a_skip_is_a_failure_in_ci_alone(text: str, tmp_path: Path) -> None:
    assert status(tmp_path, text, "1") == 1
    assert status(tmp_path, text, "") == 0


@pytest.mark.parametrize("text", CASES.values(), ids=CASES)
def test_a_skip_in_another_process_is_one_too(text: str, tmp_path: Path) -> None:
    assert status(tmp_path, text, "1", "--numprocesses", "2") == 1
    assert status(tmp_path, text, "", "--numprocesses", "2") == 0


def test_missing_hardware_may_be_skipped(tmp_path: Path) -> None:
    assert status(tmp_path, HARDWARE, "1") == 0
