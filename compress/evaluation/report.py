"""report.html: what a run found, in one file for people, without scripts or outside links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from edgeemo.artifacts.card import (
    INTENDED_USE,
    INTENDED_USE_FACE,
    MISUSE,
    NOT_VALIDATED_FOR,
    NOT_VALIDATED_FOR_FACE,
)
from edgeemo.files import write_text
from edgeemo.types import CLASSES, DIMENSIONS

from ..labels.dataset import LabelledDataset
from ..recipes import dump_recipe
from ..run import Run, RunSummary
from ..students.base import Student
from . import plots
from .confidence import Point
from .evaluate import (
    Metrics,
    Predictions,
    by_group,
    evaluate,
    inter_rater_ccc,
    level_baseline,
    predict,
    top_class,
)

STYLE = """body{font:15px/1.5 sans-serif;max-width:72em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:.6em 0}td,th{padding:.2em .7em;border-bottom:1px solid #ddd}
td{text-align:right}td:first-child,th:first-child{text-align:left}pre{background:#f6f6f6;padding:1em}
.warn{background:#fff4e0;padding:.6em 1em;border-left:4px solid #e69f00}svg{margin:.3em}"""

Row = Sequence[Any]


def write_report(
    run: Run,
    facts: RunSummary,
    student: Student,
    train: LabelledDataset,
    valid: LabelledDataset,
    test: LabelledDataset,
    points: Sequence[Point] = (),
) -> None:
    """Write report.html.

    Args:
        run: its history and recipe are shown.
        facts: of the student.
        student: trained.
        train: for the baseline that knows only the level.
        valid: judged in place of `test` where that is empty, and the report says so.
        test: rows of people whom nothing was chosen on.
        points: how the confidence came true.
    """
    judged, part = (test, "test") if len(test) > 1 else (valid, "valid")
    said = predict(student, judged)
    sections = [
        f"<h1>{escape(facts.name)}</h1>",
        _warning(facts, part),
        "<h2>Metrics</h2>",
        _figures(said, judged, train, part),
        "<h2>Student against teacher</h2>",
        *_scatters(said, judged, "teacher", judged.dimensions),
        *_scatters(said, judged, "annotators", judged.human_dimensions),
        "<h2>Who is judged how well</h2>",
        *(_groups(said, judged, name) for name in ("sex", "language", "corpus", "speaker")),
        "<h2>Confidence</h2>",
        *_confidence(facts, points),
        "<h2>Training</h2>",
        *_curves(run.history()),
        "<h2>The model</h2>",
        _model(facts),
        "<h2>Recipe</h2>",
        f"<pre>{escape(dump_recipe(run.recipe))}</pre>",
    ]
    head = f'<meta charset="utf-8"><title>{escape(facts.name)}</title><style>{STYLE}</style>'
    body = "\n".join(s for s in sections if s)
    write_text(run.report, f'<!doctype html><html lang="en">{head}<body>{body}</body></html>\n')


def _warning(facts: RunSummary, part: str) -> str:
    clips = ", ".join(f"{n} {name}" for name, n in facts.clips.items())
    face = facts.task == "face"
    missing = NOT_VALIDATED_FOR_FACE if face else NOT_VALIDATED_FOR
    text = [
        escape(INTENDED_USE_FACE if face else INTENDED_USE),
        f"<b>{escape(MISUSE)}</b>",
        f"Not validated for {escape(', '.join(missing))}.",
        f"Licence of the weights: {escape(facts.licence)}.",
    ]
    where = "Metrics are of people whom the student had not heard and on whom nothing was chosen."
    if part == "valid":
        where = (
            "There are no test speakers: figures are of the speakers that chose the epoch, "
            "and flatter."
        )
    return (
        f'<div class="warn">{"<br>".join(text)}</div><p>Clips: {clips}; {facts.skipped} could not '
        f"be used. {where}</p>"
    )


def _figures(said: Predictions, judged: LabelledDataset, train: LabelledDataset, part: str) -> str:
    figures = evaluate(said, judged)
    rows: list[Row] = []
    for label, found in (
        ("student against teacher", figures.get("ccc")),
        ("mean level alone against teacher", level_baseline(train, judged)),
        ("spread of the student over the teacher's", figures.get("spread")),
        ("student against annotators", figures.get("human", {}).get("ccc")),
        ("mean level alone against annotators", level_baseline(train, judged, human=True)),
        ("one annotator against the others", inter_rater_ccc(judged)),
    ):
        if found:
            rows.append((label, *(_number(found.get(d)) for d in (*DIMENSIONS, "mean"))))
    text = _table((f"CCC, {part} speakers", *DIMENSIONS, "mean"), rows)
    if "uar" in figures:
        text += (
            f"<p>Classes against the votes: accuracy {figures['accuracy']:.3f}, unweighted average "
            f"recall {figures['uar']:.3f}, Kullback-Leibler divergence {figures['votes_kl']:.3f}, "
            f"calibration error {figures['calibration_error']:.3f}.</p>" + _confusion(said, judged)
        )
    return text


def _confusion(said: Predictions, judged: LabelledDataset) -> str:
    """A row for each class with the most votes: how often it was taken for which; its recall."""
    truth, guess = top_class(judged.votes), said.logits.argmax(1)
    rows: list[Row] = []
    for i, name in enumerate(CLASSES):
        counts = [int(np.sum((truth == i) & (guess == j))) for j in range(len(CLASSES))]
        if sum(counts):
            rows.append((name, *counts, f"{counts[i] / sum(counts):.3f}"))
    return _table(("votes; seen as", *CLASSES, "recall"), rows)


def _scatters(
    said: Predictions, judged: LabelledDataset, whom: str, reference: np.ndarray[Any, Any]
) -> Iterable[str]:
    if not np.isfinite(reference).any():
        return
    for i, d in enumerate(DIMENSIONS):
        yield plots.scatter(f"{d}, {whom}", reference[:, i], said.dimensions[:, i], whom, "student")


def _groups(said: Predictions, judged: LabelledDataset, name: str) -> str:
    found = by_group(said, judged, name)
    if not found:
        return ""
    rows: list[Row] = [
        (value, f["clips"], *_ccc_cells(f, None), *_ccc_cells(f, "human"))
        for value, f in found.items()
    ]
    head = (name, "clips", *DIMENSIONS, *(f"{d} (annotators)" for d in DIMENSIONS))
    if all(cell == "" for row in rows for cell in row[5:]):
        head, rows = head[:5], [row[:5] for row in rows]
    return _table(head, rows)


def _ccc_cells(figures: Metrics, inside: str | None) -> list[str]:
    found = (figures.get(inside, {}) if inside else figures).get("ccc", {})
    return [_number(found.get(d)) for d in DIMENSIONS]


def _confidence(facts: RunSummary, points: Sequence[Point]) -> Iterable[str]:
    fitted = facts.calibration.confidence
    if fitted is None:
        yield (
            "<p>The probability of the likeliest class: too few clips or people of the valid "
            "part are labelled in all dimensions to fit a confidence.</p>"
        )
        return
    yield (
        f"<p>It is the {escape(fitted.meaning)}. Fitted on {escape(fitted.fitted_on)}; on people "
        f"left out of the fit, as recorded, it came true in {fitted.share:.0%}, with a calibration "
        f"error of {fitted.calibration_error:.3f}.</p>"
    )
    if points:
        yield reliability_plot(points)


def reliability_plot(points: Sequence[Point]) -> str:
    """How often confidences came true, on the diagonal where they are honest."""
    said, came_true, _ = zip(*points, strict=True)
    return plots.scatter(
        "reliability, people left out of the fit",
        said,
        came_true,
        "confidence",
        "share that came true",
    )


def _curves(history: list[dict[str, Any]]) -> Iterable[str]:
    names = sorted({name for h in history for name in h["train"]})
    yield plots.curves("losses, training", {n: [h["train"].get(n) for h in history] for n in names})
    for title, key in (("CCC with the teacher, valid", "ccc"), ("spread, valid", "spread")):
        series = {d: [h["valid"].get(key, {}).get(d) for h in history] for d in DIMENSIONS}
        yield plots.curves(title, series)
    yield plots.curves(
        "CCC with annotators, valid",
        {
            d: [h["valid"].get("human", {}).get("ccc", {}).get(d) for h in history]
            for d in DIMENSIONS
        },
    )


def _model(facts: RunSummary) -> str:
    rows: list[Row] = [
        ("student", facts.student),
        ("parameters", f"{facts.parameters:,}"),
        (f"multiply-accumulates for a {_each(facts)}", f"{facts.macs_per_second:,}"),
        ("span of one token, seconds", f"{facts.window.receptive_seconds:.2f}"),
        ("best epoch", facts.best_epoch),
        ("seed", facts.seed),
        ("temperature of the classes", f"{facts.calibration.class_temperature:.2f}"),
        *((f"teacher {s.name}", s.licence) for s in facts.teachers),
        *((f"data {s.name}", s.licence) for s in facts.data),
    ]
    return _table(("", ""), rows)


def _each(facts: RunSummary) -> str:
    return "face" if facts.task == "face" else "second of sound"


def _table(head: Row, rows: Iterable[Row]) -> str:
    def line(cells: Row, tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(c))}</{tag}>" for c in cells) + "</tr>"

    return "<table>" + line(head, "th") + "".join(line(r, "td") for r in rows) + "</table>"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
