"""JSON and TOML from outside: bounded, and one line whatever the parser raises."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from edgeemo.errors import BadData, BadRecipe
from edgeemo.io.loading import MOST_DEPTH, load_json, load_toml, parse_json, parse_toml, read_bytes


def test_values_come_back() -> None:
    text = '{"a": [1, 2.5, null, true, "é"], "b": {"c": -9223372036854775807}}'
    assert parse_json(text.encode(), BadData, "x") == {
        "a": [1, 2.5, None, True, "é"],
        "b": {"c": -(2**63) + 1},
    }
    assert parse_toml(b'a = 1\n[b]\nc = "d"\n', BadData, "x") == {"a": 1, "b": {"c": "d"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ('{"a": 1, "a": 2}', "occurs twice"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": -Infinity}', "-Infinity is not a number"),
        ("1" * 400, "more than 64 bits"),
        ("1" * 5000, "is not JSON"),
        ("[" * 40 + "]" * 40, f"more than {MOST_DEPTH} deep"),
        ("[" * 100_000, "is not JSON"),
        ('{"a":' * 100_000, "is not JSON"),
    ],
)
def test_bad_json(text: str, message: str) -> None:
    with pytest.raises(BadData, match=message) as caught:
        parse_json(text.encode(), BadData, "x.json")
    assert str(caught.value).startswith("x.json is not JSON: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "a = ",
        "a = " + "1" * 400,
        "a = " + "1" * 5000,
        "a = " + "[" * 40 + "]" * 40,
        "a = " + "[" * 5000,
        "a = " + "{b=" * 2000,
        ".".join("a" * 200) + " = 1",
        "a = 1\na.b = 2",
        "[a]\n[[a]]",
        "a = 9999-99-99",
        "a = 25:61:00",
        "a = '\udc80'",
    ],
)
def test_bad_toml(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(BadRecipe, match=r"x\.toml is not TOML: ") as caught:
        load_toml(path, BadRecipe)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


def test_a_number_too_large_for_a_float_is_left_to_the_schema() -> None:
    assert math.isinf(parse_json("1e999", BadData, "x"))


def test_bytes_are_bounded_before_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "big.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole: takes no room on the disk
    with pytest.raises(BadData, match="1099511627776 bytes; at most 1048576 are read"):
        load_json(path, BadData)


@pytest.mark.parametrize("name", ["none.json", ".", "a\0b"])
def test_what_is_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadData, match=r"no such file|not a file|cannot be read"):
        read_bytes(tmp_path / name, BadData)
