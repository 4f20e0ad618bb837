"""Stretches of speech in a sound: short pauses belong to them, long ones do not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.speech.samples import as_float
from edgeemo.speech.vad import MIN_SPEECH_RATIO, Gate

PAUSE_SECONDS = 1.0
"""A pause of at most this length, also at either end, is part of speech: so clips as corpora have
them stay as they are. Of 150 clips of 13 corpora 91 % do, with .5 s 71 %."""

MARGIN_SECONDS = 0.1
"""Of a longer pause so much belongs to the speech on each side."""

SHORTEST_SECONDS = 0.4
"""Less speech between long pauses is a door or a cough; the energy gate makes .33 s of a click."""

PRIME_SECONDS = 60.0
"""So much of a clip sets a gate's noise floor before the clip is judged from its beginning."""

Stretch = tuple[int, int]
"""First sample, and one after the last."""


class SpeechSegments:
    """Finds stretches of speech in sound that comes in blocks; memory does not grow.

    Args:
        gate: tells where somebody speaks; it begins with the same sample as this object.
        rate: of the sound, Hz.
        longest: seconds; speech without a pause that is longer is cut there. None: it is not.
    """

    def __init__(self, gate: Gate, rate: int, longest: float | None = None) -> None:
        self._gate = gate
        self._longest = math.inf if longest is None else round(longest * rate)
        self._pause = round(PAUSE_SECONDS * rate)
        self._margin = round(MARGIN_SECONDS * rate)
        self._shortest = round(SHORTEST_SECONDS * rate)
        self.reset()

    def reset(self) -> None:
        """Forget all samples."""
        self._gate.reset()
        self._begin()

    def _begin(self) -> None:
        self._samples = self._blocks = 0
        self._first = self._last = -1  # samples: where speech began, and where it ended last
        self._speech = 0  # samples of speech in between
        self._cut = False  # whether the stretch goes on from one that was too long

    def push(self, samples: NDArray[np.float32]) -> list[Stretch]:
        """Take samples, give the stretches that are known to have ended."""
        answers = self._gate.push(samples)
        self._samples += len(samples)
        ended: list[Stretch] = []
        block = self._gate.block
        speech = (np.flatnonzero(answers) + self._blocks) * block
        # Runs of blocks without a long pause: few, where blocks are many.
        breaks = np.flatnonzero(np.diff(speech) > self._pause + block) + 1
        for run in np.split(speech, breaks) if len(breaks) else [speech] if len(speech) else ():
            if self._first >= 0 and run[0] - self._last > self._pause:
                ended += self._stretch()
            ended += self._extend(run + block)
        self._blocks += len(answers)
        if self._first >= 0 and self._samples - self._last > self._pause:
            ended += self._stretch()
        return ended

    def _extend(self, ends: NDArray[np.int_]) -> list[Stretch]:
        """Take the ends of further blocks of speech; cut what becomes too long."""
        ended: list[Stretch] = []
        block = self._gate.block
        while len(ends):
            if self._first < 0:
                self._first, self._speech = int(ends[0]) - block, 0
            most = self.begun + self._longest
            count = len(ends) if ends[-1] < most else int(np.searchsorted(ends, most)) + 1
            self._last, self._speech = int(ends[count - 1]), self._speech + count * block
            if self._last >= most:
                ended.append((self.begun, self._last))
                self._first, self._speech, self._cut = self._last, 0, True
            ends = ends[count:]
        return ended

    @property
    def begun(self) -> int:
        """The first sample that the next stretch can have."""
        if self._cut:
            return self._first
        first = self._first if self._first >= 0 else self._samples - self._gate.block
        return first - self._margin if first > self._pause else 0

    def flush(self) -> list[Stretch]:
        """End the sound: the stretch that is under way, if there is one; then as new."""
        ended = self._stretch() if self._first >= 0 else []
        self.reset()
        return ended

    def _stretch(self) -> list[Stretch]:
        """The stretch that ended, or nothing if there is too little speech in it."""
        start, last, self._first, self._cut = self.begun, self._last, -1, False
        end = last + self._margin if self._samples - last > self._pause else self._samples
        # Of a clip that is shorter than that, the share that a window of a stream must have.
        least = min(self._shortest, MIN_SPEECH_RATIO * self._samples)
        return [(start, end)] if self._speech >= least else []


def only_speech(clip: NDArray[Any], rate: int, gate: Gate) -> NDArray[Any]:
    """A clip without what is not speech; nothing if there is none.

    Args:
        clip: [n], float32 in -1..1 or int16.
        rate: its sample rate, Hz.
        gate: as for `find_speech`.
    """
    stretches = find_speech(as_float(clip), rate, gate)
    if stretches == [(0, len(clip))]:
        return clip
    return np.concatenate([clip[:0], *(clip[start:end] for start, end in stretches)])


def find_speech(samples: NDArray[np.float32], rate: int, gate: Gate) -> list[Stretch]:
    """The stretches of speech in a clip.

    A gate that learns the noise knows nothing of it at the beginning, where clips that were cut
    out of speech speak already. So it is given the beginning twice.

    Args:
        samples: [n], -1..1.
        rate: their sample rate, Hz.
        gate: tells where somebody speaks; it is reset first.
    """
    segments = SpeechSegments(gate, rate)
    begin = min(len(samples), round(PRIME_SECONDS * rate)) // gate.block * gate.block
    gate.push(samples[:begin])
    found = segments.push(samples)
    return found + segments.flush()
