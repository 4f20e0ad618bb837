"""Files for other programs, chosen by their ending: checked before the work, written after it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import edgeemo
from edgeemo.artifacts.card import Card
from edgeemo.errors import BadInput, printable
from edgeemo.io.files import check_output, write_text
from edgeemo.results.annotations import audacity, eaf
from edgeemo.results.cues import Cue, cues_of
from edgeemo.results.subtitles import srt, webvtt


@dataclass(frozen=True)
class Origin:
    """Where cues come from.

    Attributes:
        media: the recording; None for a device or standard input.
        cards: of the models.
    """

    media: Path | None
    cards: tuple[Card, ...]

    def notes(self) -> list[str]:
        """Lines about the models, for a file's comments."""
        head = f"edgeemo {edgeemo.__version__}: as it would be perceived, not what anybody feels"
        of = [f"{card.name}, licence: {card.licence}" for card in self.cards]
        misuse = dict.fromkeys(card.misuse for card in self.cards)
        return [printable(line, 1000) for line in (head, *of, *misuse)]


Writer = Callable[[Sequence[Cue], Origin, Path], str]

WRITERS: Mapping[str, Writer] = MappingProxyType(
    {
        ".vtt": lambda cues, origin, path: webvtt(cues, origin.notes()),
        ".srt": lambda cues, origin, path: srt(cues),
        ".eaf": lambda cues, origin, path: eaf(cues, origin.notes(), _seen_from(path, origin)),
        ".txt": lambda cues, origin, path: audacity(cues),
    }
)
"""By ending, in small letters, what gives the text of the file at a path."""

NAMES = ".vtt (WebVTT), .srt, .eaf (ELAN), .txt (labels for Audacity)"
"""The endings in words."""


def check(paths: Sequence[Path]) -> None:
    """Refuse outputs that could not be written, or whose writing would lose something.

    Raises:
        BadInput: an ending that is not in WRITERS, or as `check_new`.
    """
    for path in paths:
        if path.suffix.lower() not in WRITERS:
            csv = "; a table is --csv" if path.suffix.lower() == ".csv" else ""
            raise BadInput(f"{printable(path)}: unknown ending; expected {NAMES}{csv}")
    check_new(paths)


def check_new(paths: Sequence[Path]) -> None:
    """Refuse outputs that are there already: labels that somebody has edited are not lost.

    Raises:
        BadInput: as `check_output`; the file exists, or is named twice.
    """
    for number, path in enumerate(paths):
        check_output(path)
        if path in paths[:number]:
            raise BadInput(f"{printable(path)}: named twice; name another file")
        if os.path.lexists(path):
            raise BadInput(f"{printable(path)}: is there already; remove it or name another file")


def write(paths: Iterable[Path], cues: Sequence[Cue], origin: Origin) -> None:
    """Write cues to each file, in the form that its ending means.

    Args:
        paths: as `check` took them.
        cues: in the order of time.
        origin: of the cues.

    Raises:
        OSError: a file cannot be written.
    """
    for path in paths:
        write_text(path, WRITERS[path.suffix.lower()](cues, origin, path))


def _seen_from(path: Path, origin: Origin) -> str | None:
    """Address of the recording; the whole path would tell readers the user's name."""
    if origin.media is None:
        return None
    relative = os.path.relpath(origin.media.resolve(), path.parent.resolve())
    return f"./{quote(Path(relative).as_posix())}"


class CueFiles(AbstractContextManager["CueFiles"]):
    """Takes rows of one recording; on leaving, also after an error, writes what they gave."""

    def __init__(self, paths: Sequence[Path], origin: Callable[[], Origin]) -> None:
        """Choose the files.

        Args:
            paths: as `check` took them.
            origin: tells of the recording at the end, when the models are known.
        """
        self._paths, self._origin = paths, origin
        self._rows: list[Mapping[str, Any]] = []

    def write(self, row: Mapping[str, Any]) -> None:
        """Take a row as `edgeemo predict --json` prints it."""
        self._rows.append(row)

    def __exit__(self, *exc: object) -> None:
        """Write; a recording that could not be read at all leaves no file."""
        if any("error" not in row for row in self._rows):
            write(self._paths, cues_of(self._rows), self._origin())
