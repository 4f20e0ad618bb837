"""The command that rewrites the cards of shipped models leaves them as they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from edgeemo.artifacts.models import shipped

Tool = Callable[[str], ModuleType]
ROOT = Path(__file__).resolve().parents[2]


def test_shipped_cards_are_what_the_command_makes(
    tool: Tool, corpora: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tool("shipped_cards").main(["--check", "--data", str(corpora)]) == 0
    assert capsys.readouterr().out.count("as it was") == 13


def test_another_card_changes_no_digest(tool: Tool) -> None:
    """Once a file is as small as the writer makes it, as all that are shipped are."""
    cards = tool("shipped_cards")
    for model in shipped():
        same, other = model.card, replace(model.card, licence="CC0-1.0")
        for card in (same, other):
            assert cards.card_of(model.path, cards.with_new_card(model.path, card)) == card


def test_figures_on_cards_are_those_of_the_benchmarks(tool: Tool) -> None:
    """The README shows the same files of results."""
    metrics_of = tool("shipped_cards").metrics_of
    for model in shipped():
        assert model.card.metrics == metrics_of(model.card), model.path.name
    student = next(m.card for m in shipped() if m.name == "wav2small-stream")
    result = json.loads((ROOT / "benchmarks/results/crossval.json").read_text())
    row = next(r for r in result["rows"] if r["name"] == "wav2small-stream, int8")
    assert [m.value for m in student.metrics] == [row[m.of]["mean"] for m in student.metrics]


def test_cards_of_faces_name_their_start_and_what_nobody_rated() -> None:
    starts = {"efficientnet-lite0-face": {"imagenet"}, "mobilenetv1-face": {"vggface2"}}
    faces = [m.card for m in shipped() if m.card.task == "face"]
    assert len(faces) == 5
    for card in faces:
        assert card.trained_on is not None and card.trained_on.unknown == ()
        assert starts.get(card.name, {"ms1m", "vggface2"}) <= {*card.trained_on.corpora}
        named = [s for s in card.teachers if s.name.startswith("first weights ")]
        assert named and all(s.licence == "Apache-2.0" for s in named)
        assert any("valence" in text for text in card.not_validated_for)
