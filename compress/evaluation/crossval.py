"""What the folds of a repeated cross-validation say together.

Metrics are taken over all clips of a repetition at once, each estimated by the fold that held it
out; mean and standard deviation are over the repetitions, the interval over speakers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.types import DIMENSIONS

from .metrics import ccc_by_dimension

DRAWS = 1000
"""Of the bootstrap."""

_LEVELS = (2.5, 97.5)  # percent: an interval of 95 %

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimates:
    """All clips of one repetition, each by the fold that held it out.

    Attributes:
        speakers: [N] names.
        estimates: [N, 3], arousal, dominance, valence.
        labels: [N, 3], what they are compared with; NaN where there is none.
    """

    speakers: NDArray[np.str_]
    estimates: Floats
    labels: Floats


@dataclass(frozen=True)
class Score:
    """One figure of a cross-validation.

    Attributes:
        mean: over the repetitions.
        sd: over the repetitions; None for one.
        low, high: of a 95 % interval: bootstrap over speakers, of the mean over the repetitions.
        speakers: who were scored.
    """

    mean: float
    sd: float | None
    low: float
    high: float
    speakers: int

    def __str__(self) -> str:
        sd = "" if self.sd is None else f" ± {self.sd:.3f}"
        return f"{self.mean:.3f}{sd} [{self.low:.3f}, {self.high:.3f}]"


def scores(repetitions: Sequence[Estimates], seed: int = 0) -> dict[str, Score]:
    """CCC of each dimension over the repetitions.

    Args:
        repetitions: one or more, of the same clips.
        seed: of the bootstrap.

    Returns:
        By dimension; one without two labels is absent.

    Source of the interval: B. Efron, R. Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13
    (percentiles); speakers are drawn and not clips, because clips of a person are alike.
    """
    rows = [ccc_by_dimension(r.estimates, r.labels) for r in repetitions]
    found: dict[str, Score] = {}
    for i, name in enumerate(DIMENSIONS):
        if not all(name in row for row in rows):
            continue
        values = np.array([row[name] for row in rows])
        drawn, people = _bootstrap(repetitions, i, seed)
        low, high = np.percentile(drawn, _LEVELS)
        found[name] = Score(
            round(float(values.mean()), 4),
            # One repetition has no deviation.
            round(float(values.std()), 4) if len(values) > 1 else None,
            round(float(low), 4),
            round(float(high), 4),
            people,
        )
    return found


def _bootstrap(repetitions: Sequence[Estimates], dimension: int, seed: int) -> tuple[Floats, int]:
    """CCC of DRAWS draws of the speakers with replacement, mean over the repetitions."""
    people = sorted({str(s) for r in repetitions for s in r.speakers})
    drawn = np.random.default_rng(seed).integers(len(people), size=(DRAWS, len(people)))
    counts = np.stack([np.bincount(row, minlength=len(people)) for row in drawn])
    means = [_ccc_of_sums(counts @ _sums(r, dimension, people)) for r in repetitions]
    return np.mean(means, axis=0), len(people)


def _sums(repetition: Estimates, dimension: int, people: Sequence[str]) -> Floats:
    """[speakers, 6]: n and the sums of x, y, xx, yy, xy, of which CCC is made."""
    x, y = repetition.estimates[:, dimension], repetition.labels[:, dimension]
    known = np.isfinite(x) & np.isfinite(y)
    at = np.array([people.index(str(s)) for s in repetition.speakers[known]], int)
    x, y = x[known], y[known]
    columns = (np.ones(len(x)), x, y, x * x, y * y, x * y)
    return np.stack([np.bincount(at, c, minlength=len(people)) for c in columns], axis=1)


def _ccc_of_sums(sums: Floats) -> Floats:
    """CCC (Lin 1989) of each row of sums, [draws, 6]."""
    n = np.maximum(sums[:, 0], 1)
    mx, my, xx, yy, xy = (sums[:, i] / n for i in range(1, 6))
    apart = (xx - mx**2) + (yy - my**2) + (mx - my) ** 2
    return 2 * (xy - mx * my) / np.maximum(apart, 1e-12)


def as_plain(found: Mapping[str, Score]) -> dict[str, Any]:
    """Scores as JSON values; "sd" is absent for one repetition."""
    return {
        name: {k: v for k, v in vars(score).items() if v is not None}
        for name, score in found.items()
    }
