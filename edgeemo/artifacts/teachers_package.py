"""Where the package edgeemo-teachers lies: teachers, models of faces and real speech.

They are too large for the wheel of edgeemo, which holds what a device needs.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from edgeemo.errors import MissingExtra

# Never `pip install edgeemo-teachers`: no index has it, and a stranger could give one that name.
INSTALL = "pip install ./teachers"
"""The command that installs it, in a copy of edgeemo's repository."""


_CHECKOUT = Path(__file__).resolve().parents[2] / "teachers" / "edgeemo_teachers"


def folder() -> Path | None:
    """The folder of the package, in a copy of the repository its own; None if there is none."""
    if _CHECKOUT.is_dir():
        return _CHECKOUT
    found = find_spec("edgeemo_teachers")
    return Path(found.origin).parent if found and found.origin else None


def need(path: str) -> Path:
    """A file or folder of the package.

    Args:
        path: inside the package, for example "speech".

    Raises:
        MissingExtra: the package is not installed; the message has the pip command.
    """
    home = folder()
    if home is None:
        raise MissingExtra(
            f"{Path(path).name} comes with the package edgeemo-teachers, which is not installed; "
            f"install it from edgeemo's repository with: {INSTALL}"
        )
    return home / path
