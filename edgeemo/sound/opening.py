"""A path, standard input or an open file as one binary file that can seek."""

from __future__ import annotations

import io
import os
import shutil
import stat
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, cast

from edgeemo.errors import BadInput

STDIN = "-"
"""The name that stands for standard input."""


def open_binary(
    source: str | Path | BinaryIO, name: str, stack: ExitStack, *, what: str = "sound"
) -> BinaryIO:
    """Open a file for reading, from its beginning.

    What cannot seek (a pipe, a FIFO, standard input) is copied into a file without a name, which
    the system removes when it is closed.

    Args:
        source: a path; STDIN; or a binary file, which is left open.
        name: for messages.
        stack: closes what was opened.
        what: the file is expected to be, for messages.

    Raises:
        BadInput: no such file, a folder, no rights to read it, or what is neither a path nor a
            binary file that is open.
    """
    if not isinstance(source, (str, Path)):
        _check_binary(source, name)
        return _seekable(source, name, stack)
    if str(source) == STDIN:
        if sys.stdin is None:
            raise BadInput("standard input is closed; pipe sound into it")
        return _copy(sys.stdin.buffer, name, stack)
    try:
        # Whoever reads takes large pieces: a buffer would be one more copy.
        file: Any = stack.enter_context(open(source, "rb", buffering=0))  # noqa: PTH123, SIM115
        regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        return cast(BinaryIO, file) if regular else _copy(file, name, stack)
    except FileNotFoundError:
        raise BadInput(f"{name}: no such file; give the path of a {what} file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if os.path.isdir(source):  # noqa: PTH112  # takes names that do not decode
            raise BadInput(
                f"{name}: a folder, no such file; give the path of a {what} file"
            ) from None
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInput(f"{name}: cannot be read ({reason})") from None


def with_descriptor(file: BinaryIO, stack: ExitStack) -> BinaryIO:
    """The same bytes as a file of the system, for other programs: itself, or a copy.

    Args:
        file: open; it can be sought.
        stack: closes the copy, if one is made.
    """
    try:
        file.fileno()
    except (OSError, AttributeError, io.UnsupportedOperation):
        file.seek(0)
        return _copy(file, "sound", stack)
    return file


def _check_binary(source: Any, name: str) -> None:
    if not hasattr(source, "read"):
        raise BadInput(f"the source is {name}; expected a path, '-', or a binary file")
    if isinstance(source, io.TextIOBase):
        raise BadInput(f"{name}: a file of text; open it with the mode 'rb'")
    if getattr(source, "closed", False):
        raise BadInput(f"{name}: the file is closed; read it while it is open")


def _seekable(file: Any, name: str, stack: ExitStack) -> BinaryIO:
    try:
        file.seek(0)
    except (OSError, AttributeError, io.UnsupportedOperation):
        return _copy(file, name, stack)
    return cast(BinaryIO, file)


def _copy(file: Any, name: str, stack: ExitStack) -> BinaryIO:
    if _endless(file):
        raise BadInput(f"{name}: a device, no file; give a file, or what a recorder pipes")
    copy = stack.enter_context(tempfile.TemporaryFile(prefix="edgeemo-"))  # noqa: SIM115
    shutil.copyfileobj(file, copy, 1 << 20)
    copy.seek(0)
    return cast(BinaryIO, copy)


def _endless(file: Any) -> bool:
    """Whether it is a device like /dev/zero, which would fill the disk; a terminal has an end."""
    try:
        descriptor = file.fileno()
        return stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor)
    except (OSError, AttributeError, io.UnsupportedOperation):
        return False
