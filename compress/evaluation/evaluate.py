"""Predictions of a student, and how well they agree with teacher and annotators."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgeemo.evaluation.metrics import ccc, kl_divergence, uar
from edgeemo.types import CLASSES, DIMENSIONS

from .. import distributed
from ..labels.dataset import LabelledDataset
from ..students.base import Student
from ..train.batches import Batches
from .metrics import calibration_error, ccc_by_dimension, softmax, std_ratio

Metrics = dict[str, Any]


@dataclass(frozen=True)
class Predictions:
    """Outputs of a student for N rows.

    Attributes:
        dimensions: float64 [N, 3]; NaN in the column of one that it does not have.
        logits: float64 [N, 8]; NaN of a student that gives no classes.
    """

    dimensions: NDArray[np.float64]
    logits: NDArray[np.float64]

    def take(self, rows: NDArray[Any]) -> Predictions:
        """Chosen rows: numbers, or a mask [N]."""
        return Predictions(self.dimensions[rows], self.logits[rows])


def predict(
    student: Student, rows: LabelledDataset | Batches, batch: int = 64, *, shared: bool = False
) -> Predictions:
    """Run a student over rows, in evaluation mode, and leave it in the mode it was in.

    Args:
        student: on any device.
        rows: inputs.
        batch: rows of a batch.
        shared: the processes of torchrun share the work; all must call this, with the same weights.
    """
    device = str(next(student.parameters()).device)
    batches = rows if isinstance(rows, Batches) else Batches(rows, device)
    # Sorted by length there is hardly any padding, and from the longest on each buffer fits where
    # the last one was; the results go back to their rows.
    order = batches.lengths.cpu().argsort(stable=True, descending=True)
    dimensions = np.full((len(batches), len(DIMENSIONS)), np.nan)
    columns = [DIMENSIONS.index(name) for name in student.dimensions]
    dimensions[:, columns] = 0
    logits = np.full((len(batches), len(CLASSES)), 0.0 if student.gives_classes else np.nan)
    chunks = torch.split(order, batch)
    training = student.training
    student.eval()
    with torch.inference_mode():
        for chunk in chunks[distributed.rank() :: distributed.world()] if shared else chunks:
            inputs = batches.batch(chunk)
            output = student(inputs.features, inputs.lengths)
            dimensions[chunk.numpy()[:, None], columns] = output.dimensions.double().cpu().numpy()
            if student.gives_classes:
                logits[chunk.numpy()] = output.logits.double().cpu().numpy()
    student.train(training)
    if shared:
        distributed.add_up(torch.from_numpy(dimensions), torch.from_numpy(logits))
    return Predictions(dimensions, logits)


def evaluate(predictions: Predictions, rows: LabelledDataset) -> Metrics:
    """Metrics of one split.

    Args:
        predictions: of `rows`.
        rows: N labelled rows.

    Returns:
        Nested by name: "ccc" (arousal, dominance, valence, mean) against the teacher, "mse",
        "spread" (sd over the teacher's), "kl" (to the teacher's classes), "votes_kl" (to the
        annotators'), "human.ccc", "accuracy" and "uar" (on the class with the most votes) and
        "calibration_error"; what has no reference is absent.
    """
    out: Metrics = {}
    both = np.isfinite(predictions.dimensions) & np.isfinite(rows.dimensions)
    labelled = both[:, both.any(0)].all(1) & both.any()
    if labelled.sum() > 1:
        x, y = predictions.dimensions[labelled], rows.dimensions[labelled].astype(np.float64)
        out["ccc"] = ccc_by_dimension(x, y)
        out["mse"] = float(np.nanmean((x - y) ** 2))
        out["spread"] = std_ratio(x, y)
    human = ccc_by_dimension(predictions.dimensions, rows.human_dimensions)
    if human:
        out["human"] = {"ccc": human}
    probs = softmax(predictions.logits)
    given = np.isfinite(probs).all(1)
    known = np.isfinite(rows.probs).all(1) & given
    if known.any():
        out["kl"] = kl_divergence(rows.probs[known], probs[known])
    truth = np.where(given, top_class(rows.votes), -1)
    if (truth >= 0).any():
        guess = probs.argmax(1)
        voted = truth >= 0
        out["votes_kl"] = kl_divergence(rows.votes[voted], probs[voted])
        out["accuracy"] = float(np.mean(guess[voted] == truth[voted]))
        out["uar"] = _uar(guess[voted], truth[voted])
        sure = probs.max(1)[voted]
        out["calibration_error"] = calibration_error(sure, guess[voted] == truth[voted])
    return out


def top_class(votes: NDArray[np.float32]) -> NDArray[np.int64]:
    """Number of the class with the most votes; -1 where there are no votes or a tie."""
    filled = np.nan_to_num(votes, nan=-1.0)
    best = filled.max(1, keepdims=True)
    single = ((filled == best).sum(1) == 1) & (best[:, 0] > 0)
    return np.where(single, filled.argmax(1), -1)


def level_baseline(
    train: LabelledDataset, test: LabelledDataset, human: bool = False
) -> dict[str, float]:
    """CCC of `level_estimates`: what any net must beat.

    Args:
        train: the line is fitted on these rows.
        test: and judged on these.
        human: against annotators' means in place of the teacher's.

    Returns:
        By dimension and "mean"; empty where there is nothing to fit or to judge.
    """
    guess = level_estimates(train, test, human)
    if guess is None:
        return {}
    return ccc_by_dimension(guess, test.human_dimensions if human else test.dimensions)


def level_estimates(
    train: LabelledDataset, test: LabelledDataset, human: bool = False
) -> NDArray[np.float64] | None:
    """Dimensions by a line through the mean level alone: [N, 3], or None with nothing to fit.

    Args:
        train: the line is fitted on these rows.
        test: N rows to estimate.
        human: fitted to annotators' means in place of the teacher's.
    """
    targets = train.human_dimensions if human else train.dimensions
    known = np.isfinite(targets).all(1) & np.isfinite(train.level)
    if known.sum() < 3:
        return None
    level = np.stack([train.level[known], np.ones(known.sum())], axis=1).astype(np.float64)
    line, *_ = np.linalg.lstsq(level, targets[known].astype(np.float64), rcond=None)
    return np.asarray(np.nan_to_num(test.level)[:, None] * line[0] + line[1])


def inter_rater_ccc(rows: LabelledDataset) -> dict[str, float]:
    """CCC of one annotator against the mean of the others, mean over the annotators.

    Ratings are read from the clips' tags "r1_arousal" and so on; each clip counts once. Scales
    do not matter as long as annotators share one: CCC is the same after any common shift and scale.

    Returns:
        By dimension and "mean"; empty where fewer than 3 clips have two annotators.
    """
    clips = list({clip.id: clip for clip in rows.clips}.values())
    pattern = re.compile(r"r(\d+)_(" + "|".join(DIMENSIONS) + ")")
    raters = sorted({m[1] for c in clips for key in c.tags if (m := pattern.fullmatch(key))})
    out: dict[str, float] = {}
    for dimension in DIMENSIONS:
        table = np.array(
            [[_number(c.tags.get(f"r{r}_{dimension}")) for r in raters] for c in clips]
        ).reshape(len(clips), len(raters))
        values = [v for r in range(len(raters)) if (v := _one_against_rest(table, r)) is not None]
        if not values:
            return {}
        out[dimension] = float(np.mean(values))
    return out | {"mean": float(np.mean(list(out.values())))}


def by_group(
    predictions: Predictions, rows: LabelledDataset, name: str, least: int = 8
) -> dict[str, Metrics]:
    """`evaluate` within each value of a clip's attribute, for example "speaker" or "sex".

    Args:
        predictions: of `rows`.
        rows: the rows.
        name: attribute of Clip.
        least: groups of fewer rows are left out: a CCC over a handful says nothing.

    Returns:
        By value, with "clips" added.
    """
    column = rows.column(name)
    out: dict[str, Metrics] = {}
    for value in sorted({str(v) for v in column if v is not None}):
        picked = np.array([v is not None and str(v) == value for v in column])
        if picked.sum() >= least:
            group = evaluate(predictions.take(picked), rows.take(picked))
            out[value] = {"clips": int(picked.sum())} | group
    return out


def _uar(guess: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    return uar([CLASSES[i] for i in guess], [CLASSES[i] for i in truth])


def _number(text: str | None) -> float:
    try:
        return float(text) if text else float("nan")
    except ValueError:
        return float("nan")


def _one_against_rest(table: NDArray[np.float64], r: int) -> float | None:
    others = np.delete(table, r, axis=1)
    seen = np.isfinite(table[:, r]) & np.isfinite(others).any(axis=1)
    if seen.sum() < 3 or others.shape[1] == 0:
        return None
    return ccc(table[seen, r], np.nanmean(others[seen], axis=1))
