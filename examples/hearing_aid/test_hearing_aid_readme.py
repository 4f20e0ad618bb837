"""The README's commands do what it says, one after the other."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def has_clip(elf: Path) -> bool:
    done = subprocess.run(["arm-none-eabi-nm", elf], capture_output=True, text=True, check=True)
    return "edgeemo_golden_clip" in done.stdout


@pytest.mark.slow
def test_every_command_of_the_readme_runs(
    clip: Any, needs: Callable[..., None], follow: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    needs("make", "arm-none-eabi-gcc", "qemu-system-arm")
    folder = tmp_path / "elsewhere"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("build", "*.pyc"))
    shutil.copy(clip.path, folder / "SPEECH.wav")
    printed = follow(folder, {})
    said = [text.split("\n") for line, text in printed.items() if line.endswith("run")]
    assert len(said) == 2
    for lines in said:
        assert lines[-2].startswith("memory ") and any("confidence" in line for line in lines)
    # The last command left the clip out.
    assert has_clip(folder / "build" / "cortex-m55.elf")
    assert not has_clip(folder / "build" / "cortex-m4.elf")
