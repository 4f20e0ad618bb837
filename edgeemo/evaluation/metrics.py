"""How well estimates agree with labels: CCC for dimensions, UAR for classes. numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from edgeemo.errors import BadInput


def ccc(estimates: ArrayLike, labels: ArrayLike) -> float:
    """Concordance correlation coefficient of two series.

    It punishes a wrong mean and a wrong spread as well as a wrong order, so a student whose
    outputs shrink towards the mean loses, where Pearson's r would not notice.

    Args:
        estimates: [n], finite, n at least 2.
        labels: [n], finite.

    Returns:
        -1..1; 1 only for equal series. Two equal constant series give 1, a constant against
        anything else 0.

    Raises:
        BadInput: the shapes differ, are not [n] with n at least 2, or a value is not finite.

    Source: L. I. Lin, Biometrics 45 (1989), 255-268; population moments (divided by n).
    """
    x, y = (np.asarray(v, dtype=np.float64) for v in (estimates, labels))
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2:
        raise BadInput(
            f"CCC needs two series of one length, 2 or more; got shapes {x.shape} and {y.shape}"
        )
    for name, values in (("estimates", x), ("labels", y)):
        if not np.isfinite(values).all():
            at = int(np.flatnonzero(~np.isfinite(values))[0])
            raise BadInput(f"{name}[{at}] is {values[at]}; CCC needs finite values")
    apart = x.var() + y.var() + (x.mean() - y.mean()) ** 2
    if apart == 0:
        return 1.0
    return float(2 * np.mean((x - x.mean()) * (y - y.mean())) / apart)


def uar(estimates: Sequence[str], labels: Sequence[str]) -> float:
    """Unweighted average recall: the mean over the classes that occur in `labels`.

    Args:
        estimates: class names, one a clip.
        labels: the true class names.

    Returns:
        0..1. Chance is one over the number of classes that occur.

    Raises:
        BadInput: the lengths differ or there is nothing to count.
    """
    if len(estimates) != len(labels) or not labels:
        raise BadInput(
            f"UAR needs as many estimates as labels, 1 or more; "
            f"got {len(estimates)} and {len(labels)}"
        )
    recalls = []
    for name in sorted(set(labels)):
        found = [e == name for e, label in zip(estimates, labels, strict=True) if label == name]
        recalls.append(sum(found) / len(found))
    return sum(recalls) / len(recalls)


def kl_divergence(reference: ArrayLike, estimate: ArrayLike) -> float:
    """How far estimates are from a reference: the mean of sum(r * log(r / e)), in nats.

    Args:
        reference: [N, classes], rows that sum to 1: shares of votes, or probabilities.
        estimate: probabilities, the same shape; one under 1e-7 counts as 1e-7.

    Returns:
        0 or more; 0 only if they agree.
    """
    true = np.asarray(reference, np.float64)
    guess = np.maximum(np.asarray(estimate, np.float64), 1e-7)
    # Where the reference is 0 the term is 0, whatever the logarithm would be.
    ratio = np.where(true > 0, true, guess) / guess
    return float((true * np.log(ratio)).sum(-1).mean())
