"""Which class is taken for which, by class and by group of people, as numbers, CSV and picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeemo.evaluation.evaluate import Judged
from edgeemo.evaluation.metrics import kl_divergence
from edgeemo.types import CLASSES


@dataclass(frozen=True)
class Group:
    """How well one group of people is judged.

    Attributes:
        by: what makes the group, for example "sex".
        name: for example "F".
        count: clips or pictures with a class.
        accuracy: share that is right.
    """

    by: str
    name: str
    count: int
    accuracy: float


@dataclass(frozen=True)
class Confusion:
    """Counts and figures over all rows that have a class and an estimate of it.

    Attributes:
        classes: names, in the order of the counts.
        counts: [true, guessed].
        accuracy: share of the rows that are right.
        uar: mean of the recalls of the classes that occur.
        kl: mean divergence of the estimate from the votes, in nats; None without votes.
        voted: rows with votes.
        groups: accuracy by group, the largest first within each `by`.
    """

    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    accuracy: float
    uar: float
    kl: float | None
    voted: int
    groups: tuple[Group, ...]

    @property
    def recall(self) -> Mapping[str, tuple[float, int]]:
        """Recall and count of each class that occurs."""
        totals = self.counts.sum(axis=1)
        return {
            name: (float(self.counts[i, i] / totals[i]), int(totals[i]))
            for i, name in enumerate(self.classes)
            if totals[i]
        }


def confusion(rows: Sequence[Judged]) -> Confusion | None:
    """All of it; None if no row has both a class and an estimate of it."""
    named = [r for r in rows if r.emotion is not None and r.emotion in r.estimate.classes]
    if not named:
        return None
    classes = tuple(c for c in CLASSES if any(c in r.estimate.classes for r in named))
    counts = np.zeros((len(classes), len(classes)), np.int64)
    for row in named:
        counts[classes.index(str(row.emotion)), classes.index(str(row.guess))] += 1
    totals = counts.sum(axis=1)
    recalls = np.diag(counts)[totals > 0] / totals[totals > 0]
    voted = [r for r in rows if r.votes and r.estimate.classes]
    votes = [[(r.votes or {}).get(c, 0.0) for c in CLASSES] for r in voted]
    said = [[r.estimate.classes.get(c, 0.0) for c in CLASSES] for r in voted]
    return Confusion(
        classes,
        counts,
        float(np.trace(counts) / counts.sum()),
        float(recalls.mean()),
        kl_divergence(votes, said) if voted else None,
        len(voted),
        tuple(_groups(named)),
    )


def to_csv(found: Confusion) -> str:
    """A line a true class: how often each class was guessed, the recall, the count."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["true", *found.classes, "recall", "count"])
    for i, name in enumerate(found.classes):
        recall, count = found.recall.get(name, (None, 0))
        share = "" if recall is None else f"{recall:.4f}"
        writer.writerow([name, *found.counts[i].tolist(), share, count])
    return text.getvalue()


def to_svg(found: Confusion) -> str:
    """A square for each pair, darker the larger its share of the true class; recalls beside."""
    cell, left, top = 62, 110, 90
    n = len(found.classes)
    parts = [
        f'<text x="{left + n * cell / 2}" y="24">guessed</text>',
        f'<text x="{left + n * cell + 55}" y="{top - 12}">recall</text>',
    ]
    totals = found.counts.sum(axis=1)
    for i, name in enumerate(found.classes):
        middle = top + (i + 0.6) * cell
        parts.append(f'<text x="{left - 8}" y="{middle}" class="end">{name}</text>')
        x = left + (i + 0.5) * cell
        parts.append(f'<text x="{x}" y="{top - 12}" class="small">{name}</text>')
        for j in range(n):
            share = found.counts[i, j] / totals[i] if totals[i] else 0.0
            ink = "#fff" if share > 0.5 else "#222"
            at = f'x="{left + j * cell}" y="{top + i * cell}"'
            parts.append(
                f'<rect {at} width="{cell}" height="{cell}" fill-opacity="{share:.3f}"/>'
                f'<text x="{left + (j + 0.5) * cell}" y="{middle}" fill="{ink}">'
                f"{found.counts[i, j]}</text>"
            )
        if name in found.recall:
            recall, count = found.recall[name]
            x = left + n * cell + 55
            parts.append(f'<text x="{x}" y="{middle}">{recall:.1%} of {count}</text>')
    style = (
        "text{font:13px sans-serif;text-anchor:middle}.end{text-anchor:end}.small{font-size:11px}"
        "rect{fill:#2463a8;stroke:#999}"
    )
    width, height = left + n * cell + 120, top + n * cell + 40
    below = f"accuracy {found.accuracy:.1%}, unweighted recall {found.uar:.1%}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f'<style>{style}</style><rect width="{width}" height="{height}" '
        f'style="fill:#fff;stroke:none"/>{"".join(parts)}'
        f'<text x="{left + n * cell / 2}" y="{height - 14}">{below}</text></svg>\n'
    )


def _groups(rows: Sequence[Judged]) -> list[Group]:
    found = []
    for by in sorted({key for row in rows for key in row.groups}):
        parts: dict[str, list[bool]] = {}
        for row in rows:
            if by in row.groups:
                parts.setdefault(row.groups[by], []).append(row.guess == row.emotion)
        made = [Group(by, name, len(hits), float(np.mean(hits))) for name, hits in parts.items()]
        found += sorted(made, key=lambda g: (-g.count, g.name))
    return found
