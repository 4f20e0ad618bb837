"""`edgeemo students`: costs before training are those of the student that training makes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from edgeemo.artifacts.models import shipped
from edgeemo.cli import main
from edgeemo.compress.students import student_names

ROOT = Path(__file__).resolve().parents[3]


def test_all_students_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["students", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["name"] for row in rows] == list(student_names())
    assert all(row["parameters"] > 0 and row["activation_bytes"] > 0 for row in rows)
    assert [r["name"] for r in rows if r["stream_bytes"] is not None] == ["wav2small-stream"]


def test_costs_are_those_on_the_shipped_card(capsys: pytest.CaptureFixture[str]) -> None:
    """Its recipe keeps 96 channels of the embedding, and its heads have 48 hidden ones."""
    options = ["--option", "pooled=96", "--option", "hidden=48"]
    assert main(["students", "wav2small-stream", *options, "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    card = next(m.card for m in shipped() if m.name == "wav2small-stream")
    assert row["macs_per_second"] == card.macs_per_second
    assert row["parameters"] == card.parameters
    # What the engine takes on a Cortex-M, measured: rows, and some 2 KB to manage them.
    budget = tomllib.loads((ROOT / "cmake_ext" / "budget_model.toml").read_text(encoding="utf-8"))
    assert 0.7 < row["stream_bytes"] / budget["Cortex-M4F"]["memory"] <= 1


def test_options_change_the_costs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["students", "wav2small-stream", "--option", "width=16", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"] < 40_000
    assert main(["students", "wav2small-stream", "--option", "wdith=16"]) == 2
    assert "no option 'wdith'" in capsys.readouterr().err
    assert main(["students", "--option", "width=16"]) == 2
    assert main(["students", "wav2small", "--option", "width"]) == 2
    assert "expected KEY=NUMBER" in capsys.readouterr().err
