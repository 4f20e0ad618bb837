"""Files of a run that somebody changed: one line, whatever is in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeemo.compress.recipes import dump_recipe, load_recipe
from edgeemo.compress.run import Run
from edgeemo.errors import BadArtifact

WRONG = {
    "deep": "[" * 5000 + "]" * 5000,
    "a long integer": '{"schema": ' + "9" * 400 + "}",
    "no table": "[]",
    "two keys": '{"schema": 1, "schema": 1}',
    "half": '{"schema": 1',
    "no text": "\x00\x1b[31m",
    "huge": '{"schema": "' + "x" * (1 << 20) + '"}',
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "recipe.toml").write_text(dump_recipe(load_recipe("demo")))
    return Run(tmp_path)


@pytest.mark.parametrize("text", list(WRONG.values()), ids=list(WRONG))
@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl", "environment.json", "ranges.json"])
def test_a_changed_file_is_refused_in_one_line(run: Run, name: str, text: str) -> None:
    (run.folder / name).write_text(text)
    with pytest.raises(BadArtifact) as caught:
        {
            "run.json": run.facts,
            "metrics.jsonl": run.history,
            "environment.json": lambda: run.given,
            "ranges.json": run.ranges,
        }[name]()
    said = str(caught.value)
    assert name in said and said.isprintable() and len(said) < 700


def test_a_training_that_went_astray_has_a_history(run: Run) -> None:
    (run.folder / "metrics.jsonl").write_text(json.dumps({"loss": float("nan")}) + "\n")
    (epoch,) = run.history()
    assert epoch["loss"] != epoch["loss"]
