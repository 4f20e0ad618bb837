"""The view in a terminal, with rich: level, dimensions, trace, expressions, what is ignored."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from edgeemo.errors import require
from edgeemo.fusion import Fused
from edgeemo.live.state import PLAIN_WORDS, SILENT_DB, TRACE_SECONDS, Item, State
from edgeemo.results.sounds import heard
from edgeemo.types import CLASSES, DIMENSIONS

if TYPE_CHECKING:
    from rich.text import Text

REFRESH_SECONDS = 0.1
"""Between two drawings, but that a new estimate is drawn at once."""

LOWEST_DB = -60.0
"""Left end of the level meter."""

_WIDEST = 100  # columns; longer bars are no clearer
_NAME = 11  # columns of a row's name
_EIGHTHS = " ▏▎▍▌▋▊▉"
_HEIGHTS = "▁▂▃▄▅▆▇█"
_COLOURS = {"arousal": "magenta", "dominance": "cyan", "valence": "green"}


class Terminal:
    """Draws on the whole terminal, and gives it back as it was.

    Args:
        out: the terminal's stream.
    """

    def __init__(self, out: TextIO) -> None:
        """Prepare; nothing is drawn before it is entered.

        Raises:
            MissingExtra: rich is not installed.
        """
        require("rich", "live")
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=out)
        self._live = Live(console=self._console, screen=True, auto_refresh=False)
        self._drawn = 0.0

    def __enter__(self) -> Terminal:
        self._live.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def show(self, state: State, item: Item) -> None:
        """Draw at once what is an estimate, the rest when it is time.

        Args:
            state: what is known, this item included.
            item: a piece of sound, a picture or an estimate.
        """
        now = time.perf_counter()
        if isinstance(item, Fused) or now - self._drawn >= REFRESH_SECONDS:
            self._drawn = now
            width, height = self._console.size
            self._live.update(screen(state, width, height), refresh=True)


def screen(state: State, width: int, height: int) -> Text:
    """The whole screen as styled text.

    Args:
        state: what to show.
        width: of the terminal, in columns.
        height: of the terminal, in lines; rows that have no room are left out from the end.
    """
    from rich.text import Text

    width = min(width, _WIDEST) - 1
    last = [*_status(state, width), *_words(width)]
    rows = [*_head(state, width), *_meters(state, width), *_expressions(state, width)]
    rows = [*rows, *_ignored(state, width)][: max(0, height - len(last))]
    lines = [*rows, *last][:height]
    made = Text("\n", no_wrap=True, overflow="ellipsis", end="").join(lines)
    made.overflow, made.no_wrap = "ellipsis", True
    return made


def _head(state: State, width: int) -> Iterator[Text]:
    from rich.text import Text

    minutes, seconds = divmod(int(state.seconds), 60)
    clock = f"{minutes}:{seconds:02d}"
    sources = list(dict.fromkeys(state.sources.values()))
    title = f"edgeemo live · {' and '.join(sources)}"[: width - len(clock) - 2]
    line = Text(title.ljust(width - len(clock)), "bold")
    yield line.append(clock, "bold")
    yield Text("")


def _meters(state: State, width: int) -> Iterator[Text]:
    from rich.text import Text

    bar = max(8, width // 4)
    trace = max(0, width - _NAME - bar - 9)
    level, said = 0.0, "-"
    if state.level is not None:
        level = 1 - max(LOWEST_DB, state.level) / LOWEST_DB
        said = "silent" if state.level <= SILENT_DB else f"{state.level:.0f} dB"
    speech = {True: "somebody speaks", False: "nobody speaks", None: ""}[state.estimate.speech]
    speech = ", ".join(filter(None, (speech, heard(state.estimate.sounds))))
    line = Text("level".ljust(_NAME)).append(_bar(level, bar), "yellow").append(f" {said:>6}  ")
    yield line.append(speech, "dim")
    yield Text("")
    for name in DIMENSIONS:
        value = getattr(state.estimate, name)
        line = Text(name.ljust(_NAME)).append(_bar(value or 0.0, bar), _COLOURS[name])
        line.append(f" {_number(value):>6}  ", "bold")
        yield line.append(_trace(state, name, trace), _COLOURS[name])
    if trace > 24:
        ends = f"{TRACE_SECONDS:.0f} s ago".ljust(trace - 3) + "now"
        yield Text(" " * (width - trace)).append(ends, "dim")


def _expressions(state: State, width: int) -> Iterator[Text]:
    """Two columns of four."""
    from rich.text import Text

    classes = state.estimate.classes
    half = len(CLASSES) // 2
    bar = max(6, width // 2 - _NAME - 9)
    yield Text("")
    for pair in zip(CLASSES[:half], CLASSES[half:], strict=True):
        line = Text()
        for name in pair:
            shown = "bold" if name == state.estimate.expression else ""
            line.append(name.ljust(_NAME), shown)
            line.append(_bar(classes.get(name, 0.0), bar), "blue")
            line.append(f" {_number(classes.get(name)):>4}   ", shown)
        yield line


def _ignored(state: State, width: int) -> Iterator[Text]:
    from rich.text import Text

    yield Text("")
    notes = state.notes()
    yield Text("ignored" if notes else "nothing is ignored", "dim")
    for note in notes:
        for line in _wrapped(note.split(), width - 2):
            yield Text(f"  {line}")


def _status(state: State, width: int) -> Iterator[Text]:
    from rich.text import Text

    parts = [f"from {' and '.join(state.estimate.sides) or 'nothing'}"]
    parts += [f"{side} {model}" for side, model in state.models.items() if side in state.sources]
    if state.latencies:
        worst = 1000 * max(state.latencies)
        parts.append(f"latency {1000 * (state.latency or 0):.0f} ms, worst {worst:.0f}")
    if state.cpu is not None:
        parts.append(f"{100 * state.cpu:.0f} % of one core")
    yield Text("")
    for line in _wrapped(parts, width, " · "):
        yield Text(line)
    if state.recording is not None:
        yield Text(f"recording to {state.recording}"[:width], "bold red")


def _words(width: int) -> Iterator[Text]:
    from rich.text import Text

    for line in _wrapped([*PLAIN_WORDS.split(), "Ctrl-C", "ends."], width):
        yield Text(line, "dim")


def _wrapped(words: Sequence[str], width: int, between: str = " ") -> Iterator[str]:
    line = ""
    for word in words:
        if line and len(line) + len(between) + len(word) > width:
            yield line
            line = word
        else:
            line = f"{line}{between}{word}" if line else word
    yield line


def _bar(part: float, width: int) -> str:
    """A bar of eighths; what is left of it is dots, so that its full length is seen."""
    eighths = round(min(max(part, 0.0), 1.0) * width * 8)
    whole, rest = divmod(eighths, 8)
    made = "█" * whole + (_EIGHTHS[rest] if rest else "")
    return made + "·" * (width - len(made))


def _trace(state: State, name: str, width: int) -> str:
    """The last minute in columns: the mean of what falls into each, a blank where nothing does."""
    sums = [[0.0, 0] for _ in range(width)]
    now = state.trace[-1].end if state.trace else 0.0
    for estimate in state.trace:
        value = getattr(estimate, name)
        column = int((1 - (now - estimate.end) / TRACE_SECONDS) * width - 1e-9)
        if value is not None and 0 <= column < width:
            sums[column][0] += value
            sums[column][1] += 1
    return "".join(_HEIGHTS[min(7, int(8 * s / n))] if n else " " for s, n in sums)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
