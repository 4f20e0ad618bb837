"""The glossary's retired words do not occur where a user reads."""

from __future__ import annotations

import argparse
import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import edgeemo.cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "guides").glob("*.md")),
    ROOT / "docs" / "tutorial.md",
]
CODE = [
    p
    for part in ("edgeemo", "compress", "export", "tools")
    for p in sorted((ROOT / part).rglob("*.py"))
    if p.relative_to(ROOT).parts[:2] not in {("edgeemo", "compress"), ("edgeemo", "export")}
]


def retired() -> list[str]:
    """First column of the glossary's last table."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", text.split("## Retired words")[1], re.MULTILINE)
    return [row for row in rows if row not in ("retired", "---")]


WORDS = re.compile("|".join(rf"\b{re.escape(word)}s?\b" for word in retired()), re.IGNORECASE)


def faults(where: str, text: str) -> list[str]:
    """Lines of a text that hold a retired word."""
    return [
        f"{where}:{n}: {m[0]}"
        for n, line in enumerate(text.splitlines(), 1)
        for m in WORDS.finditer(line)
    ]


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """Constant texts in `raise` statements, warnings and log calls of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        call = isinstance(node, ast.Call) and re.search(
            r"(warn|warning|info|error)$", ast.unparse(node.func)
        )
        if isinstance(node, ast.Raise) or call:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                    yield inner.lineno, inner.value


def commands() -> list[str]:
    """Names of the command line's modules that are commands."""
    found = [m.name for m in pkgutil.iter_modules(edgeemo.cli.__path__)]
    return [
        n for n in found if hasattr(importlib.import_module(f"edgeemo.cli.{n}"), "add_arguments")
    ]


def test_the_list_is_read() -> None:
    assert {"trunk", "drawing", "hears"} <= set(retired()) and len(retired()) >= 12
    assert faults("x", "the trunk is taught on") == ["x:1: trunk", "x:1: taught on"]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_pages_use_the_words(page: Path) -> None:
    assert faults(page.name, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", commands())
def test_help_texts_use_the_words(name: str) -> None:
    module = importlib.import_module(f"edgeemo.cli.{name}")
    parser = argparse.ArgumentParser(name, description=module.HELP)
    module.add_arguments(parser)
    assert faults(name, parser.format_help()) == []


def test_messages_use_the_words() -> None:
    assert len(CODE) > 150
    found = [
        f
        for path in CODE
        for line, text in messages(path)
        for f in faults(f"{path.relative_to(ROOT)}:{line}", text)
    ]
    assert found == []
