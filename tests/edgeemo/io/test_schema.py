"""Dataclasses from plain values: each fault has its path, and no value is too odd to tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from edgeemo.errors import BadData
from edgeemo.io import schema


@dataclass(frozen=True)
class Inner:
    size: int = 1


@dataclass(frozen=True)
class Outer:
    name: str
    share: float = 0.5
    kind: Literal["a", "b"] = "a"
    inner: Inner | None = None
    sizes: tuple[int, ...] = ()
    pair: tuple[float, float] = (0.0, 1.0)
    weights: Mapping[str, float] | None = None


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_round_trip() -> None:
    whole = Outer("x", 0.25, "b", Inner(3), (1, 2), (0.5, 1.5), {"ccc": 1.0})
    assert schema.read(Outer, schema.write(whole), BadData) == whole
    assert schema.read(Outer, {"name": "x", "share": 1}, BadData).share == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nme": "x"}, r"\$\.nme: unknown key; did you mean 'name'"),
        ({"q": 1}, r"\$\.q: unknown key; known keys: name, share"),
        ({"a\n\x1b[31mb" + "k" * 30_000: 1}, r"\$\.a \\x1b\[31mb"),
        ({"share": 10**400}, r"\$\.share: expected a number of at most 64 bits"),
        ({"sizes": [1, 10**30]}, r"\$\.sizes\[1\]: expected a number of at most 64 bits"),
        ({"share": float("nan")}, r"\$\.share: expected a finite number, got nan"),
        ({"share": True}, r"\$\.share: expected float, got bool True"),
        ({"share": deep(3000)}, r"\$\.share: expected float, got list$"),
        ({"kind": deep(3000)}, r"\$\.kind: expected one of 'a', 'b', got list$"),
        ({"kind": 10**5000}, r"\$\.kind: expected one of 'a', 'b', got beyond 64 bits$"),
        ({"kind": "c" * 30_000}, r"\$\.kind: .*got 'c+\.\.\.$"),
        ({"name": None}, r"\$\.name: expected str, got nothing$"),
        ({"name": "a\nb"}, r"\$\.name: expected one line of at most"),
        ({"name": "\x1b[2J"}, r"\$\.name: expected one line of at most"),
        ({"name": "x" * 30_000}, r"\$\.name: expected one line of at most 4000"),
        ({"inner": {"size": 1.5}}, r"\$\.inner\.size: expected int, got float 1\.5"),
        ({"pair": [1]}, r"\$\.pair: expected a list of 2, got 1"),
        ({"weights": {"a\tb": "x"}}, r"\$\.weights\.a b: expected float, got str 'x'"),
    ],
)
def test_faults_have_a_path(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadData, match=message) as caught:
        schema.read(Outer, {"name": "x"} | change, BadData)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


def test_brief_leaves_out_what_is_not_known() -> None:
    for value in (Outer("", inner=Inner()), Outer("x", weights={"a": 0.0})):
        plain = schema.write(value, brief=True)
        absent = {k for k in ("inner", "weights") if getattr(value, k) is None}
        assert schema.write(value).keys() - plain.keys() == absent
        assert schema.read(Outer, plain, BadData) == value
