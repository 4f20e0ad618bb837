"""Metrics of a whole split: by dimension, by class, and the calibration of the classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeemo.evaluation.metrics import ccc
from edgeemo.types import DIMENSIONS


def ccc_by_dimension(estimate: ArrayLike, reference: ArrayLike) -> dict[str, float]:
    """CCC of each dimension over the rows where the reference is known.

    Args:
        estimate: [N, 3], arousal, dominance, valence.
        reference: [N, 3]; where one of the two is NaN the row is left out of that dimension.

    Returns:
        The values by name, and "mean"; a dimension with fewer than 2 rows is absent.
    """
    x, y = np.asarray(estimate, np.float64), np.asarray(reference, np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    values = {
        d: ccc(x[known[:, i], i], y[known[:, i], i])
        for i, d in enumerate(DIMENSIONS)
        if known[:, i].sum() > 1
    }
    return values | {"mean": float(np.mean(list(values.values())))} if values else {}


def std_ratio(estimate: ArrayLike, reference: ArrayLike) -> dict[str, float]:
    """Standard deviation of the estimates over that of the reference, by dimension.

    A tiny student shrinks towards the mean; 1 is no shrinking.

    Args:
        estimate: [N, 3], arousal, dominance, valence.
        reference: [N, 3]; a dimension with a NaN in either is absent.
    """
    x, y = np.asarray(estimate, np.float64), np.asarray(reference, np.float64)
    known = np.atleast_1d(np.isfinite(x).all(axis=0) & np.isfinite(y).all(axis=0))
    ratio = x.std(axis=0) / np.maximum(y.std(axis=0), 1e-9)
    return {d: float(r) for d, r, k in zip(DIMENSIONS, ratio, known, strict=True) if k}


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def fit_temperature(logits: ArrayLike, target: ArrayLike) -> float:
    """The temperature that makes softmax(logits / temperature) as sure as it is right.

    Args:
        logits: [N, classes].
        target: [N, classes], distributions; rows with NaN are left out.

    Returns:
        The minimizer of the cross entropy in 0.25..8, to 1 %; 1 when nothing is labelled.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    x, y = np.asarray(logits, np.float64), np.asarray(target, np.float64)
    known = np.isfinite(y).all(axis=1)
    if not known.any():
        return 1.0
    grid = np.geomspace(0.25, 8, 350)
    losses = [-np.mean(np.sum(y[known] * _log_softmax(x[known] / t), axis=1)) for t in grid]
    return float(grid[int(np.argmin(losses))])


def calibration_error(confidence: ArrayLike, right: ArrayLike, bins: int = 10) -> float:
    """Expected calibration error: mean gap between confidence and accuracy, over bins.

    Args:
        confidence: [N], 0..1.
        right: [N], whether the class was right.
        bins: of equal width; each weighs as many rows as it has.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    c, r = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    which = np.minimum((c * bins).astype(int), bins - 1)
    gaps = [
        abs(c[which == b].mean() - r[which == b].mean()) * np.mean(which == b)
        for b in np.unique(which)
    ]
    return float(np.sum(gaps))


def flat(values: Mapping[str, object], prefix: str = "") -> dict[str, float]:
    """Nested metrics as one level: {"valid": {"ccc": ...}} becomes {"valid.ccc": ...}.

    Args:
        values: by name, or tables of such.
        prefix: of all names.
    """
    out: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            out |= flat(value, f"{prefix}{key}.")
        elif isinstance(value, (int, float)):
            out[prefix + key] = float(value)
    return out


def _log_softmax(x: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = x - x.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
