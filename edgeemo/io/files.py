"""Files that are whole or absent, written to a temporary name and then moved; names to trust."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from edgeemo.errors import BadInput, printable

_LONGEST_NAME = 240  # bytes; file systems take 255, and a temporary name is a little longer


def is_special(path: Path) -> bool:
    """Whether a path leads to a pipe or a device, which can be read once at most."""
    return path.exists() and not (path.is_file() or path.is_dir())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; on a clean exit move it to `path`.

    On an error the temporary file is removed and `path` is as it was.

    Args:
        path: the final name; its folder is made if it is missing.

    Yields:
        A name in the same folder (so that the move is atomic) with the same ending.

    Raises:
        BadInput: a device or a pipe is there: it would be replaced, /dev/null too.
    """
    _check_place(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(path.suffix, f".{path.stem}-", path.parent)
    except OSError as error:
        error.filename = os.fspath(path)  # nobody gave the temporary name
        raise
    os.close(handle)
    temporary = Path(name)
    try:
        with naming(path):
            yield temporary
        # mkstemp gives 0600; a finished file gets what an ordinary open() would have given.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the system name `path`: a write to an open file names nothing.

    Args:
        path: the file that is being written.

    Raises:
        OSError: whatever is raised within; `path` is its file name if it had none.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(path)
        raise


def check_output(
    path: Path, *, folder: bool = False, inputs: Iterable[str | Path | None] = ()
) -> None:
    """Refuse an output that could not be written, before the work that fills it.

    Args:
        path: a file that is to be made or replaced; its folder may be missing. Nothing is made.
        folder: it is a folder, which is to be made or filled.
        inputs: files that the command reads; they need not exist.

    Raises:
        BadInput: a folder in a file's place or a file in a folder's, a device or a pipe, a name
            that is too long, no rights, or one of the inputs, which would be lost; the message
            names it.
    """
    name = printable(path)
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise BadInput(
            f"{name}: the name has {len(path.name)} characters; expected at most {_LONGEST_NAME}"
        )
    try:
        if "\0" in str(path):
            raise ValueError("a NUL in the name")
        if path.is_dir() and not folder:
            raise BadInput(f"{name}: is a folder; name a file to write")
        _check_place(path)
        if path.exists() and any(_same(path, given) for given in inputs if given):
            raise BadInput(f"{name}: is read by this command; name another file to write")
        above = path if folder else path.parent
        while not os.path.lexists(above):
            above = above.parent
        if not above.is_dir():
            if above == path:
                raise BadInput(f"{name}: is a file; name a folder")
            raise BadInput(f"{name}: {printable(above)} is a file; name another place to write")
        if not os.access(above, os.W_OK | os.X_OK):
            raise BadInput(f"{name}: no rights to write there; name another place")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInput(f"{name}: cannot be written ({reason}); name another place") from None


def _same(path: Path, given: str | Path) -> bool:
    try:
        return path.samefile(given)
    except (OSError, ValueError):
        return False


def _check_place(path: Path) -> None:
    if path.exists() and not path.is_file() and not path.is_dir():
        raise BadInput(f"{printable(path)}: is a device or a pipe; name a file to write")


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, all of it or nothing.

    Args:
        path: the final name, as for `replacing`.
        data: the whole content.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, all of it or nothing.

    Args:
        path: the final name, as for `replacing`.
        text: the whole content.
    """
    write_bytes(path, text.encode())


def lock(file: IO[Any]) -> None:
    """Lock an open file for this process; closing it, or the end of the process, undoes it.

    Args:
        file: opened for writing.

    Raises:
        OSError: another process has it.
    """
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_plain(name: Any) -> bool:
    """Whether an untrusted value is the name of something in a folder, not a way out of it."""
    return isinstance(name, str) and name not in ("", ".", "..") and Path(name).name == name


def confined(folder: Path, name: Any, *, plain: bool = False) -> Path:
    """The place in a folder that an untrusted name means.

    Args:
        folder: that must not be left; it may be a link itself.
        name: a relative path with "/", from a label table, a manifest, a description.
        plain: only the name of something in the folder, no path.

    Returns:
        `folder` and the cleaned name. It need not exist.

    Raises:
        ValueError: the name is no text, is empty, absolute, has "..", a backslash or a control
            character, or is or passes a link that leads out of the folder; the text says which.
    """
    if not isinstance(name, str):
        raise ValueError(f"expected a name, got {type(name).__name__}")
    parts = PurePosixPath(name).parts
    if plain and not (is_plain(name) and len(parts) == 1):
        raise ValueError(f"{printable(repr(name), 80)}: expected the name of a file, no path")
    foreign = "\\" in name or "\0" in name or (len(name) > 1 and name[1] == ":")
    if foreign or not parts or parts[0].startswith("/") or ".." in parts:
        raise ValueError(
            f"{printable(repr(name), 80)} leaves the folder; expected a relative path with '/'"
        )
    path = folder.joinpath(*parts)
    try:
        target, home = path.resolve(), folder.resolve()
    except (OSError, RuntimeError):  # a loop of links, a name that is too long
        raise ValueError(f"{printable(repr(name), 80)} cannot be followed") from None
    if not target.is_relative_to(home):
        raise ValueError(
            f"{printable(repr(name), 80)} is a link that leaves the folder; copy the file there"
        )
    return path
