"""A model's estimates against labels: CCC and UAR over all clips and by speaker, CSV, picture."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from edgeemo.evaluation.metrics import ccc, uar
from edgeemo.types import DIMENSIONS, Emotion

LEAST = 8
"""Clips that a speaker must have for figures of his own: a CCC over a handful says nothing."""


@dataclass(frozen=True)
class Judged:
    """A clip with estimate and labels.

    Attributes:
        id: of the clip or picture.
        speaker: who speaks or is seen.
        estimate: the model's.
        adv: annotators' mean arousal, dominance, valence, or None.
        emotion: the class that is taken for true, or None.
        votes: shares of the annotators' votes by class, or None.
        groups: what is known of the person, for example {"sex": "F"}.
    """

    id: str
    speaker: str
    estimate: Emotion
    adv: tuple[float, float, float] | None
    emotion: str | None
    votes: Mapping[str, float] | None = None
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def guess(self) -> str | None:
        """The likeliest class, or None for a model without classes."""
        return max(self.estimate.classes, key=self.estimate.classes.__getitem__, default=None)


@dataclass(frozen=True)
class Figure:
    """One measure.

    Attributes:
        measure: "ccc" or "uar".
        of: a dimension, or "classes".
        clips: that have this label.
        value: over all of them at once.
        speakers: with LEAST clips or more.
        mean, spread, worst: of the values of those speakers; None where there are none.
    """

    measure: str
    of: str
    clips: int
    value: float
    speakers: int
    mean: float | None
    spread: float | None
    worst: float | None


def figures(rows: Sequence[Judged]) -> list[Figure]:
    """All measures for which there are two labelled clips or more."""
    found = []
    rated = [r for r in rows if r.adv is not None]
    for i, name in enumerate(DIMENSIONS):
        # A dimension may have been rated by nobody: then its label is NaN.
        usable = [
            r
            for r in rated
            if getattr(r.estimate, name) is not None and r.adv and math.isfinite(r.adv[i])
        ]
        found += _figure("ccc", name, usable, partial(_ccc, i))
    named = [r for r in rows if r.emotion is not None and r.guess in r.estimate.classes]
    return found + _figure("uar", "classes", named, _uar)


def to_csv(rows: Iterable[Judged]) -> str:
    """A line a clip: labels, estimates, guessed class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = [*DIMENSIONS, "emotion"]
    writer.writerow(["path", "speaker", *(f"label_{h}" for h in head), *head, "confidence"])
    for row in rows:
        labels = (
            ["", "", ""]
            if row.adv is None
            else ["" if math.isnan(v) else f"{v:.4f}" for v in row.adv]
        )
        values = [getattr(row.estimate, name) for name in DIMENSIONS]
        said = ["" if v is None else f"{v:.4f}" for v in values]
        writer.writerow(
            [
                row.id,
                row.speaker,
                *labels,
                row.emotion or "",
                *said,
                row.guess or "",
                f"{row.estimate.confidence:.4f}",
            ]
        )
    return text.getvalue()


def to_svg(rows: Sequence[Judged]) -> str:
    """Estimate (up) against label (right), a square for each dimension, as an SVG picture."""
    size, gap = 220, 46
    parts = []
    for i, name in enumerate(DIMENSIONS):
        left = gap + i * (size + gap)
        parts.append(
            f'<rect x="{left}" y="{gap}" width="{size}" height="{size}" class="box"/>'
            f'<line x1="{left}" y1="{gap + size}" x2="{left + size}" y2="{gap}" class="box"/>'
            f'<text x="{left + size / 2}" y="{gap - 12}">{name}</text>'
            f'<text x="{left + size / 2}" y="{gap + size + 22}">label 0..1</text>'
        )
        for row in rows:
            value = getattr(row.estimate, name)
            if row.adv is not None and value is not None and math.isfinite(row.adv[i]):
                x, y = left + size * row.adv[i], gap + size * (1 - value)
                parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>')
    width, height = gap + 3 * (size + gap), size + 2 * gap
    style = (
        "text{font:13px sans-serif;text-anchor:middle}.box{fill:none;stroke:#999}"
        "circle{fill:#2463a8;fill-opacity:.4}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f"<style>{style}</style>{''.join(parts)}</svg>\n"
    )


def _figure(
    measure: str, of: str, rows: Sequence[Judged], judge: Callable[[Sequence[Judged]], float]
) -> list[Figure]:
    if len(rows) < 2:
        return []
    parts: dict[str, list[Judged]] = {}
    for row in rows:
        parts.setdefault(row.speaker, []).append(row)
    values = [judge(part) for _, part in sorted(parts.items()) if len(part) >= LEAST]
    known = bool(values)
    return [
        Figure(
            measure,
            of,
            len(rows),
            judge(rows),
            len(values),
            float(np.mean(values)) if known else None,
            float(np.std(values)) if known else None,
            min(values) if known else None,
        )
    ]


def _ccc(dimension: int, rows: Sequence[Judged]) -> float:
    labels = [row.adv[dimension] for row in rows if row.adv is not None]
    return ccc([getattr(row.estimate, DIMENSIONS[dimension]) for row in rows], labels)


def _uar(rows: Sequence[Judged]) -> float:
    return uar([row.guess or "" for row in rows], [row.emotion or "" for row in rows])
