"""Several channels to one, without losing the voice; and whether its level is one of speech."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SILENT = 0.01  # of the strongest channel's power: 20 dB below it a channel only makes it quieter
_LOST = 1 / 8  # of the strongest channel's power: 9 dB less, and the mean is not the sound

LEVELS = (-50.0, -3.0)
"""dB of full scale between which speech lies, measured as `Level` does. That of all speech in
edgeemo-teachers lies from -44 to -7."""


class Powers:
    """How strong channels are and how alike: what a mix of them would be.

    Args:
        channels: how many.
    """

    def __init__(self, channels: int) -> None:
        self._products = np.zeros((channels, channels))

    def push(self, block: NDArray[np.float32]) -> None:
        """Take samples [n, channels]."""
        # float32 sums are exact enough for a ratio of 8; not finite values are refused later.
        with np.errstate(invalid="ignore", over="ignore"):
            self._products += (block.T @ block).astype(np.float64)

    def mix(self) -> tuple[NDArray[np.float32], str]:
        """Weights [channels] whose sum of products with the channels is the sound, and a word.

        The mean of the channels that are not silent, turned round where they are in opposite phase;
        the strongest alone where that would still lose it. The word is empty for the mean of all.
        """
        count = len(self._products)
        power = np.diag(self._products)
        best = int(np.argmax(power))
        plain = np.full(count, 1 / count, np.float32)
        if not power[best] > 0:  # silence, or not a number
            return plain, ""
        alive = power > _SILENT * power[best]
        mean = (alive / alive.sum()).astype(np.float32)
        said = "" if alive.all() else f"{count - alive.sum()} of {count} channels are silent"
        if self._power(mean) >= _LOST * power[best]:
            return (plain, "") if not said else (mean, f"{said}; the others are used")
        turned = mean * np.where(self._products[best] < 0, -1, 1).astype(np.float32)
        if self._power(turned) >= _LOST * power[best]:
            return turned, f"{count} channels cancel each other; summed in phase"
        alone = np.zeros(count, np.float32)
        alone[best] = 1
        return alone, f"the mean of {count} channels loses the sound; channel {best + 1} is used"

    def _power(self, weights: NDArray[np.float32]) -> float:
        return float(weights @ self._products @ weights)


class Level:
    """How loud the loud quarter of a sound is, in blocks of 10 ms; memory does not grow."""

    def __init__(self, rate: int) -> None:
        self._block = max(1, rate // 100)
        self._rest = np.zeros(0, np.float32)
        self._counts = np.zeros(400, np.int64)  # of blocks by dB, from -200 on
        self._first: NDArray[np.float32] | None = None  # waits: of a short sound it is all
        self._pushed = False

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take samples [n]."""
        if not self._pushed:
            self._first, self._pushed = samples, True
            return
        self._count_first()
        self._count(samples)

    def _count_first(self) -> None:
        first, self._first = self._first, None
        if first is not None:
            self._count(first)

    def _count(self, samples: NDArray[np.float32]) -> None:
        samples = np.concatenate([self._rest, samples]) if len(self._rest) else samples
        blocks = len(samples) // self._block
        self._rest = samples[blocks * self._block :].copy()
        parts = samples[: blocks * self._block].reshape(blocks, self._block)
        with np.errstate(divide="ignore"):
            db = 10 * np.log10(np.einsum("ij,ij->i", parts, parts) / self._block)
        places = np.clip(db + 200, 0, 399).astype(np.int64)
        self._counts += np.bincount(places, minlength=400)

    def db(self) -> float:
        """Mean power of the loudest quarter, dB of full scale; -200 for silence."""
        self._count_first()
        above = np.cumsum(self._counts[::-1])[::-1]
        loud = np.minimum(self._counts, np.maximum(0, -(-above[0] // 4) - (above - self._counts)))
        power = 10 ** ((np.arange(400) - 199.5) / 10)
        return float(10 * np.log10((loud * power).sum() / max(1, loud.sum()) + 1e-20))

    def notice(self) -> str:
        """What a user should know; empty for the level of speech, and for silence."""
        if self._first is not None:
            # The loud quarter has at least the mean's power, and at most four times as much.
            mean = float(self._first @ self._first) / max(1, len(self._first))
            if 10 ** (LEVELS[0] / 10) <= mean <= 10 ** (LEVELS[1] / 10) / 4:
                return ""
        db = self.db()
        if db <= -100 or LEVELS[0] <= db <= LEVELS[1]:
            return ""
        wrong = "quieter" if db < LEVELS[0] else "louder"
        return (
            f"{wrong} than all speech that the models know ({db:.1f} dB; expected {LEVELS[0]:g} to "
            f"{LEVELS[1]:g}): arousal may be wrong; `edgeemo calibrate` learns the level"
        )
