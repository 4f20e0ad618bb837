"""Options that several commands share, and old names of options."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any


class OldName(argparse.Action):
    """An old name of an option: hidden from help, it works and says what the option is called now.

    Args:
        new: the option as it is called now; its `dest` is given to this one too.
    """

    def __init__(self, *args: Any, new: str, **options: Any) -> None:
        super().__init__(*args, help=argparse.SUPPRESS, **options)
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
