"""What an estimate's confidence is: a probability that was fitted and checked, with its meaning.

A logistic regression over what the runtime has at hand: the model's outputs and how the log-mel
lies and moves. Squares are among its inputs, so that what lies far from speech, to either side,
counts against the estimate. It is fitted by `edgeemo.compress.evaluation.confidence`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgeemo import _native
from edgeemo.errors import BadArtifact, BadInput

GROUPS = 8
"""Bands are joined to so many groups of neighbours."""

DESCRIBED = 26
"""Inputs of `describe` beside the model's outputs: EDGEEMO_DESCRIBED of the C library."""

_MOST_INPUTS = 1000
# Weights and odds beyond these decide alone, whatever the rest says; spreads below decide by noise.
_MOST, _LEAST_SCALE = 1e6, 1e-6


@dataclass(frozen=True)
class Confidence:
    """The regression, and what its result is a probability of.

    Attributes:
        meaning: the event, in words.
        center: mean of each input of `describe`, where it was fitted.
        scale: their standard deviations.
        weights: of the standardized inputs, then of their squares.
        bias: log-odds where all is zero.
        fitted_on: whose clips, how many people, which other sounds.
        calibration_error: expected calibration error (0..1, ten bins) on people left out.
        share: how often the event came true there; a confidence that never moved would say this.
    """

    meaning: str
    center: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    fitted_on: str
    calibration_error: float
    share: float

    def __post_init__(self) -> None:
        """Check lengths and ranges.

        Raises:
            BadArtifact: the lengths do not belong together, or a number is out of range.
        """
        n = len(self.center)
        if not n or len(self.scale) != n or len(self.weights) != 2 * n or min(self.scale) <= 0:
            raise BadArtifact(
                f"$.calibration.confidence: {n} centers, {len(self.scale)} scales (more than 0) "
                f"and {len(self.weights)} weights; expected n, n and 2 n"
            )
        numbers = (*self.center, *self.scale, *self.weights, self.bias)
        wrong = [x for x in numbers if not abs(x) <= _MOST]
        wrong += [x for x in self.scale if x < _LEAST_SCALE]
        wrong += [x for x in (self.calibration_error, self.share) if not 0 <= x <= 1]
        if wrong or n > _MOST_INPUTS:
            raise BadArtifact(
                f"$.calibration.confidence: {n} inputs, a number of {[*wrong, n][0]:g}; expected "
                f"at most {_MOST_INPUTS}, and {_MOST:g} in size (scales from {_LEAST_SCALE:g})"
            )

    def of(
        self, outputs: Mapping[str, NDArray[np.float32]], features: NDArray[np.float32]
    ) -> float:
        """The confidence of one estimate.

        Args:
            outputs: of the model, each [1, labels].
            features: what it was given, [1, frames, bands].

        Raises:
            BadArtifact: the model has other outputs than the regression was fitted on.
        """
        found = describe(outputs, features[0])
        if len(found) != len(self.center):
            raise BadArtifact(
                f"the card's confidence takes {len(self.center)} values, the model gives "
                f"{len(found)}; export it again"
            )
        return self.probability(found)

    def probability(self, found: NDArray[np.float64]) -> float:
        """The confidence for what `describe` gives, [n]."""
        return _native.confidence(np.asarray(found, np.float32), self.regression, self.bias)

    @cached_property
    def regression(self) -> NDArray[np.float32]:
        """Centers, scales and weights, [4 n], as the C side takes them; made once."""
        return np.array([*self.center, *self.scale, *self.weights], np.float32)


def describe(
    outputs: Mapping[str, NDArray[np.float32]], features: NDArray[np.float32]
) -> NDArray[np.float64]:
    """The inputs of the regression.

    The C side computes them (edgeemo_confidence.h), with the same bits in firmware.

    Args:
        outputs: of the model, each [1, labels].
        features: log-mel, [frames, bands].

    Returns:
        The outputs in the order of their names, but for the sounds; mean level; of each group of
        bands the mean (less the level), the deviation over time, and the mean change from frame to
        frame; the logarithm of the number of frames.

    Raises:
        BadInput: no frames, or fewer bands than GROUPS.
    """
    described = np.empty(2 + 3 * GROUPS, np.float32)
    given = np.ascontiguousarray(features, np.float32)
    if _native.describe(given, given.shape[1], described) < 0:
        raise BadInput(f"features of the shape {given.shape}; expected frames of {GROUPS} bands")
    said = [outputs[name][0] for name in sorted(outputs) if name != "sounds"]
    return np.concatenate([*said, described]).astype(np.float64)


def terms(
    found: NDArray[np.float64], center: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Standardised inputs and their squares, [..., 2 n]; nothing lies beyond 5 deviations.

    Args:
        found: inputs of `describe`, [..., n].
        center: their means, [n].
        scale: their standard deviations, [n], above 0.
    """
    z = np.minimum(np.maximum((found - center) / scale, -5), 5)
    return np.concatenate([z, z * z], axis=-1)
