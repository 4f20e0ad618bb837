"""Every error that edgeemo raises on purpose.

    EdgeemoError
    ├── BadInput       a value, array, file of sound or picture that cannot be used
    ├── BadArtifact    a model file that is truncated, foreign, or of another version
    ├── BadRecipe      a recipe with an unknown key or an impossible value
    ├── BadData        a label file or a corpus that does not hold what it should
    ├── MissingExtra   an optional package is not installed
    ├── ParityFailed   an exported file does not give what the trained student gives
    └── DeviceLost     a microphone or camera went away

A message names the value, what would be right, and the remedy, in one line.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from difflib import get_close_matches
from types import ModuleType

from edgeemo import privacy

_LONGEST = 4000


class EdgeemoError(Exception):
    """Root of all errors that edgeemo raises on purpose.

    As text it is one line without control characters, whatever it quotes.
    """

    def __str__(self) -> str:
        return printable(super().__str__(), _LONGEST)


class BadInput(EdgeemoError):
    """A value, an array or a file given to edgeemo cannot be used."""


class BadArtifact(EdgeemoError):
    """A model file is truncated, foreign, hostile, or of a version not understood."""


class BadRecipe(EdgeemoError):
    """A recipe has an unknown key, a wrong type or an impossible value."""


class BadData(EdgeemoError):
    """A label file or a corpus folder does not hold what it should."""


class MissingExtra(EdgeemoError):
    """An optional package is not installed; the message has the pip command."""


class ParityFailed(EdgeemoError):
    """An exported file differs from the trained student by more than the limits."""

    def __str__(self) -> str:
        # The table of what differs has a line for each output.
        return "\n".join(printable(line, _LONGEST) for line in Exception.__str__(self).split("\n"))


class DeviceLost(EdgeemoError):
    """A microphone or camera went away, or cannot be opened."""


def require(module: str, extra: str) -> ModuleType:
    """Import an optional package, its telemetry switched off before (`edgeemo.privacy`).

    Args:
        module: import name, for example "soundfile".
        extra: the extra of edgeemo that brings it, for example "audio".

    Returns:
        The imported module.

    Raises:
        MissingExtra: the package is not installed, or this version of it would report its use; the
            message has the pip command.
    """
    try:
        return privacy.quiet_import(module)
    except privacy.Sends as error:
        raise MissingExtra(str(error)) from None
    except ModuleNotFoundError as error:
        # Only the package itself counts as missing: a broken one must show its own error.
        if error.name is not None and error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtra(
            f"the package {module} is not installed; "
            f"install it with: pip install 'edgeemo[{extra}]'"
        ) from None


def within(name: str, value: object, low: float, high: float) -> float:
    """A number that a caller gave, checked.

    Args:
        name: of the argument, for the message.
        value: what was given.
        low: least value.
        high: greatest value.

    Returns:
        It as a float.

    Raises:
        BadInput: no real number, NaN, or out of range.
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not low <= float(value) <= high:  # type: ignore[arg-type]
        shown = printable(repr(value), 80)
        raise BadInput(f"{name} is {shown}; expected {low:g} to {high:g}")
    return float(value)  # type: ignore[arg-type]


def printable(value: object, most: int = 200) -> str:
    """What came from outside as text that may go to a terminal, a log or a page.

    Args:
        value: a name, a key, a message of other software; its `str` is shown.
        most: length at which it is cut, with "..." in place of the rest.

    Returns:
        One line: tabs and line ends are a blank; control characters, marks that turn the direction
        of writing, and bytes of file names that are no UTF-8 are escaped as in a Python string.
    """
    text = str(value)
    shown = text[: most + 1]  # what follows would be cut: it need not be escaped
    if not shown.isprintable():
        shown = "".join(
            c if c.isprintable() else " " if c in "\t\n\r" else c.encode("unicode_escape").decode()
            for c in shown
        )
    return shown if len(shown) <= most else shown[: max(most - 3, 0)] + "..."


def one_line(error: BaseException) -> str:
    """What a foreign error says, on one line of at most 200 characters; else its class."""
    return printable(" ".join(str(error).split())) or type(error).__name__


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number of things in words.

    Args:
        count: how many.
        one: the word for one of them.
        many: the word for several; None adds an "s" to `one`.

    Returns:
        "1 clip", "2 clips", "1,000 clips".
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def told_of(name: object, error: BaseException) -> str:
    """An error's message, with the name of what it is about in front unless it tells that.

    Args:
        name: of a file or a value.
        error: whose text is told.
    """
    text, shown = str(error), printable(name)
    return text if shown in text else f"{shown}: {text}"


def nearest(name: object, known: Iterable[str], label: str = "known") -> str:
    """A hint for a name that does not exist.

    Args:
        name: what was asked for.
        known: the names that there are.
        label: what to call all of them where none is near.

    Returns:
        "did you mean 'x'?", or "known: " and all names.
    """
    names = list(known)
    # Cut: the comparison takes time with the square of the length.
    near = get_close_matches(str(name)[:100], names, 1, 0.5)
    return f"did you mean {near[0]!r}?" if near else f"{label}: {', '.join(names) or 'none'}"
