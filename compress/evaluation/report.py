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
from edgeemo.artifacts.licences import verdict
from edgeemo.io.files import write_text
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
td{text-align:right}td:first-child,th:first-child{text-align:left}pre{background:#f6f6f6;padding:1em;
overflow:auto}
.warn{background:#fff4e0;padding:.6em 1em;border-left:4px solid #e69f00}svg{margin:.3em}"""

_CITE = "edgeemo (CITATION.cff), and the corpora and models that are named above"

Row = Sequence[Any]


def write_report(
    run: Run,
    summary: RunSummary,
    student: Student,
    train: LabelledDataset,
    valid: LabelledDataset,
    test: LabelledDataset,
    points: Sequence[Point] = (),
) -> None:
    """Write report.html.

    Args:
        run: its history and recipe are shown.
        summary: of the run and its student.
        student: trained.
        train: for the baseline that knows only the level.
        valid: evaluated in place of `test` where that is empty, and the report says so.
        test: rows of unseen speakers on whom nothing was chosen.
        points: of the reliability diagram.
    """
    held_out, split = (test, "test") if len(test) > 1 else (valid, "valid")
    predictions = predict(student, held_out)
    sections = [
        f"<h1>{escape(summary.name)}</h1>",
        _warning(summary, split),
        "<h2>Metrics</h2>",
        f"<p>Test split: {escape(summary.seen)}.</p>" if summary.seen else "",
        _figures(predictions, held_out, train, split),
        "<h2>Student against teacher</h2>",
        *_scatters(predictions, held_out, "teacher", held_out.dimensions),
        *_scatters(predictions, held_out, "annotators", held_out.human_dimensions),
        "<h2>Metrics by group</h2>",
        *(
            _groups(predictions, held_out, name)
            for name in ("sex", "language", "corpus", "speaker")
        ),
        "<h2>Confidence</h2>",
        *_confidence(summary, points),
        "<h2>Training</h2>",
        *_curves(run.history()),
        "<h2>The model</h2>",
        _model(summary),
        f"<p>If this is part of your research, please cite {_CITE}.</p>",
        "<h2>Recipe</h2>",
        f"<pre>{escape(dump_recipe(run.recipe))}</pre>",
    ]
    head = f'<meta charset="utf-8"><title>{escape(summary.name)}</title><style>{STYLE}</style>'
    body = "\n".join(s for s in sections if s)
    write_text(run.report, f'<!doctype html><html lang="en">{head}<body>{body}</body></html>\n')


def _warning(summary: RunSummary, split: str) -> str:
    clips = ", ".join(f"{n} {name}" for name, n in summary.clips.items())
    face = summary.task == "face"
    missing = NOT_VALIDATED_FOR_FACE if face else NOT_VALIDATED_FOR
    text = [
        escape(INTENDED_USE_FACE if face else INTENDED_USE),
        f"<b>{escape(MISUSE)}</b>",
        f"Not validated for {escape(', '.join(missing))}.",
        f"Licence of the weights: {escape(summary.licence)}.",
        f"{escape(str(verdict((*summary.teachers, *summary.data))))}.",
    ]
    where = "Metrics are of people unseen by the student, on whom nothing was chosen."
    if split == "valid":
        where = (
            "There are no test speakers: metrics are of the valid speakers, who chose the epoch, "
            "and are optimistic."
        )
    return (
        f'<div class="warn">{"<br>".join(text)}</div>'
        f"<p>Clips: {clips}; {summary.skipped} could not be used. {where}</p>"
    )


def _figures(
    predictions: Predictions, held_out: LabelledDataset, train: LabelledDataset, split: str
) -> str:
    metrics = evaluate(predictions, held_out)
    rows: list[Row] = []
    for label, values in (
        ("student against teacher", metrics.get("ccc")),
        ("mean level alone against teacher", level_baseline(train, held_out)),
        ("ratio of standard deviations, student to teacher", metrics.get("spread")),
        ("student against annotators", metrics.get("human", {}).get("ccc")),
        ("mean level alone against annotators", level_baseline(train, held_out, human=True)),
        ("one annotator against the others", inter_rater_ccc(held_out)),
    ):
        if values:
            rows.append((label, *(_number(values.get(d)) for d in (*DIMENSIONS, "mean"))))
    text = _table((f"CCC, {split} split", *DIMENSIONS, "mean"), rows)
    if "uar" in metrics:
        text += (
            f"<p>Classes against the votes: accuracy {metrics['accuracy']:.3f}, unweighted average "
            f"recall {metrics['uar']:.3f}, Kullback-Leibler divergence {metrics['votes_kl']:.3f}, "
            f"calibration error {metrics['calibration_error']:.3f}.</p>"
            + _confusion(predictions, held_out)
        )
    return text


def _confusion(predictions: Predictions, held_out: LabelledDataset) -> str:
    """A row for each class with the most votes: how often which class was predicted; its recall."""
    truth, guess = top_class(held_out.votes), predictions.logits.argmax(1)
    rows: list[Row] = []
    for i, name in enumerate(CLASSES):
        counts = [int(np.sum((truth == i) & (guess == j))) for j in range(len(CLASSES))]
        if sum(counts):
            rows.append((name, *counts, f"{counts[i] / sum(counts):.3f}"))
    return _table(("votes; predicted", *CLASSES, "recall"), rows)


def _scatters(
    predictions: Predictions, held_out: LabelledDataset, whom: str, reference: np.ndarray[Any, Any]
) -> Iterable[str]:
    if not np.isfinite(reference).any():
        return
    for i, d in enumerate(DIMENSIONS):
        yield plots.scatter(
            f"{d}, {whom}", reference[:, i], predictions.dimensions[:, i], whom, "student"
        )


def _groups(predictions: Predictions, held_out: LabelledDataset, name: str) -> str:
    groups = by_group(predictions, held_out, name)
    if not groups:
        return ""
    rows: list[Row] = [
        (value, f["clips"], *_ccc_cells(f, None), *_ccc_cells(f, "human"))
        for value, f in groups.items()
    ]
    head = (name, "clips", *DIMENSIONS, *(f"{d} (annotators)" for d in DIMENSIONS))
    if all(cell == "" for row in rows for cell in row[5:]):
        head, rows = head[:5], [row[:5] for row in rows]
    return _table(head, rows)


def _ccc_cells(metrics: Metrics, inside: str | None) -> list[str]:
    ccc = (metrics.get(inside, {}) if inside else metrics).get("ccc", {})
    return [_number(ccc.get(d)) for d in DIMENSIONS]


def _confidence(summary: RunSummary, points: Sequence[Point]) -> Iterable[str]:
    fitted = summary.calibration.confidence
    if fitted is None:
        yield (
            "<p>The probability of the likeliest class: too few clips or speakers of the valid "
            "split have all dimensions to fit a confidence.</p>"
        )
        return
    yield (
        f"<p>It is the {escape(fitted.meaning)}. Fitted on {escape(fitted.fitted_on)}. On "
        f"speakers held out from the fit, as recorded, {fitted.share:.0%} of the estimates were "
        f"that near; the calibration error is {fitted.calibration_error:.3f}.</p>"
    )
    if points:
        yield reliability_plot(points)


def reliability_plot(points: Sequence[Point]) -> str:
    """Reliability diagram: on the diagonal confidences are calibrated."""
    confidences, shares, _ = zip(*points, strict=True)
    return plots.scatter(
        "reliability, speakers held out from the fit",
        confidences,
        shares,
        "confidence",
        "share of near estimates",
    )


def _curves(history: list[dict[str, Any]]) -> Iterable[str]:
    names = sorted({name for h in history for name in h["train"]})
    losses = {n: [h["train"].get(n) for h in history] for n in names}
    yield plots.curves("losses before their weights, train", losses, log=True)
    for title, key in (
        ("CCC with the teacher, valid", "ccc"),
        ("ratio of standard deviations, valid", "spread"),
    ):
        series = {d: [h["valid"].get(key, {}).get(d) for h in history] for d in DIMENSIONS}
        yield plots.curves(title, series)
    yield plots.curves(
        "CCC with annotators, valid",
        {
            d: [h["valid"].get("human", {}).get("ccc", {}).get(d) for h in history]
            for d in DIMENSIONS
        },
    )


def _model(summary: RunSummary) -> str:
    rows: list[Row] = [
        ("student", summary.student),
        ("parameters", f"{summary.parameters:,}"),
        (f"multiply-accumulates for a {_each(summary)}", f"{summary.macs_per_second:,}"),
        ("receptive field of one token, seconds", f"{summary.window.receptive_seconds:.2f}"),
        ("best epoch", summary.best_epoch),
        ("seed", summary.seed),
        ("temperature of the classes", f"{summary.calibration.class_temperature:.2f}"),
        *((f"teacher {s.name}", s.licence) for s in summary.teachers),
        *((f"data {s.name}", s.licence) for s in summary.data),
    ]
    return _table(("", ""), rows)


def _each(summary: RunSummary) -> str:
    return "face" if summary.task == "face" else "second of sound"


def _table(head: Row, rows: Iterable[Row]) -> str:
    def line(cells: Row, tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(c))}</{tag}>" for c in cells) + "</tr>"

    return "<table>" + line(head, "th") + "".join(line(r, "td") for r in rows) + "</table>"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
