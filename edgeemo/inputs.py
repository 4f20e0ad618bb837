"""Which files a command takes: sound, pictures and video, named or found in folders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from edgeemo import audio
from edgeemo.vision import pictures, video

Kind = Literal["sound", "picture", "video"]

SUFFIXES: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {"sound": audio.SUFFIXES, "picture": pictures.SUFFIXES, "video": video.SUFFIXES}
)
"""Endings by which files are told, in small letters."""

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

    Args:
        paths: files and folders. A file that is named is given whatever its ending.
        kinds: what is taken in folders.
    """
    endings = tuple(e for kind in kinds for e in SUFFIXES[kind])
    for given in paths:
        folder = Path(given)
        if not folder.is_dir():
            yield Input(given, kind_of(folder))
            continue
        found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in endings and p.is_file())
        for path in found:
            yield Input(str(path), kind_of(path))
        if not found:
            what = " or ".join(_NAMES[kind] for kind in kinds)
            looked = ", ".join(endings)
            yield Input(given, kinds[0], f"no {what} in this folder; looked for {looked}")


def kind_of(path: Path) -> Kind:
    """What a file is by its ending; by its first bytes where that tells nothing; else sound."""
    for kind, endings in SUFFIXES.items():
        if path.suffix.lower() in endings:
            return kind
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return "sound"  # whoever reads it will say what is wrong
    if pictures.is_picture(head):
        return "picture"
    return "video" if video.is_video(head) else "sound"
