"""Runs side by side: real ones, of which one is a changed copy of the other."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edgeemo.cli import main
from edgeemo.compress.data import DataSet
from edgeemo.compress.evaluation.runs import apart, differences, find_runs, scalars, to_csv, view
from edgeemo.compress.pipeline import distill
from edgeemo.compress.recipes import DataConfig, DistillConfig
from edgeemo.compress.run import Run
from edgeemo.errors import BadInput


@pytest.fixture(scope="module")
def runs(tmp_path_factory, recipe, some_clips, ear) -> Path:
    """one, finished; two, the same with another rate, other data and other test people."""
    folder = tmp_path_factory.mktemp("runs")
    config = replace(
        recipe,
        distill=DistillConfig(epochs=2, batch=16, lr=1e-2),
        data=DataConfig(valid=0.3, test=0.3),
    )
    distill(Run.begin(folder / "one", config, {"data": "a"}), DataSet("some", some_clips), ear())
    shutil.copytree(folder / "one", folder / "two")
    recipe_file = folder / "two" / "recipe.toml"
    text = recipe_file.read_text()
    assert "lr = 0.01\n" in text
    recipe_file.write_text(text.replace("lr = 0.01\n", "lr = 0.02\n", 1))
    return folder


def changed(folder: Path, file: str, change) -> None:
    value = json.loads((folder / file).read_text())
    change(value)
    (folder / file).write_text(json.dumps(value))


def test_a_run_is_read(runs: Path) -> None:
    found = view(runs / "one")
    facts = Run(runs / "one").facts()
    assert (found.name, found.state) == ("one", "finished")
    assert found.costs == {"parameters": facts.parameters, "macs_per_second": facts.macs_per_second}
    assert found.metrics["ccc against the teacher arousal"] == facts.metrics[0].value
    assert found.test_set == facts.metrics[0].test_set
    curve = [value for name, _, value in scalars(found) if name == "valid.ccc.mean"]
    assert curve == [epoch["valid"]["ccc"]["mean"] for epoch in Run(runs / "one").history()]


def test_differences_and_what_cannot_be_compared(runs: Path, tmp_path: Path) -> None:
    one, two = (view(folder) for folder in find_runs(runs))
    assert differences([one, two]) == {"distill.lr": [0.01, 0.02]}
    assert apart([one, two]) == []
    other = tmp_path / "other"
    shutil.copytree(runs / "two", other)
    changed(other, "split.json", lambda split: split["test"].pop())
    (text,) = apart([one, view(other)])
    assert text.startswith("one and other were tested on different people: ")
    changed(other, "environment.json", lambda value: value["given"].update(data="b"))
    assert apart([one, view(other)]) == ["one and other are of different data: a and b"]


def test_a_run_of_packed_labels_is_read(runs: Path, tmp_path: Path) -> None:
    for name, labels in (("a", "1f"), ("b", "1f"), ("c", "2e")):
        shutil.copytree(runs / "one", tmp_path / name)
        changed(tmp_path / name, "split.json", lambda s, of=labels: s.update(labels=of, test=10))
    a, b, c = (view(folder) for folder in find_runs(tmp_path))
    assert a.state == "finished" and a.metrics and apart([a, b]) == []
    assert apart([a, c]) == ["a and c were tested on different people: labels 1f, labels 2e"]


def test_csv_has_a_line_a_run(runs: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv([view(f) for f in find_runs(runs)]))))
    assert [(r["run"], r["recipe.distill.lr"]) for r in rows] == [("one", "0.01"), ("two", "0.02")]
    assert float(rows[0]["parameters"]) == Run(runs / "one").facts().parameters


def test_the_command_lists_and_compares(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--folder", str(runs)]) == 0
    assert "one: finished, probe" in capsys.readouterr().out
    assert main(["runs", str(runs / "one"), str(runs / "two")]) == 0
    compared = capsys.readouterr().out
    assert main(["runs", "one", "two", "--folder", str(runs)]) == 0  # as the list calls them
    assert capsys.readouterr().out == compared
    assert main(["runs", str(runs / "one"), str(runs / "two")]) == 0
    out = capsys.readouterr().out
    assert "distill.lr" in out and "0.02" in out and "not comparable" not in out
    assert main(["runs", "--json", "--folder", str(runs), "--csv", str(runs / "all.csv")]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [len(r["history"]) for r in rows] == [2, 2]
    assert (runs / "all.csv").read_text().startswith("run,state")


def test_no_runs_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no runs in it"):
        find_runs(tmp_path)


def test_curves_become_events(runs: Path, tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    assert main(["runs", str(runs / "one"), "--tensorboard", str(tmp_path)]) == 0
    events = reader.EventAccumulator(str(tmp_path / "one"))
    events.Reload()
    found = [e.value for e in events.Scalars("valid/ccc/mean")]
    wanted = [epoch["valid"]["ccc"]["mean"] for epoch in Run(runs / "one").history()]
    assert found == pytest.approx(wanted, abs=1e-6)
