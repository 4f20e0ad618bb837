"""The command `edgeemo`: one module a command, and only the chosen one is imported.

A command is a module of this package with three names:

    HELP: str                                  what it does, in a sentence or a few
    def add_arguments(parser) -> None          its own arguments
    def run(args) -> int                       does it; returns the exit status

Exit status: 0 done; 1 done, but something in the input could not be used (the command said
which); 2 refused, with one line on stderr; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TextIO

import edgeemo
from edgeemo.errors import EdgeemoError, one_line, printable

COMMANDS: Mapping[str, str] = {
    "distill": "teach a tiny student what a large model knows",
    "label": "a teacher's labels for corpora of many hours, by any number of jobs",
    "export": "turn a finished run into one small file that has been checked",
    "predict": "arousal, dominance, valence and classes of sound files",
    "calibrate": "learn where your own voice begins, from half a minute of calm speech",
    "evaluate": "a model against labels, with the spread over speakers",
    "live": "microphone and camera, in the terminal or a browser",
    "bench": "what a model costs on this machine, beside other runtimes",
    "runs": "what was trained, side by side",
    "students": "what can be trained, and what it will cost",
    "models": "what is shipped, and the command to use it",
    "notice": "what a product that contains a model must say",
    "doctor": "what is installed, what is missing, how to get it",
}
"""Name and one-line help of each command; the module edgeemo.cli.<name> does the work."""

REFUSED = 2
_LONGEST = 4000  # characters of a line of the log
INTERRUPTED = 130  # 128 + SIGINT, what a shell reports


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after the program's name; None takes those of the process.

    Returns:
        The exit status; see the head of this module.

    Raises:
        SystemExit: from argparse, for --help, --version and wrong usage (status 2).
        Exception: any, but only with --debug, so that the traceback shows.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser, command = _parser(arguments)
    args, unknown = parser.parse_known_args(arguments)
    if unknown:  # parse_args would tell the usage of `edgeemo`, where no option of a command stands
        told: argparse.ArgumentParser = getattr(args, "parser", parser)
        told.error(f"unrecognized arguments: {' '.join(map(printable, unknown))}")
    debug = getattr(args, "debug", False)
    if command is None:
        parser.print_help()
        return 0
    _log_to_stderr()
    # A program without a console, or `>&-`, has none.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123
    # A name that the terminal's encoding lacks must not end the command.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = int(command.run(args))
        sys.stdout.flush()  # inside the try, so that a closed pipe is met here
        return status
    except BrokenPipeError:
        # The reader left (`edgeemo predict ... | head`). Python flushes stdout once more at exit;
        # pointing it at /dev/null keeps that from printing a second error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            raise
        print(f"edgeemo: {_told(error)}", file=sys.stderr)
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else REFUSED


def exit_status(work: Callable[[], int | None]) -> int:
    """Run a script of tools/ or benchmarks/, which refuses in one line on stderr as a command does.

    Args:
        work: what it does; returns the exit status, None for 0.

    Returns:
        That, or 2 where an `EdgeemoError` or `OSError` says why it cannot be done.
    """
    try:
        return work() or 0
    except (EdgeemoError, OSError) as error:
        print(_told(error), file=sys.stderr)
        return REFUSED


def _told(error: BaseException) -> str:
    """What a user reads of an error: one line, whoever raised it."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, EdgeemoError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        names = (error.filename, error.filename2)
        of = " to ".join(printable(name) for name in names if name is not None)
        return f"{of}: {error.strerror}" if of else error.strerror
    if isinstance(error, MemoryError):
        return "not enough memory; give it less at a time"
    # A mistake of edgeemo's or of a library: the traceback would tell a user nothing.
    return (
        f"{type(error).__name__}: {one_line(error)}; this should not happen: "
        "please report it with what --debug shows"
    )


def _parser(arguments: Sequence[str]) -> tuple[argparse.ArgumentParser, ModuleType | None]:
    """The parser, and the module of the command that `arguments` names (None if none)."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--debug",
        action="store_true",
        # Without SUPPRESS the subparser's default would overwrite `edgeemo --debug predict`.
        default=argparse.SUPPRESS,
        help="show the traceback of an error",
    )
    parser = argparse.ArgumentParser(
        prog="edgeemo",
        description="Tiny models that estimate how speech would be perceived: "
        "arousal, dominance, valence and classes.",
        epilog="`edgeemo COMMAND --help` tells the arguments of a command.",
        parents=[shared],
    )
    parser.add_argument("--version", action="version", version=f"edgeemo {edgeemo.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND")
    chosen = next((a for a in arguments if not a.startswith("-")), None)
    module: ModuleType | None = None
    for name, summary in COMMANDS.items():
        if name != chosen:
            commands.add_parser(name, help=summary)
            continue
        module = importlib.import_module(f"edgeemo.cli.{name}")
        command = commands.add_parser(name, help=summary, description=module.HELP, parents=[shared])
        command.set_defaults(parser=command)
        command.register("type", Path, _path)
        module.add_arguments(command)
    return parser, module


def _path(text: str) -> Path:
    """A path that an option names; Path alone takes an empty one for the working folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty path")
    return Path(text)


class _OneLine(logging.Formatter):
    """Names of files and words of libraries reach a terminal without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), _LONGEST)


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what is standard error now, not to what it was when the first command began.

    A warning is told once: training reads a clip again for each of its copies.

    Attributes:
        told: hashes of the warnings of this command.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: set[int] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.WARNING:
            text = hash(record.getMessage())
            if text in self.told:
                return
            self.told.add(text)
        self.stream = sys.stderr
        super().emit(record)


def _log_to_stderr() -> None:
    """Send the logger `edgeemo` to stderr; a program that imports edgeemo decides for itself."""
    logger = logging.getLogger("edgeemo")
    if not logger.handlers:
        handler = _Stderr()
        handler.setFormatter(_OneLine("edgeemo: %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    for each in logger.handlers:
        if isinstance(each, _Stderr):
            each.told.clear()
