"""The command that builds for 64-bit Arm; the build itself takes a minute and a network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Tool = Callable[[str], ModuleType]


def test_a_bit_that_differs_is_seen(tool: Tool, tmp_path: Path) -> None:
    """Both sides do the work that is asked for; here both are this machine."""
    arm_wheel = tool("arm_wheel")
    arm_wheel._write_clip(tmp_path / "clip.wav")
    command = [sys.executable, "-c", arm_wheel.USE, str(tmp_path / "clip.wav")]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    here = json.loads(run.stdout)
    assert len(here["clip"]) == 11 and len(here["stream"]) > 3
    same = arm_wheel.compared(here, here)["same"]
    assert same == {"features": True, "clip": True, "stream": True}
    other = json.loads(run.stdout)
    other["stream"][-1][0] = (float.fromhex(other["stream"][-1][0]) * (1 + 2**-50)).hex()
    assert arm_wheel.compared(here, other)["same"] == {**same, "stream": False}


def test_apt_works_in_one_folder(tool: Tool, tmp_path: Path) -> None:
    text = tool("arm_wheel").apt_configuration(tmp_path)
    places = re.findall(r'"(/[^"]*)"', text)
    assert len(places) == 4 and all(place.startswith(f"{tmp_path}/") for place in places)


def test_without_zig_there_is_one_line(
    tool: Tool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arm_wheel = tool("arm_wheel")
    monkeypatch.setattr(arm_wheel.importlib.util, "find_spec", lambda name: None)
    assert arm_wheel.main(["-o", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err == ("needs zig's compiler; install it with: pip install ziglang\n")
