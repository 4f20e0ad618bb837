"""Options that several commands share, and old names of options."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeemo.results.writers import NAMES
from edgeemo.speech.vad import GATES, WITH_MODEL


class OldName(argparse.Action):
    """An old name of an option: hidden from help, it works and says what the option is called now.

    Args:
        new: the option as it is called now; its `dest` is given to this one too.
    """

    def __init__(self, *args: Any, new: str, **options: Any) -> None:
        options["help"] = argparse.SUPPRESS
        super().__init__(*args, **options)
        self._new = new

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Store the value, or True for an option without one."""
        print(f"edgeemo: {option_string} is {self._new} now", file=sys.stderr)
        setattr(namespace, self.dest, True if self.nargs == 0 else values)


def add_profile(parser: argparse._ActionsContainer) -> None:
    """--profile, the speaker's own."""
    parser.add_argument(
        "--profile", metavar="F", help="of the person who speaks; made by `edgeemo calibrate`"
    )
    parser.add_argument(
        "--baseline", dest="profile", default=argparse.SUPPRESS, action=OldName, new="--profile"
    )


def add_output(parser: argparse._ActionsContainer, what: str) -> None:
    """--output, files for other programs.

    Args:
        parser: gets the option.
        what: is written, for the help.
    """
    parser.add_argument(
        "--output",
        type=Path,
        action="append",
        default=[],
        metavar="F",
        help=f"{what}, by F's ending: {NAMES}; may be repeated; F must be new",
    )


def add_gate(parser: argparse._ActionsContainer) -> None:
    """--gate, what tells where somebody speaks; "none" stands for None."""
    parser.add_argument(
        "--gate",
        choices=(*WITH_MODEL, *GATES, "none"),
        default=WITH_MODEL[0],
        help="what tells where somebody speaks; model: the energy gate, then the model's own word; "
        "auto: that if the model tells speech, or energy; none: all counts (default: %(default)s)",
    )
