"""The command that rewrites the cards of shipped models leaves them as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from edgeemo.artifacts.models import shipped
from edgeemo.artifacts.onnx import check as check_onnx
from edgeemo.artifacts.tflite import check as check_tflite

Tool = Callable[[str], ModuleType]


def test_shipped_cards_are_what_the_command_makes(
    tool: Tool, corpora: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tool("shipped_cards").main(["--check", "--data", str(corpora)]) == 0
    assert capsys.readouterr().out.count("as it was") == 7


def test_another_card_changes_no_digest(tool: Tool) -> None:
    cards = tool("shipped_cards")
    for model in shipped():
        check = check_onnx if model.format == "onnx" else lambda data: check_tflite(data).card
        assert cards.with_new_card(model.path, model.card) == model.path.read_bytes()
        other = check(cards.with_new_card(model.path, replace(model.card, licence="CC0-1.0")))
        assert other == replace(model.card, licence="CC0-1.0")
