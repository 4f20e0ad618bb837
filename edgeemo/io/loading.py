"""The one way to read JSON and TOML that came from outside.

Bytes are bounded before they are read, nesting and integers before they are used, and whatever a
parser raises becomes an error of one line.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgeemo.errors import EdgeemoError, one_line
from edgeemo.io.schema import MOST_INTEGER

MOST_DEPTH = 32
"""Lists and tables in each other; a card has 5."""

MOST_BYTES = 1 << 20
"""Largest file that is read unless the caller knows better, in bytes."""


def read_bytes(path: Path, error: type[EdgeemoError], most: int = MOST_BYTES) -> bytes:
    """The bytes of a file.

    Args:
        path: the file.
        error: the class of error to raise.
        most: bytes that it may have.

    Raises:
        EdgeemoError: (of class `error`) not there, not a file, larger than `most`, or the system
            refuses.
    """
    try:
        if not path.is_file():
            raise error(f"{path}: {'not a file' if path.exists() else 'no such file'}")
        with path.open("rb") as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise error(f"{path}: {path.stat().st_size} bytes; at most {most} are read")
        return data
    except (OSError, ValueError) as fault:
        raise error(f"{path}: cannot be read: {one_line(fault)}") from None


def parse_json(
    data: bytes | str, error: type[EdgeemoError], where: object, *, nan: bool = False
) -> Any:
    """The value of a JSON text.

    Args:
        data: UTF-8, already bounded.
        error: the class of error to raise.
        where: the file's name, for messages.
        nan: whether NaN and infinity are taken: figures of a training that went astray.

    Raises:
        EdgeemoError: (of class `error`) not JSON, a key twice in one table, NaN or infinity, an
            integer beyond 64 bits, or nested deeper than MOST_DEPTH.
    """
    constant = float if nan else _no_constant
    return _parse(
        lambda: json.loads(data, object_pairs_hook=_no_twins, parse_constant=constant),
        error,
        f"{where} is not JSON",
    )


def parse_toml(data: bytes, error: type[EdgeemoError], where: object) -> dict[str, Any]:
    """The tables of a TOML text; see `parse_json`.

    Args:
        data: UTF-8, already bounded.
        error: the class of error to raise.
        where: the file's name, for messages.

    Raises:
        EdgeemoError: (of class `error`) not TOML, an integer beyond 64 bits, or nested too deep.
    """
    made: dict[str, Any] = _parse(
        lambda: tomllib.loads(data.decode()), error, f"{where} is not TOML"
    )
    return made


def load_json(path: Path, error: type[EdgeemoError], most: int = MOST_BYTES) -> Any:
    """The value of a JSON file; see `read_bytes` and `parse_json`.

    Args:
        path: the file.
        error: the class of error to raise.
        most: bytes that it may have.

    Raises:
        EdgeemoError: (of class `error`) as for `read_bytes` and `parse_json`.
    """
    return parse_json(read_bytes(path, error, most), error, path)


def load_toml(path: Path, error: type[EdgeemoError], most: int = MOST_BYTES) -> dict[str, Any]:
    """The tables of a TOML file; see `read_bytes` and `parse_toml`.

    Args:
        path: the file.
        error: the class of error to raise.
        most: bytes that it may have.

    Raises:
        EdgeemoError: (of class `error`) as for `read_bytes` and `parse_toml`.
    """
    return parse_toml(read_bytes(path, error, most), error, path)


def _parse(parse: Callable[[], Any], error: type[EdgeemoError], where: str) -> Any:
    try:
        value = parse()
        _check(value)
        return value
    # ValueError covers bad UTF-8 and integers of thousands of digits; a parser that recurses
    # raises RecursionError, tomllib AttributeError or TypeError on some tables that clash.
    except (ValueError, RecursionError, OverflowError, LookupError, TypeError, AttributeError) as e:
        raise error(f"{where}: {one_line(e)}") from None


def _check(value: Any) -> None:
    """Bound nesting and integers, without recursion."""
    level, depth = [value], 0
    while level:
        if depth > MOST_DEPTH:
            raise ValueError(f"nested more than {MOST_DEPTH} deep")
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, int) and abs(item) > MOST_INTEGER:
                raise ValueError("an integer of more than 64 bits")
        level, depth = below, depth + 1


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key occurs twice in one table")
    return made


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number that JSON may hold")
