"""Runs beside each other: what they were made with, what they reached, what they cost."""

from __future__ import annotations

import csv
import io
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeemo.errors import BadData, BadInput
from edgeemo.io.loading import load_json

from ..run import Run

_MOST = 64 << 20  # bytes of a JSON file of a run

Flat = dict[str, Any]
"""Values by dotted name."""


@dataclass(frozen=True)
class RunView:
    """One run, as far as it has come.

    Attributes:
        name: of its folder.
        state: "finished", "cross-validation", or "not finished".
        recipe: the recipe's values by dotted name.
        given: what the command was told, for example the data.
        metrics: figures by "measure of output", on the test split or over all folds.
        test_set: what they were measured on.
        costs: parameters, MACs.
        test_speakers: of the test split.
        history: of each epoch, by dotted name.
    """

    name: str
    state: str
    recipe: Flat
    given: Flat
    metrics: Flat = field(default_factory=dict)
    test_set: str = ""
    costs: Flat = field(default_factory=dict)
    test_speakers: tuple[str, ...] = ()
    history: tuple[Flat, ...] = ()


def find_runs(folder: Path) -> list[Path]:
    """Folders of runs in a folder, by name.

    Raises:
        BadInput: no such folder, or no run in it.
    """
    found = [p for p in sorted(folder.glob("*")) if (p / "recipe.toml").is_file()]
    if not found:
        raise BadInput(f"{folder}: no runs in it; make one with: edgeemo distill")
    return found


def view(folder: Path) -> RunView:
    """Read a run.

    Raises:
        BadInput: not a run.
        BadArtifact, BadData: one of its files is damaged.
    """
    run = Run(folder)
    recipe = _flat(tomllib.loads((folder / "recipe.toml").read_text(encoding="utf-8")))
    base = RunView(folder.name, "not finished", recipe, run.given, history=_history(run))
    split = folder / "split.json"
    dealt = _json(split) if split.is_file() else {}
    people = dealt.get("test", [])
    if isinstance(people, int):  # of packed labels only counts are kept; these say who was tested
        people = [f"labels {dealt['labels']}"]
    if (folder / "crossval.json").is_file():
        return _crossval(base, _json(folder / "crossval.json"))
    if not run.finished:
        return base
    facts = run.facts()
    sets = list(dict.fromkeys(m.test_set for m in facts.metrics))
    metrics = {
        f"{m.measure} {m.of}": m.value for m in facts.metrics if m.test_set == (sets or [""])[0]
    }
    costs = {"parameters": facts.parameters, "macs_per_second": facts.macs_per_second}
    return RunView(
        base.name,
        "finished",
        recipe,
        base.given,
        metrics,
        (sets or [""])[0],
        costs,
        tuple(people),
        base.history,
    )


def _crossval(base: RunView, found: Mapping[str, Any]) -> RunView:
    metrics = {
        f"ccc against {name} {of}": score["mean"]
        for key, name in (("annotators", "annotators"), ("teacher_agreement", "the teacher"))
        for of, score in found.get(key, {}).items()
    }
    metrics |= {f"{of} classes": score["mean"] for of, score in found.get("classes", {}).items()}
    where = f"{found.get('data')}: {found.get('protocol')}"
    return RunView(base.name, "cross-validation", base.recipe, base.given, metrics, where)


def differences(views: Sequence[RunView]) -> dict[str, list[Any]]:
    """Values of recipe and command that are not the same in all runs, by dotted name."""
    rows = [v.recipe | {f"given.{k}": x for k, x in v.given.items()} for v in views]
    names = sorted({name for row in rows for name in row})
    found = {name: [row.get(name) for row in rows] for name in names}
    return {n: v for n, v in found.items() if any(x != v[0] for x in v)}


def apart(views: Sequence[RunView]) -> list[str]:
    """Why figures may not be compared: other data or other test people, by the runs' names."""
    first, told = views[0], []
    for other in views[1:]:
        if other.given.get("data") != first.given.get("data"):
            told.append(
                f"{first.name} and {other.name} are of different data: "
                f"{_data(first)} and {_data(other)}"
            )
        elif other.test_speakers != first.test_speakers:
            only = sorted({*first.test_speakers} ^ {*other.test_speakers})
            names = ", ".join(only[:4]) + (" ..." if len(only) > 4 else "")
            told.append(f"{first.name} and {other.name} were tested on different people: {names}")
    return told


def _data(run: RunView) -> str:
    return str(run.given.get("data") or "the shipped speech")


def to_csv(views: Sequence[RunView]) -> str:
    """A line a run: state, costs, recipe, metrics; a column for all that any run has."""
    rows = [
        {"run": v.name, "state": v.state, "test_set": v.test_set}
        | v.costs
        | v.metrics
        | {f"recipe.{k}": x for k, x in v.recipe.items()}
        for v in views
    ]
    text = io.StringIO()
    writer = csv.DictWriter(
        text, list(dict.fromkeys(k for r in rows for k in r)), lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def scalars(run: RunView) -> Iterator[tuple[str, int, float]]:
    """Name, epoch and value of each figure of the training."""
    for number, epoch in enumerate(run.history):
        for name, value in epoch.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool) and name != "epoch":
                yield name, number, float(value)


def _history(run: Run) -> tuple[Flat, ...]:
    written = (run.folder / "metrics.jsonl").is_file()
    return tuple(_flat(epoch) for epoch in run.history()) if written else ()


def _json(path: Path) -> dict[str, Any]:
    value = load_json(path, BadData, _MOST)
    if not isinstance(value, dict):
        raise BadData(f"{path}: expected a table of JSON")
    return value


def _flat(value: Mapping[str, Any], prefix: str = "") -> Flat:
    out: Flat = {}
    for key, item in value.items():
        name = f"{prefix}{key}"
        out |= _flat(item, f"{name}.") if isinstance(item, Mapping) else {name: item}
    return out
