"""How rows of estimates are shown: a table for people, JSON for programs, progress."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from edgeemo.errors import printable
from edgeemo.results.sounds import heard

Row = dict[str, Any]

LOW = 0.1
"""A confidence below this is marked with "?" in the table: by the card's own fit fewer than one in
ten of such estimates comes true. In benchmarks/results/confidence.json the mean is .49 to .52 for
speech from afar and .25 to .4 in noise as loud as itself; music is for the gate to tell."""

_HEAD = f"{'arousal':>7}  {'dominance':>9}  {'valence':>7}  {'class':<15}  {'confidence':<10}  file"
_EVERY = 0.2  # seconds between two lines of progress
_MOST = 1000  # characters of an error


class Table:
    """Lines for people: a head first, then a line for each row."""

    def __init__(self) -> None:
        self._started = False

    def line(self, row: Row) -> str:
        """The line of a row, and the head before the first one; no control characters in it."""
        head = "" if self._started else f"{_HEAD}\n"
        self._started = True
        name = printable(row["path"], _MOST)
        if "error" in row:
            text = printable(row["error"], _MOST)
            # Most errors begin with the name.
            text = text if text.startswith(f"{name}:") else f"{name}: {text}"
            return f"{head}{_cells(None, None, None, '-', '-')}  {text}"
        classes = row["classes"]
        best = max(classes, key=classes.get, default="")
        label = f"{best} {classes[best]:.2f}" if best else "-"
        sure = f"{row['confidence']:.2f}{'?' if row['confidence'] < LOW else ''}"
        if row.get("speech") is False:
            label, sure = heard(row.get("sounds", {})) or "no speech", "-"
        cells = _cells(row["arousal"], row["dominance"], row["valence"], label, sure)
        return f"{head}{cells}  {name}{_place(row)}"


def _cells(
    arousal: float | None, dominance: float | None, valence: float | None, label: str, sure: str
) -> str:
    numbers = (
        f"{'-' if value is None else f'{value:.2f}':>{width}}"
        for value, width in ((arousal, 7), (dominance, 9), (valence, 7))
    )
    return f"{'  '.join(numbers)}  {label:<15}  {sure:<10}"


def _place(row: Row) -> str:
    """Which face, voice or stretch of a file a row is about."""
    who = f"face {row['face']} at {tuple(row['box'])}" if "face" in row else ""
    who = "voice" if row.get("voice") else who
    # A still picture has no duration.
    times = f"{row['start']:.1f} to {row['end']:.1f} s"
    if "face" in row:
        return f"  {who}, {times}" if row["end"] else f"  {who}"
    parts = [who] if who else []
    parts += [times] if row["start"] or row.get("part") else []
    return f"  {', '.join(parts)}" if parts else ""


def json_line(row: Row) -> str:
    """A row as JSON: UTF-8 where stdout is, else ASCII."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    text = json.dumps(row, ensure_ascii=encoding != "utf8")
    if text.isprintable():
        return text
    # Marks that turn the direction of writing, and the like: names may hold them.
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


class Progress:
    """One line on stderr that is written over, where that is a terminal."""

    def __init__(self, total: int) -> None:
        self._total, self._number = total, 0
        self._name = ""
        self._on = sys.stderr.isatty()
        self._next, self._shown = time.monotonic() + 1.0, False

    def file(self, name: str) -> None:
        """The next file begins."""
        self._number += 1
        self._name = printable(name, 60)
        self._show("")

    def sound(self, seconds: float, promised: float | None) -> None:
        """So much of a sound was read."""
        whole = "" if promised is None else f" of {_clock(promised)}"
        self._show(f", {_clock(seconds)}{whole}")

    def _show(self, more: str) -> None:
        if not self._on or time.monotonic() < self._next:
            return
        self._next, self._shown = time.monotonic() + _EVERY, True
        text = f"{self._number} of {self._total}: {self._name}{more}"
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away, before something else is written to the terminal."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = False


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
