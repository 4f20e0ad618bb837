"""Does a speaker's head help? Its own labelled clips answer, each held back from a fit once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeemo.session import Session
from edgeemo.speech.profile import fit_head
from edgeemo.types import DIMENSIONS

FOLDS = 5


@dataclass(frozen=True)
class HeldBack:
    """Mean absolute errors on clips that the fit had not seen.

    Attributes:
        clips: labelled ones.
        before: of the model alone, arousal, dominance, valence; NaN for one that nobody annotated.
        after: of the model with the head.
    """

    clips: int
    before: tuple[float, ...]
    after: tuple[float, ...]

    @property
    def helps(self) -> bool:
        """Whether the mean over the dimensions falls."""
        return bool(np.nanmean(self.after) < np.nanmean(self.before))

    def __str__(self) -> str:
        """One line for people."""
        each = (
            f"{name} {before:.3f} to {after:.3f}"
            for name, before, after in zip(DIMENSIONS, self.before, self.after, strict=True)
            if np.isfinite(before)
        )
        return f"mean error on held-back clips ({FOLDS} folds of {self.clips}): {', '.join(each)}"


def held_back(
    session: Session, clips: Sequence[NDArray[np.float32]], labels: Sequence[Sequence[float]]
) -> HeldBack:
    """Fit a head to four fifths of the clips, judge it on the fifth, five times.

    Args:
        session: of the model.
        clips: samples at the model's rate, [n] float32, as `from_labels` takes them.
        labels: arousal, dominance, valence of each, 0..1, NaN for what nobody annotated.
    """
    truth = np.array(labels, np.float64).reshape(-1, 3)
    runs = [session.backend.run(session.model_input(clip)) for clip in clips]
    outputs = [{name: value[0] for name, value in run.items()} for run in runs]
    plain = np.array([np.clip(output["adv"], 0, 1) for output in outputs], np.float64)
    fitted = plain.copy()
    number = np.arange(len(clips)) % FOLDS  # neighbors in the table go into different folds
    for fold in range(FOLDS):
        known, rest = np.flatnonzero(number != fold), np.flatnonzero(number == fold)
        head = fit_head(session.card, [outputs[i] for i in known], truth[known])
        for i in rest:
            fitted[i] = np.clip(head.apply(outputs[i], session.card)["adv"], 0, 1)
    before, after = (_errors(estimates, truth) for estimates in (plain, fitted))
    return HeldBack(len(clips), before, after)


def _errors(estimates: NDArray[np.float64], truth: NDArray[np.float64]) -> tuple[float, ...]:
    apart = np.abs(estimates - truth)
    known = np.isfinite(apart)
    counts = known.sum(0)
    sums = np.where(known, apart, 0).sum(0)
    return tuple(float(s / n) if n else float("nan") for s, n in zip(sums, counts, strict=True))
