"""Options that several commands share, and their old names."""

from __future__ import annotations

import argparse
from types import ModuleType

import pytest

from edgeemo.cli import export, live
from edgeemo.cli._options import add_gate


@pytest.mark.parametrize(
    ("command", "old", "new", "values"),
    [(export, "--hop", "--step", []), (live, "--baseline", "--profile", ["me.json"])],
)
def test_an_old_name_works_and_says_the_new_one(
    command: ModuleType, old: str, new: str, values: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert parser.parse_args([old, *values]) == parser.parse_args([new, *values])
    assert capsys.readouterr().err == f"edgeemo: {old} is {new} now\n"
    assert old not in parser.format_help() and new in parser.format_help()


def test_gates() -> None:
    parser = argparse.ArgumentParser()
    add_gate(parser)
    assert parser.parse_args([]).gate == "auto"
    assert parser.parse_args(["--gate", "model"]).gate == "model"
    assert parser.parse_args(["--gate", "none"]).gate == "none"
