"""The command-line shell: exit statuses, one line an error, lazy commands."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgeemo import cli
from edgeemo.errors import BadInput


def edgeemo(*arguments: str | Path, **more: object) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    command = [sys.executable, "-m", "edgeemo", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **more)  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def failing_doctor(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """A list; the error put into it is what `edgeemo doctor` raises."""
    errors: list[BaseException] = []
    module = importlib.import_module("edgeemo.cli.doctor")

    def run(args: argparse.Namespace) -> int:
        raise errors[0]

    monkeypatch.setattr(module, "run", run)
    return errors


def test_an_expected_error_is_one_line_and_2(
    failing_doctor: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing_doctor.append(BadInput("rate is 0 Hz; expected 1000 Hz or more"))
    assert cli.main(["doctor"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "edgeemo: rate is 0 Hz; expected 1000 Hz or more\n")


def test_a_script_refuses_as_a_command_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise BadInput("no")

    assert cli.exit_status(lambda: None) == cli.exit_status(lambda: 0) == 0
    assert cli.exit_status(lambda: 1) == 1
    assert cli.exit_status(fails) == cli.exit_status(lambda: (tmp_path / "a").unlink()) == 2
    told = f"no\n{tmp_path / 'a'}: No such file or directory\n"
    assert capsys.readouterr() == ("", told)


@pytest.mark.parametrize("arguments", [["--debug", "doctor"], ["doctor", "--debug"]])
def test_debug_lets_the_traceback_through(
    failing_doctor: list[BaseException], arguments: list[str]
) -> None:
    failing_doctor.append(BadInput("no"))
    with pytest.raises(BadInput, match="no"):
        cli.main(arguments)


def test_ctrl_c_is_130(
    failing_doctor: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing_doctor.append(KeyboardInterrupt())
    assert cli.main(["doctor"]) == 130
    assert capsys.readouterr().err == "edgeemo: interrupted\n"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ZeroDivisionError("a mistake\n\x1b[31mof ours"), "ZeroDivisionError: a mistake"),
        (OSError(28, "No space left on device", "/a/b\x1b"), "/a/b\\x1b: No space left on device"),
        (PermissionError(13, "Permission denied", b"x\xff"), "Permission denied"),
        (MemoryError(), "not enough memory"),
        (RecursionError("deep"), "RecursionError: deep"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "UnicodeDecodeError"),
    ],
)
def test_whatever_is_raised_is_one_line_and_2(
    failing_doctor: list[BaseException],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    says: str,
) -> None:
    failing_doctor.append(error)
    assert cli.main(["doctor"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and says in err and err.count("\n") == 1 and err[:-1].isprintable()
    with pytest.raises(type(error)):
        cli.main(["--debug", "doctor"])


def test_what_is_logged_is_printable(
    failing_doctor: list[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own, for pytest has handlers of its own."""
    code = (
        "import logging, sys; from edgeemo.cli import doctor, main\n"
        "doctor.run = lambda args: logging.getLogger('edgeemo').warning('a\\x1b[31m\\nb') or 0\n"
        "sys.exit(main(['doctor']))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stderr == "edgeemo: a\\x1b[31m b\n"


def test_a_warning_is_told_once_by_a_command() -> None:
    code = (
        "import logging, sys; from edgeemo.cli import doctor, main\n"
        "log = logging.getLogger('edgeemo')\n"
        "def run(args):\n"
        "    for _ in range(3): log.warning('%s: cut', 'a.wav'); log.info('on')\n"
        "    log.warning('%s: cut', 'b.wav')\n"
        "doctor.run = lambda args: run(args) or 0\n"
        "sys.exit(main(['doctor']) or main(['doctor']))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = [line.removeprefix("edgeemo: ") for line in run.stderr.splitlines()]
    assert lines == ["a.wav: cut", "on", "on", "on", "b.wav: cut"] * 2


def test_a_real_error_of_a_process(tmp_path: Path) -> None:
    run = edgeemo("predict", "--model", tmp_path / "none.onnx", tmp_path)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("edgeemo: ") and run.stderr.count("\n") == 1
    assert "none.onnx" in run.stderr
    shown = edgeemo("predict", "--debug", "--model", tmp_path / "none.onnx", tmp_path)
    assert shown.returncode != 0
    assert "Traceback" in shown.stderr


def test_wrong_usage_is_2_and_names_the_commands() -> None:
    run = edgeemo("predikt")
    assert run.returncode == 2
    assert "invalid choice: 'predikt'" in run.stderr
    assert all(name in run.stderr for name in cli.COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("--wobble",), "unrecognized arguments: --wobble"), (("--wav", ""), "--wav: an empty path")],
)
def test_wrong_usage_of_a_command_shows_its_options(
    arguments: tuple[str, ...], message: str
) -> None:
    run = edgeemo("live", *arguments)
    assert run.returncode == 2 and message in run.stderr
    assert run.stderr.startswith("usage: edgeemo live ") and "[--wav F]" in run.stderr


def test_without_a_command_it_helps() -> None:
    run = edgeemo()
    assert run.returncode == 0
    assert all(f"{name}" in run.stdout for name in cli.COMMANDS)


def test_version() -> None:
    run = edgeemo("--version")
    assert run.stdout == f"edgeemo {importlib.import_module('edgeemo').__version__}\n"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(name: str) -> None:
    module = importlib.import_module(f"edgeemo.cli.{name}")
    assert module.HELP.strip()
    run = edgeemo(name, "--help")
    assert run.returncode == 0, run.stderr
    assert "--debug" in run.stdout


def test_every_module_is_a_command() -> None:
    files = {p.stem for p in Path(cli.__file__).parent.glob("*.py") if not p.stem.startswith("_")}
    assert files == set(cli.COMMANDS)


def test_a_reader_that_leaves_is_no_error() -> None:
    """As in `edgeemo doctor | true`."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "edgeemo", "doctor"]
    run = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert run.returncode == 1
    assert run.stderr == ""


def test_a_signal_ends_with_130() -> None:
    """A real SIGINT while a command works; the command itself is one that only waits."""
    code = (
        "import sys, time; from edgeemo.cli import doctor, main\n"
        "doctor.run = lambda args: (print('ready', flush=True), time.sleep(60))\n"
        "sys.exit(main(['doctor']))"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr.read() == b"edgeemo: interrupted\n"
