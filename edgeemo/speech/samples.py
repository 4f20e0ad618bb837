"""Samples that a caller gives: what is taken, and as what."""

from __future__ import annotations

import logging
import math
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeemo.errors import BadInput, one_line

RATES = (1_000, 384_000)
"""Lowest and highest sample rate that is accepted, in Hz."""

PIECE_SECONDS = 60.0
"""Longer sound is cut into equal pieces of at most this length, so that memory stays small."""

# Lossy codecs and resampling go a little beyond full scale. Float files of loud music reach about
# 4; what is beyond that is in another unit.
_OVERLOAD, _LOUDEST = 1.1, 4.0

log = logging.getLogger("edgeemo")


def as_float(clip: NDArray[Any]) -> NDArray[np.float32]:
    """Samples in -1..1 as float32; int16 is divided by 32768."""
    return clip.astype(np.float32) / np.float32(32768) if clip.dtype == np.int16 else clip


def validate_samples(
    samples: ArrayLike, rate: int, tell: Callable[[str], object] | None = log.warning
) -> NDArray[Any]:
    """Samples that a caller gave: float32 or int16, [n], finite and in range.

    Args:
        samples: [n] mono; float32 or float64 in -1..1, or int16.
        rate: their sample rate, Hz.
        tell: takes a sentence about samples that are beyond full scale; None: nobody is told.

    Raises:
        BadInput: wrong rank, dtype or rate, or a sample that is not finite or far beyond -1..1.
    """
    validate_rate(rate)
    try:
        clip = np.asarray(samples)
    except (ValueError, TypeError) as error:  # lists of several lengths, objects of one's own
        raise BadInput(f"samples are no array ({one_line(error)}); expected [n] numbers") from None
    kind = clip.dtype.newbyteorder("=")
    if clip.ndim != 1:
        raise BadInput(f"samples have shape {clip.shape}; expected [n], {_mono(clip)}")
    if kind == np.int16:
        return np.ascontiguousarray(clip, dtype=np.int16)
    if kind not in (np.float32, np.float64):
        raise BadInput(f"samples are {clip.dtype}; expected float32 or float64 in -1..1, or int16")
    if len(clip):
        # One pass over the clip in the usual case: a NaN makes the sum of extremes a NaN.
        peak = max(float(clip.max()), -float(clip.min()))
        if not math.isfinite(peak):
            at = int(np.flatnonzero(~np.isfinite(clip))[0])
            raise BadInput(f"samples[{at}] is {clip[at]}; expected finite values in -1..1")
        if peak > _LOUDEST:
            raise BadInput(f"samples reach {peak:g}; expected -1..1 ({_SCALE})")
        if peak > _OVERLOAD and tell is not None:
            tell(f"samples reach {peak:.3g}, beyond full scale; expected -1..1 ({_SCALE})")
    return np.ascontiguousarray(clip, dtype=np.float32)


_SCALE = "divide 16-bit values by 32768, also after a mean over channels"


def check_profile(profile: object) -> None:
    """Refuse what is no profile of a speaker.

    Raises:
        BadInput: neither None nor what `edgeemo.load_profile` gives.
    """
    if profile is None:
        return
    from edgeemo.speech.profile import SpeakerProfile

    if not isinstance(profile, SpeakerProfile):
        raise BadInput(
            f"profile is {profile!r:.80}; expected what edgeemo.load_profile gives, or None"
        )


def validate_rate(rate: int) -> None:
    """Refuse what is no sample rate.

    Raises:
        BadInput: not a whole number of Hz within RATES.
    """
    low, high = RATES
    whole = isinstance(rate, numbers.Integral) and not isinstance(rate, bool)
    if not whole or not low <= rate <= high:
        raise BadInput(f"rate is {rate!r}; expected a whole number of Hz, {low} to {high}")


def _mono(clip: NDArray[Any]) -> str:
    """How an array of several channels becomes one that is taken."""
    if clip.ndim != 2:
        return "one axis"
    axis = int(clip.shape[0] > clip.shape[1])
    # The mean of integers is a float, and a float counts in units of full scale.
    scale = f" / {np.iinfo(clip.dtype).max + 1}" if clip.dtype.kind == "i" else ""
    return f"mono: samples.mean(axis={axis}){scale}"
