"""The guides say what the code says."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import tomllib
from pathlib import Path

import pytest
import soundfile

from edgeemo.artifacts.models import DEFAULT
from edgeemo.cli import live
from edgeemo.compress.data import labels, open_dataset, shipped_speech
from edgeemo.compress.recipes import checks, tables
from edgeemo.errors import BadRecipe
from edgeemo.fusion import Fused
from edgeemo.io import schema
from edgeemo.live.lsl import CHANNELS
from edgeemo.live.osc import bundle
from edgeemo.results.writers import WRITERS

GUIDES = Path(__file__).resolve().parents[1] / "docs" / "guides"


def block(page: str, language: str) -> str:
    """The first fenced block of a language that stands in a guide."""
    text = (GUIDES / page).read_text()
    found = re.search(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def test_the_shown_label_file_is_read(tmp_path: Path) -> None:
    text = block("data.md", "")
    (tmp_path / "labels.csv").write_text(text)
    for line in text.splitlines()[1:]:
        path = tmp_path / line.split(",")[0]
        path.parent.mkdir()
        path.write_bytes(b"")
    clips = open_dataset(tmp_path).clips
    assert [clip.dimensions for clip in clips] == [(0.81, 0.74, 0.22), (0.31, 0.40, 0.48)]


def test_the_sizes_of_packages_are_those_that_were_measured() -> None:
    told = json.loads((GUIDES.parents[1] / "benchmarks" / "results" / "sizes.json").read_text())
    text = (GUIDES / "packages.md").read_text()
    for row in told["packages"]:
        size = f"{row['bytes'] / 1000:,.0f}"
        assert f"| {row['package']} | {row['for']} | {size} | {row['holds']} |" in text


@pytest.mark.parametrize("page", ["streams.md", "files.md"])
def test_the_share_of_soft_speech_that_the_gate_lets_pass_was_measured(page: str) -> None:
    found = json.loads((GUIDES.parents[1] / "benchmarks/results/robustness.json").read_text())
    (row,) = (row for row in found["rows"] if row["condition"] == "level -30 dB")
    told = re.search(r"of clips made 30 dB\s+quieter .*?(\d+) % pass", (GUIDES / page).read_text())
    assert told is not None and int(told[1]) == round(100 * row[DEFAULT]["speech"])


def test_every_column_is_told() -> None:
    text = (GUIDES / "data.md").read_text()
    # `seconds` is written by edgeemo's own tools.
    for column in labels._KNOWN - {"seconds"}:
        assert column.endswith("_sd") or f"`{column}`" in text, column


def test_the_shown_recipe_is_complete() -> None:
    values = tomllib.loads(block("recipes.md", "toml")) | {"name": "shown"}
    made = schema.read(tables.Recipe, values, BadRecipe)
    assert made.distill.epochs == 30


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(tables.Recipe)])
def test_every_table_is_told(field: str) -> None:
    if field not in ("schema", "name", "task", "seed", "open"):
        assert f"`[{field}]`" in (GUIDES / "recipes.md").read_text()


def test_every_loss_is_told() -> None:
    text = (GUIDES / "recipes.md").read_text()
    assert [loss for loss in checks.LOSSES if f"`{loss}`" not in text] == []


def test_the_shown_fusion_runs() -> None:
    exec(block("live.md", "python"), {})


def test_the_shown_stream_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "speech.wav", shipped_speech().clips[0].samples(), 16_000)
    monkeypatch.chdir(tmp_path)
    text = (GUIDES / "streams.md").read_text()
    shown = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert len(shown) == 5
    exec("".join(shown), {})


def test_the_shown_table_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "speech.wav", shipped_speech().clips[0].samples(), 16_000)
    monkeypatch.chdir(tmp_path)
    exec(block("results.md", "python"), {})


def test_every_ending_and_address_is_told() -> None:
    text = (GUIDES / "results.md").read_text()
    assert [ending for ending in WRITERS if ending not in text] == []
    sent = re.findall(
        rb"/edgeemo/\w+", bundle(Fused(0, 0, 0, {"anger": 1.0}, 1, True, expression="a"))
    )
    assert len(sent) == 8
    assert [name for name in sent if f"`{name.decode()}" not in text] == []
    assert f"\n{len(CHANNELS)} float channels" in text


def test_every_option_of_live_is_told() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    live.add_arguments(parser)
    text = (GUIDES / "live.md").read_text()
    options = [name for action in parser._actions for name in action.option_strings]
    # Of every command, in its help; and an old name.
    told = {"--model", "--face-model", "--backend", "--profile", "--baseline"}
    assert [name for name in options if f"{name}" not in text and name not in told] == []
