"""Rows of estimates in a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

from edgeemo.io.files import naming, replacing
from edgeemo.types import CLASSES, SOUNDS

COLUMNS = (
    *("path", "face", "voice", "start", "end", "speech", "arousal", "dominance", "valence"),
    *(*CLASSES, "confidence", "left", "top", "right", "bottom"),
    *(f"sound_{name}" for name in ("speech", *SOUNDS)),
    *("notes", "error"),
)
"""Of `edgeemo predict`."""


class Csv(AbstractContextManager["Csv"]):
    """Rows in a file; what was written stays there if the work ends early."""

    def __init__(self, path: Path, columns: tuple[str, ...] = COLUMNS) -> None:
        """Open it.

        Args:
            path: to be written, or replaced.
            columns: in their order.

        Raises:
            OSError: nothing can be written there.
        """
        self._path, self._replacing = path, replacing(path)
        self._file: IO[str] = self._replacing.__enter__().open("w", encoding="utf-8", newline="")
        self._writer = csv.DictWriter(self._file, columns, extrasaction="ignore")
        self._writer.writeheader()

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row as `--json` prints it; boxes, classes and lists become plain cells."""
        sides = zip(("left", "top", "right", "bottom"), row.get("box") or (), strict=False)
        flat = dict(row) | dict(sides) | dict(row.get("classes", {}))
        flat |= {f"sound_{name}": share for name, share in row.get("sounds", {}).items()}
        for name, between in (("notes", "; "), ("sides", " ")):
            if name in row:
                flat[name] = between.join(row[name])
        with naming(self._path):
            self._writer.writerow({k: "" if v is None else v for k, v in flat.items()})

    def __exit__(self, *exc: object) -> None:
        """Put the file into its place, also after an error: its rows are true."""
        try:
            with naming(self._path):
                self._file.close()
        except OSError as error:
            self._replacing.__exit__(type(error), error, error.__traceback__)
            raise
        self._replacing.__exit__(None, None, None)
