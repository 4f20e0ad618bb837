"""Errors are one line that a terminal can show, whatever they quote."""

from __future__ import annotations

import pytest

from edgeemo.errors import (
    BadInput,
    EdgeemoError,
    ParityFailed,
    counted,
    nearest,
    one_line,
    printable,
    told_of,
)

FOREIGN = "a\x1b[31m\tb\nc\r\x00\u202ed\udcff\x85\u2028"


def test_control_characters_are_escaped() -> None:
    assert printable(FOREIGN) == "a\\x1b[31m b c \\x00\\u202ed\\udcff\\x85\\u2028"
    assert printable("plain é 語 ☃") == "plain é 語 ☃"
    assert printable(FOREIGN).isprintable()


def test_length_is_cut() -> None:
    assert printable("x" * 30_000) == "x" * 197 + "..."
    assert printable("x" * 200) == "x" * 200
    assert printable("abcdef", 5) == "ab..."


def test_every_error_is_one_line() -> None:
    for kind in EdgeemoError.__subclasses__():
        if kind is not ParityFailed:
            said = str(kind(f"m.onnx: {FOREIGN}" + "y" * 30_000))
            assert said.isprintable() and len(said) == 4000, kind
    said = str(ParityFailed("table\nrow \x1b[2J"))
    assert said == "table\nrow \\x1b[2J"


def test_a_quoted_error_is_escaped_once() -> None:
    assert str(BadInput(f"f: {BadInput(FOREIGN)}")) == f"f: {printable(FOREIGN)}"


def test_foreign_errors() -> None:
    assert one_line(ValueError("a\n  b\x1b")) == "a b\\x1b"
    assert one_line(KeyError()) == "KeyError"


def test_one_of_a_thing_has_no_plural() -> None:
    assert [counted(n, "clip") for n in (0, 1, 1200)] == ["0 clips", "1 clip", "1,200 clips"]
    assert counted(1, "person", "people") == "1 person"
    assert counted(2, "person", "people") == "2 people"


@pytest.mark.parametrize("name", ["x" * 100_000, "\x1b", ""])
def test_a_name_like_none(name: str) -> None:
    assert nearest(name, ["one", "two"]) == "known: one, two"


def test_what_an_error_is_about_is_named_once() -> None:
    assert told_of("a.wav", BadInput("x/a.wav: no such file")) == "x/a.wav: no such file"
    assert told_of("a\x1b.wav", BadInput("nobody speaks")) == "a\\x1b.wav: nobody speaks"
