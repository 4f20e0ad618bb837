"""How far a long command is: bars on a terminal, lines elsewhere; on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from edgeemo.errors import require

_PLAIN_SECONDS = 10.0  # between two lines of progress where there is no terminal


class Show(Protocol):
    """Called with (what, done, total)."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Tell how much of what is done."""


@contextmanager
def progress_on_stderr(silent: bool = False) -> Iterator[Show]:
    """Bars with the time left on a terminal, a line now and then elsewhere.

    Args:
        silent: show nothing.

    Yields:
        What is to be called with (what, done, total), often.
    """
    if silent:
        yield lambda what, done, total: None
    elif sys.stderr.isatty():
        with _bars() as show:
            yield show
    else:
        yield _Lines()


@contextmanager
def _bars() -> Iterator[Show]:
    require("rich", "train")
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as RichProgress
    from rich.text import Text

    class Rate(ProgressColumn):
        """How many a second."""

        def render(self, task: Task) -> Text:
            return Text(_rate(1 / task.speed) if task.speed else "")

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[tuple[str, int], Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if (what, total) not in tasks:
                tasks[what, total] = bars.add_task(what, total=total)
            bars.update(tasks[what, total], completed=done)

        yield show


class _Lines:
    """A line at the start, at the end and every few seconds: what, how far, time left."""

    def __init__(self) -> None:
        self._key: tuple[str, int] | None = None
        self._first = (0.0, 0)
        self._last = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if self._key != (what, total):
            self._key, self._first, self._last = (what, total), (now, done), 0.0
        if now - self._last < _PLAIN_SECONDS and done < total:
            return
        self._last = now
        started, from_ = self._first
        each = (now - started) / max(1, done - from_)
        tail = f", {_rate(each)}, {_duration(each * (total - done))} left" if done < total else ""
        tail = tail if from_ < done else ""
        print(f"{what} {done} of {total}{tail}", file=sys.stderr, flush=True)


def _rate(each: float) -> str:
    return f"{1 / each:.3g} a second" if 0 < each <= 1 else f"{each:.3g} s each"


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds:.0f} s"
