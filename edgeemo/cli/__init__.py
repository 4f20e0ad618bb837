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
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType

import edgeemo
from edgeemo.errors import EdgeemoError

COMMANDS: Mapping[str, str] = {
    "distill": "teach a tiny student what a large model knows",
    "export": "turn a finished run into one small file that has been checked",
    "predict": "arousal, dominance, valence and classes of sound files",
    "calibrate": "learn where your own voice begins, from half a minute of calm speech",
    "evaluate": "a model against labels, with the spread over speakers",
    "live": "microphone and camera, in the terminal or a browser",
    "bench": "what a model costs on this machine, beside other runtimes",
    "models": "what is shipped, and the command to use it",
    "doctor": "what is installed, what is missing, how to get it",
}
"""Name and one-line help of each command; the module edgeemo.cli.<name> does the work."""

REFUSED = 2
INTERRUPTED = 130  # 128 + SIGINT, what a shell reports


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after the program's name; None takes those of the process.

    Returns:
        The exit status; see the head of this module.

    Raises:
        SystemExit: from argparse, for --help, --version and wrong usage (status 2).
        EdgeemoError: only with --debug, so that the traceback shows.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser, command = _parser(arguments)
    args = parser.parse_args(arguments)
    debug = getattr(args, "debug", False)
    if command is None:
        parser.print_help()
        return 0
    _log_to_stderr()
    try:
        status = int(command.run(args))
        sys.stdout.flush()  # inside the try, so that a closed pipe is met here
        return status
    except EdgeemoError as error:
        if debug:
            raise
        print(f"edgeemo: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        if debug:
            raise
        print("edgeemo: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader left (`edgeemo predict ... | head`). Python flushes stdout once more at exit;
        # pointing it at /dev/null keeps that from printing a second error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


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
        module.add_arguments(command)
    return parser, module


def _log_to_stderr() -> None:
    """Send the logger `edgeemo` to stderr; a program that imports edgeemo decides for itself."""
    logger = logging.getLogger("edgeemo")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("edgeemo: %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
