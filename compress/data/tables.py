"""Rows of CSV and TSV files, strictly: each fault is a BadData that names file and line."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from edgeemo.errors import BadData, one_line, printable
from edgeemo.io.files import confined

from .emotions import WORDS, read_word

_LONGEST_FIELD = 1 << 16


@dataclass(frozen=True)
class Row:
    """One row: values by column, and where it stands ("labels.csv:17")."""

    where: str
    values: dict[str, str]

    def fault(self, text: str) -> BadData:
        """The error to raise for this row: "labels.csv:17: ..."."""
        return BadData(f"{self.where}: {text}")

    def text(self, column: str) -> str | None:
        """The value without surrounding blanks; None if it is empty or the column is missing."""
        return self.values.get(column, "").strip() or None

    def number(self, column: str, low: float, high: float) -> float | None:
        """The value as a number; None if it is empty or missing.

        Args:
            column: its name.
            low: smallest number that is allowed.
            high: largest number that is allowed.

        Raises:
            BadData: not a finite number in low..high.
        """
        text = self.text(column)
        if text is None:
            return None
        return self.as_number(text, column, low, high)

    def as_number(self, text: str, column: str, low: float, high: float) -> float:
        """A text as a number.

        Args:
            text: to read.
            column: for the message.
            low: smallest number that is allowed.
            high: largest number that is allowed.

        Raises:
            BadData: not a finite number in low..high.
        """
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise self.fault(f"{column} is {text!r:.40}; expected a number {low:g} to {high:g}")
        return value

    def word(self, column: str) -> str | None:
        """The value as a word of `emotions.WORDS`; None if it is empty or missing.

        Raises:
            BadData: another word.
        """
        text = self.text(column)
        if text is None:
            return None
        try:
            return read_word(text)
        except KeyError:
            known = ", ".join(WORDS)
            raise self.fault(f"{column} is {text!r:.40}; expected one of {known}") from None


def read_table(
    path: Path,
    required: Collection[str],
    delimiter: str = ",",
    columns: Sequence[str] | None = None,
) -> Iterator[Row]:
    """Read a table in UTF-8 whose first line names the columns.

    Args:
        path: the file.
        required: columns that must be there.
        delimiter: between columns.
        columns: of a table whose first line is a row already.

    Raises:
        BadData: missing or double column, a row of another length, broken quotes or encoding.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _rows(path, _reader(file, delimiter), required, columns)
    except OSError as error:
        raise BadData(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise BadData(f"{path}: is not UTF-8 ({error.reason}); save it again as UTF-8") from None


def _reader(file: TextIO, delimiter: str) -> Iterator[list[str]]:
    # In tables with tabs a quotation mark is part of the text.
    if delimiter == "\t":
        return csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=True)
    # Blanks after commas are no part of a value, nor do they keep a quotation mark from being one.
    return csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)


def _rows(
    path: Path, reader: Iterator[list[str]], required: Collection[str], given: Sequence[str] | None
) -> Iterator[Row]:
    def rows() -> Iterator[tuple[int, list[str]]]:
        try:
            for fields in reader:
                yield reader.line_num, fields  # type: ignore[attr-defined]
        except csv.Error as error:
            line = reader.line_num  # type: ignore[attr-defined]
            raise BadData(f"{path}:{line}: is no table ({one_line(error)})") from None

    lines = rows()
    columns = [c.strip() for c in (next(lines, (0, []))[1] if given is None else given)]
    for column in required:
        if column not in columns:
            has = printable(", ".join(columns)) or "nothing"
            hint = (
                "; separate the columns by commas"
                if ";" in has or any("\t" in c for c in columns)
                else ""
            )
            raise BadData(f"{path}:1: column {column!r} is missing; the first line has {has}{hint}")
    double = {column for column in columns if columns.count(column) > 1}
    if double:
        raise BadData(f"{path}:1: column {min(double)!r} comes twice; remove one")
    for line, fields in lines:
        if not fields:
            continue
        if len(fields) != len(columns):
            raise BadData(f"{path}:{line}: {len(fields)} values; expected {len(columns)}")
        yield Row(f"{path}:{line}", dict(zip(columns, fields, strict=True)))


def relative_path(row: Row, text: str, root: Path) -> str:
    """A path of a label file as a clean relative path with "/".

    Args:
        row: for messages.
        text: what the file says.
        root: folder of the label file.

    Raises:
        BadData: the path is absolute, has ".." or a backslash, or is or passes a link that leads
            out of the folder.
    """
    try:
        return confined(root, text).relative_to(root).as_posix()
    except ValueError as error:
        raise row.fault(f"path {error}") from None
