"""Frozen dataclasses from JSON and TOML values, and back: strict, with the path of each fault.

Used by FeatureSpec, Card and Recipe, so that an unknown key, a wrong type or a missing value
reads the same wherever it is found: "$.distill.lr: expected float, got str".
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from edgeemo.errors import EdgeemoError

T = TypeVar("T")


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
    hints = get_type_hints(cls)
    for key in value:
        if key not in fields:
            near = get_close_matches(str(key), fields, 1)
            hint = f"did you mean {near[0]!r}?" if near else "known keys: " + ", ".join(fields)
            raise error(f"{path}.{key}: unknown key; {hint}")
    made: dict[str, Any] = {}
    for name, field in fields.items():
        if name in value:
            made[name] = _convert(hints[name], value[name], error, f"{path}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise error(f"{path}.{name}: missing")
    return cls(**made)


def write(value: object) -> Any:
    """Plain JSON values of a dataclass: tuples become lists, mappings become dicts."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: write(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): write(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [write(v) for v in value]
    return value


def _convert(hint: Any, value: object, error: type[EdgeemoError], path: str) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _convert_union(args, value, error, path)
    if origin is Literal:
        if value not in args or type(value) not in {type(a) for a in args}:
            raise error(f"{path}: expected one of {', '.join(map(repr, args))}, got {value!r}")
        return value
    if origin is tuple:
        return _convert_tuple(args, value, error, path)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise error(f"{path}: expected a table, got {_kind(value)}")
        return {str(k): _convert(args[1], v, error, f"{path}.{k}") for k, v in value.items()}
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
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    # bool is a subclass of int in Python; a recipe that says `epochs = true` is a mistake.
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise error(f"{path}: expected {hint.__name__}, got {_kind(value)} {value!r:.40}")
    if isinstance(value, float) and not math.isfinite(value):
        raise error(f"{path}: expected a finite number, got {value}")
    return value


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__
