"""How `edgeemo evaluate` shows its figures: lines for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edgeemo.artifacts.trained_on import MODEL, TEACHER
from edgeemo.errors import counted
from edgeemo.evaluation.confusion import Confusion, confusion
from edgeemo.evaluation.evaluate import Judged, figures
from edgeemo.evaluation.seen import Seen

if TYPE_CHECKING:
    from edgeemo.compress.data import DataSet

Sections = Mapping[str, Sequence[Judged]]
"""Rows by whom they are of: "all", or "unseen" people."""


def as_json(model: str, data: DataSet, sections: Sections, seen: Seen | None) -> Iterator[str]:
    """One object a measure; the key `people` tells of whom.

    Args:
        model: its name.
        data: what was asked for.
        sections: judged rows.
        seen: who was in the training; None where the card does not say.
    """
    head = {"model": model, "data": data.name}
    for of, who in (("model", MODEL), ("teacher", TEACHER)):
        row: dict[str, Any] = {"measure": "seen", "of": of, "value": None}
        if seen is not None:
            row["value"] = seen.clips(who) / len(seen.by)
            row |= {"clips": seen.clips(who), "speakers": seen.people(who)}
            row |= {"corpora": seen.corpora, "unknown": seen.unknown}
        yield json.dumps(head | row)
    for people, rows in sections.items():
        for figure in figures(rows):
            yield json.dumps(head | {"people": people} | asdict(figure))
        matrix = confusion(rows)
        for each in _classes(matrix) if matrix is not None else ():
            yield json.dumps(head | {"people": people} | each)


def _classes(matrix: Confusion) -> Iterator[dict[str, Any]]:
    def row(measure: str, of: str, clips: int, value: float) -> dict[str, Any]:
        return {"measure": measure, "of": of, "clips": clips, "value": value}

    yield row("accuracy", "classes", int(matrix.counts.sum()), matrix.accuracy)
    if matrix.kl is not None:
        yield row("kl", "votes", matrix.voted, matrix.kl)
    for name, (recall, total) in matrix.recall.items():
        yield row("recall", name, total, recall)
    for group in matrix.groups:
        yield row("accuracy", f"{group.by} {group.name}", group.count, group.accuracy)


def as_text(model: str, data: DataSet, sections: Sections, seen: Seen | None) -> Iterator[str]:
    """Lines for people; arguments as for `as_json`."""
    of = f"{counted(len(data), 'clip')}, {counted(len(data.speakers), 'speaker')}"
    yield f"{model} on {data.name}: {of}"
    yield str(seen or "the card does not say what taught the model, so these people may have")
    for people, rows in sections.items():
        if people == "unseen":
            speakers = counted(len({row.speaker for row in rows}), "speaker")
            clips = counted(len(rows), "clip")
            yield f"people unseen by model and teacher: {clips}, {speakers}"
        yield from _table(rows)


def _table(rows: Sequence[Judged]) -> Iterator[str]:
    yield f"{'':16}{'all clips':>10}{'speakers':>10}{'mean':>8}{'sd':>8}{'worst':>8}"
    for f in figures(rows):
        each = [f"{v:8.3f}" if v is not None else f"{'-':>8}" for v in (f.mean, f.spread, f.worst)]
        yield f"{f.measure.upper()} {f.of:<12}{f.value:10.3f}{f.speakers:10d}{''.join(each)}"
    matrix = confusion(rows)
    if matrix is None:
        return
    kl = "" if matrix.kl is None else f", KL to the votes {matrix.kl:.3f} nats of {matrix.voted}"
    yield f"classes: accuracy {matrix.accuracy:.3f} of {matrix.counts.sum()}{kl}"
    recalls = (f"{name} {recall:.2f} of {n}" for name, (recall, n) in matrix.recall.items())
    yield f"recall: {', '.join(recalls)}"
    for by in dict.fromkeys(group.by for group in matrix.groups):
        shown = (f"{g.name} {g.accuracy:.2f} of {g.count}" for g in matrix.groups if g.by == by)
        yield f"accuracy by {by}: {', '.join(shown)}"
