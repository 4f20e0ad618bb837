"""Files that are whole or absent, written to a temporary name and then moved; names to trust."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; on a clean exit move it to `path`.

    On an error the temporary file is removed and `path` is as it was.

    Args:
        path: the final name; its folder is made if it is missing.

    Yields:
        A name in the same folder (so that the move is atomic) with the same ending.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp gives 0600; a finished file gets what an ordinary open() would have given.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, all of it or nothing."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, all of it or nothing."""
    write_bytes(path, text.encode())


def is_plain(name: Any) -> bool:
    """Whether an untrusted value is the name of something in a folder, not a way out of it."""
    return isinstance(name, str) and name not in ("", ".", "..") and Path(name).name == name
