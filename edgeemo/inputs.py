"""Which files a command takes: sound, pictures and video, named or found in folders."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from edgeemo.errors import counted, printable
from edgeemo.sound.kinds import HEAD, SOUND_SUFFIXES, UNKNOWN, UNREAD_SUFFIXES, kind_of
from edgeemo.vision import pictures, video

Kind = Literal["sound", "picture", "video"]

SUFFIXES: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {"sound": SOUND_SUFFIXES, "picture": pictures.SUFFIXES, "video": video.SUFFIXES}
)
"""Endings by which files are told, in small letters."""

LOG = logging.getLogger("edgeemo")

_LEFT: Mapping[str, str] = MappingProxyType(
    {
        "broken link": "broken links",
        "link out of the folder": "links out of the folder",
        "linked folder": "linked folders",
        "pipe or device": "pipes and devices",
    }
)
"""What is left out of a folder beside endings: one of them, and several."""

_NAMES: Mapping[Kind, str] = MappingProxyType(
    {"sound": "sound", "picture": "pictures", "video": "video"}
)


@dataclass(frozen=True)
class Input:
    """A file to be read.

    Attributes:
        path: as it was given, or found.
        kind: what it seems to be.
        error: why there is nothing to read; empty if there is.
    """

    path: str
    kind: Kind
    error: str = ""


def files(paths: Iterable[str], kinds: tuple[Kind, ...]) -> Iterator[Input]:
    """The files of some paths: folders are walked in sorted order.

    What lies in a folder and looks like media, but is not taken, is counted in one warning on the
    logger "edgeemo": other endings, links to folders, links that lead nowhere or to a file outside.
    Hidden files (a name that begins with a dot) are left out without a word.

    Args:
        paths: files and folders, or "-" for standard input. A file that is named is given whatever
            its ending.
        kinds: what is taken in folders.
    """
    for given in paths:
        if not os.path.isdir(given):  # noqa: PTH112  # takes a name that no file can have
            yield Input(given, _kind(given))
            continue
        found, left = _walk(given, kinds)
        if left:
            parts = (
                counted(count, what, _LEFT.get(what, what)) for what, count in sorted(left.items())
            )
            LOG.warning("%s: not taken: %s", printable(given), ", ".join(parts))
        for path in found:
            yield Input(str(path), _kind(str(path)))
        if not found:
            what = " or ".join(_NAMES[kind] for kind in kinds)
            looked = ", ".join(ending for kind in kinds for ending in SUFFIXES[kind])
            yield Input(given, kinds[0], f"no {what} in this folder; looked for {looked}")


def _walk(folder: str, kinds: tuple[Kind, ...]) -> tuple[list[Path], Counter[str]]:
    """The files of a folder that are taken, sorted, and how many of what are not."""
    taken = {ending for kind in kinds for ending in SUFFIXES[kind]}
    media = {ending for endings in SUFFIXES.values() for ending in endings} | {*UNREAD_SUFFIXES}
    found: list[Path] = []
    left: Counter[str] = Counter()
    home = Path(folder).resolve()
    for at, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        # os.walk does not follow them: a link to a folder above would never end.
        links = sum((Path(at) / name).is_symlink() for name in folders)
        left.update({"linked folder": links} if links else {})
        for name in names:
            path = Path(at) / name
            ending = path.suffix.lower()
            if name.startswith(".") or ending not in media:
                continue
            if not path.is_file():
                left["broken link" if path.is_symlink() else "pipe or device"] += 1
            elif path.is_symlink() and not path.resolve().is_relative_to(home):
                left["link out of the folder"] += 1
            elif ending == ".ts" and not _is_media(path):
                continue
            elif ending in taken:
                found.append(path)
            else:
                left[ending] += 1
    return sorted(found), left


def _is_media(path: Path) -> bool:
    """Whether a .ts is an MPEG transport stream, and not a program in TypeScript."""
    return bool(_head(str(path))[:1] == b"\x47")


def _kind(path: str) -> Kind:
    """What a file is by its ending; by its first bytes where it tells nothing or is wrong."""
    ending = os.path.splitext(path)[1].lower()  # noqa: PTH122  # takes any name
    for kind, endings in SUFFIXES.items():
        if ending in endings:
            # A recording that somebody gave a video's ending holds no pictures.
            found = kind_of(_head(path)) if kind == "video" else UNKNOWN
            return "sound" if found.reader == "libsndfile" and found is not UNKNOWN else kind
    head = _head(path)
    if pictures.is_picture(head):
        return "picture"
    return "video" if head and (video.is_video(head) or _names_video(head)) else "sound"


def _names_video(head: bytes) -> bool:
    return kind_of(head).name.endswith(" video")


def _head(path: str) -> bytes:
    """First bytes of a regular file; none of what would be used up by reading, or is not there."""
    try:
        if not Path(path).is_file():
            return b""
        with Path(path).open("rb") as file:
            return file.read(HEAD)
    except (OSError, ValueError):
        return b""  # whoever reads it will say what is wrong
