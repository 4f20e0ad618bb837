"""Frozen dataclasses from JSON and TOML values, and back: strict, with the path of each fault.

Used by FeatureSpec, Card and Recipe, so that an unknown key, a wrong type or a missing value
reads the same wherever it is found: "$.distill.lr: expected float, got str".
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from edgeemo.errors import EdgeemoError, nearest, printable

T = TypeVar("T")

MOST_TEXT = 4000
"""Longest text of a field, in characters; it is printed somewhere, so it is one line."""

MOST_INTEGER = 2**63 - 1
"""Largest integer of a JSON or TOML file: what TOML promises, and what an int64 holds."""


def read(cls: type[T], value: object, error: type[EdgeemoError], path: str = "$") -> T:
    """Build a dataclass from plain JSON or TOML values.

    Args:
        cls: a dataclass whose fields are int, float, bool, str, Literal, None, tuple[X, ...],
            tuple[X, Y], Mapping[str, X], further dataclasses or a choice of some (A | B).
        value: what the parser gave.
        error: the class of error to raise.
        path: where `value` stands in its file, for messages.

    Returns:
        An instance of `cls`. Its `__post_init__` checks ranges and raises on its own.

    Raises:
        EdgeemoError: (of class `error`) unknown key, missing key, or wrong type, with its path.
    """
    if not isinstance(value, Mapping):
        raise error(f"{path}: expected a table of {cls.__name__}, got {_kind(value)}")
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = _hints(cls)  # type: ignore[arg-type]  # a class can be hashed
    for key in value:
        if key not in fields:
            name = printable(key, 80)
            raise error(f"{path}.{name}: unknown key; {nearest(key, fields, 'known keys')}")
    made: dict[str, Any] = {}
    for name, field in fields.items():
        if name in value:
            made[name] = _convert(hints[name], value[name], error, f"{path}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise error(f"{path}.{name}: missing")
    return cls(**made)


@cache
def _hints(cls: type) -> Mapping[str, Any]:
    """Types of a dataclass's fields; making them compiles each annotation."""
    return get_type_hints(cls)


def write(value: object, *, brief: bool = False) -> Any:
    """Plain JSON values of a dataclass: tuples become lists, mappings become dicts.

    Args:
        value: a dataclass, or what its fields may hold.
        brief: leave out None and "" where `read` takes the same for a key that is not there.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        given = ((f, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {
            f.name: write(v, brief=brief)
            for f, v in given
            if not (brief and v in (None, "") and v == f.default)
        }
    if isinstance(value, Mapping):
        return {str(k): write(v, brief=brief) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [write(v, brief=brief) for v in value]
    return value


def _convert(hint: Any, value: object, error: type[EdgeemoError], path: str) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _convert_union(args, value, error, path)
    if origin is Literal:
        if value not in args or type(value) not in {type(a) for a in args}:
            known = ", ".join(map(repr, args))
            raise error(f"{path}: expected one of {known}, got {_shown(value)}")
        return value
    if origin is tuple:
        return _convert_tuple(args, value, error, path)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise error(f"{path}: expected a table, got {_kind(value)}")
        return {
            str(k): _convert(args[1], v, error, f"{path}.{printable(k, 80)}")
            for k, v in value.items()
        }
    if dataclasses.is_dataclass(hint):
        return read(hint, value, error, path)  # type: ignore[arg-type]
    return _convert_scalar(hint, value, error, path)


def _convert_union(
    args: tuple[Any, ...], value: object, error: type[EdgeemoError], path: str
) -> Any:
    if value is None and type(None) in args:
        return None
    rest = [a for a in args if a is not type(None)]
    if len(rest) > 1:
        if not all(map(dataclasses.is_dataclass, rest)):
            raise TypeError(f"{path}: a schema field may be X, None or one of several dataclasses")
        # The dataclass that knows most of the keys; `read` then names what is wrong with it.
        keys = set(value) if isinstance(value, Mapping) else set()
        rest.sort(key=lambda cls: -len(keys & {f.name for f in dataclasses.fields(cls)}))
    return _convert(rest[0], value, error, path)


def _convert_tuple(
    args: tuple[Any, ...], value: object, error: type[EdgeemoError], path: str
) -> Any:
    if not isinstance(value, (list, tuple)):
        raise error(f"{path}: expected a list, got {_kind(value)}")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_convert(args[0], v, error, f"{path}[{i}]") for i, v in enumerate(value))
    if len(args) != len(value):
        raise error(f"{path}: expected a list of {len(args)}, got {len(value)}")
    pairs = enumerate(zip(args, value, strict=True))
    return tuple(_convert(a, v, error, f"{path}[{i}]") for i, (a, v) in pairs)


def _convert_scalar(hint: Any, value: object, error: type[EdgeemoError], path: str) -> Any:
    if isinstance(value, int) and abs(value) > MOST_INTEGER:
        raise error(f"{path}: expected a number of at most 64 bits")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    # bool is a subclass of int in Python; a recipe that says `epochs = true` is a mistake.
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        shown = dict.fromkeys([_kind(value), _shown(value)])
        raise error(f"{path}: expected {hint.__name__}, got {' '.join(shown)}")
    if isinstance(value, str) and (len(value) > MOST_TEXT or not value.isprintable()):
        raise error(f"{path}: expected one line of at most {MOST_TEXT} characters")
    if isinstance(value, float) and not math.isfinite(value):
        raise error(f"{path}: expected a finite number, got {value}")
    return value


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__


def _shown(value: object) -> str:
    """A wrong value for a message; what it holds may be deep or huge, and is not shown then."""
    if isinstance(value, (str, float, bool)):
        return printable(repr(value), 40)
    if isinstance(value, int):
        return repr(value) if abs(value) <= MOST_INTEGER else "beyond 64 bits"
    return _kind(value)
