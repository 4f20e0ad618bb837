"""One table of ranges: what each activation of a student spans, for every writer.

An activation is named after the layer that makes it, as torch names the layer: the same names
in every format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import BadData

RULES: Mapping[str, float] = {
    "minmax": 100.0,
    "percentile-99.999": 99.999,
    "percentile-99.99": 99.99,
    "percentile-99.9": 99.9,
    "mean": 100.0,
}
"""Rule and the share of values, in percent, that a range keeps in the middle. "mean" is the mean
over clips of a clip's smallest and largest value."""

_BINS = 8192
_SAMPLE = 40_000  # values of one activation in one clip that a histogram counts

Activations = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Range:
    """Smallest and largest value that stays exact; values beyond saturate."""

    low: float
    high: float


@dataclass(frozen=True)
class RangeTable:
    """Ranges by the name of the activation.

    Attributes:
        rule: key of RULES.
        clips: number of clips that were looked at.
        ranges: the table.
    """

    rule: str
    clips: int
    ranges: Mapping[str, Range]


class Observer:
    """Collects histograms of activations over clips; any rule can be read off afterwards.

    Two passes: extremes first, then counts between them, so that neither the order of the clips
    nor their number changes what a value contributes.
    """

    def __init__(
        self,
        clips: Iterable[NDArray[np.float32]],
        run: Callable[[NDArray[np.float32]], Activations],
    ) -> None:
        """Look at all clips.

        Args:
            clips: inputs, each of any shape that `run` takes.
            run: gives the activations of one clip by name.

        Raises:
            BadData: no clip, or an activation that is not finite.
        """
        kept = list(clips)
        self.clips = len(kept)
        if not kept:
            raise BadData("no clips to choose ranges from; the run's parity folder is empty")
        self._extremes: dict[str, tuple[float, float]] = {}
        self._sums: dict[str, tuple[float, float]] = {}
        self._counts: dict[str, NDArray[np.int64]] = {}
        for clip in kept:
            for name, values in run(clip).items():
                self._widen(name, values)
        for clip in kept:
            for name, values in run(clip).items():
                if not self._flat(name):
                    some = _sample(values).astype(np.float64)
                    counts, _ = np.histogram(some, _BINS, self._extremes[name])
                    self._counts[name] = self._counts.get(name, 0) + counts

    def table(self, rule: str) -> RangeTable:
        """The ranges by one rule of RULES."""
        if rule == "mean":
            ranges = {
                name: _with_zero(low / self.clips, high / self.clips)
                for name, (low, high) in self._sums.items()
            }
        else:
            ranges = {name: self._range(name, RULES[rule]) for name in self._extremes}
        return RangeTable(rule, self.clips, ranges)

    def _widen(self, name: str, values: NDArray[np.float32]) -> None:
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise BadData(f"activation {name} is not finite; the student's weights are damaged")
        seen = self._extremes.get(name, (low, high))
        self._extremes[name] = min(low, seen[0]), max(high, seen[1])
        total = self._sums.get(name, (0.0, 0.0))
        self._sums[name] = total[0] + low, total[1] + high

    def _flat(self, name: str) -> bool:
        """True for an activation that hardly varies: a histogram would tell nothing."""
        low, high = self._extremes[name]
        return high - low <= 1e-6 * max(1.0, abs(low), abs(high))

    def _range(self, name: str, percent: float) -> Range:
        low, high = self._extremes[name]
        if percent < 100 and not self._flat(name):
            # Half of what is cut lies at each end; a bin is cut only as a whole, so that a
            # rectified activation keeps its exact zero.
            counts = self._counts[name]
            cut = counts.sum() * (1 - percent / 100) / 2
            edges = np.linspace(low, high, _BINS + 1)
            below, above = np.cumsum(counts), np.cumsum(counts[::-1])
            low = float(edges[np.searchsorted(below, cut, side="right")])
            high = float(edges[_BINS - np.searchsorted(above, cut, side="right")])
        return _with_zero(low, high)


def _with_zero(low: float, high: float) -> Range:
    """Zero must be exact: padding is zero."""
    low, high = min(low, 0.0), max(high, 0.0)
    # A dead layer always gives 0. Any step holds that; one of almost nothing makes the factor
    # between two layers larger than runtimes allow.
    return Range(low, high if high - low > 1e-6 else 1.0)


def _sample(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most twice _SAMPLE values, evenly drawn; extremes are taken from all, elsewhere."""
    # An odd step meets all bands and channels in turn, as their number is even or 13.
    return values.reshape(-1)[:: (values.size // _SAMPLE) | 1]
