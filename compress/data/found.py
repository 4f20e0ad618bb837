"""Files that lie in a folder: links do not lead out of it, and hidden ones are left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def files_below(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """Files in a folder and its subfolders, by name.

    Args:
        folder: that is not left: a link to a file outside is passed over, as is one to a folder.
        suffixes: their endings, in small letters.
    """
    home = folder.resolve()
    for file in _shown(folder):
        if file.suffix.lower() in suffixes and file.is_file() and _inside(file, home):
            yield file


def links_left_out(folder: Path) -> int:
    """How many links in a folder and its subfolders `files_below` passes over."""
    home = folder.resolve()
    links = (path for path in _shown(folder) if path.is_symlink())
    return sum(not (link.is_file() and _inside(link, home)) for link in links)


def _shown(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _inside(file: Path, home: Path) -> bool:
    return not file.is_symlink() or file.resolve().is_relative_to(home)
