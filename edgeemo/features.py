"""Log-mel features: what a spec is, a whole clip at once, and a stream. The work is done in C.

Frame k covers the samples [k*hop, k*hop + window): no padding, no dither, no pre-emphasis. The
same samples give the same bits on every machine, in any cut into blocks, streamed or at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeemo import _native
from edgeemo.errors import BadInput

_MOST_SAMPLES = 2**31 - 1  # the C front end counts in int32: 37 hours at 16 kHz


@dataclass(frozen=True)
class FeatureSpec:
    """All that defines a log-mel. The defaults are `logmel40`.

    A band narrower than the spacing of the FFT's bins may hold no bin at all. That is allowed,
    because published front ends have such bands (`wav2small` has one, the lowest); such a band
    is always the log of the floor.

    Attributes:
        sample_rate: Hz, 1000 to 768000.
        window: samples in a frame, 2 to `fft`.
        hop: samples from one frame to the next, 1 to 65536.
        fft: length of the transform, a power of two from 64 to 1024; zeros fill it up.
        window_shape: "hann", periodic: 0.5 - 0.5 cos(2 pi j / window).
        spectrum: "power" is re² + im², "magnitude" its root.
        bands: number of triangles, 1 to fft / 2.
        low_hz: where the first triangle begins, 0 or more.
        high_hz: where the last one ends, at most sample_rate / 2, and 1 Hz or more above low_hz.
        mel_scale: "slaney" (linear below 1000 Hz) or "htk"; places the corners of the triangles.
        triangles: whether their sides are straight over "hz" or over "mel".
        area_norm: "slaney" multiplies a triangle by 2 / (its width in Hz); "none" leaves its peak
            at 1.
        log: "natural", or "db": 10 log10.
        floor: 1e-30 to 1.
        floor_mode: "clamp" takes log(max(x, floor)), "add" log(x + floor).
        prenorm: "utterance" first makes the whole clip (x - mean) / sqrt(variance + 1e-7); such a
            spec has no stream.

    Raises:
        BadInput: a value is of the wrong type or out of range; the message names it.
    """

    sample_rate: int = 16000
    window: int = 400
    hop: int = 160
    fft: int = 512
    window_shape: Literal["hann"] = "hann"
    spectrum: Literal["power", "magnitude"] = "power"
    bands: int = 40
    low_hz: float = 60.0
    high_hz: float = 7600.0
    mel_scale: Literal["slaney", "htk"] = "slaney"
    triangles: Literal["hz", "mel"] = "hz"
    area_norm: Literal["slaney", "none"] = "slaney"
    log: Literal["natural", "db"] = "natural"
    floor: float = 1e-6
    floor_mode: Literal["clamp", "add"] = "clamp"
    prenorm: Literal["none", "utterance"] = "none"

    def __post_init__(self) -> None:
        """Check types and words here, ranges in C, where they are written once."""
        for field in fields(self):
            value = getattr(self, field.name)
            _check_type(field.name, value, field.default)
            if isinstance(field.default, float):
                # 60 and 60.0 are one spec: they are to be written, and so hashed, alike.
                object.__setattr__(self, field.name, float(value))
        status = _native.check_spec(self)
        if status != "EDGEEMO_OK":
            raise BadInput(_FAULTS[status](self))

    def frames(self, n_samples: int) -> int:
        """Number of frames that lie wholly inside a clip of `n_samples` samples."""
        return 0 if n_samples < self.window else 1 + (n_samples - self.window) // self.hop

    def seconds(self, frames: int) -> float:
        """Seconds of sound that `frames` frames cover, from first sample to last; 0 for 0."""
        return (self.window + (frames - 1) * self.hop) / self.sample_rate if frames > 0 else 0.0


CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {**_native.choices(), "prenorm": ("none", "utterance")}
)
"""The words that a field may have, in the order of the C enumerations."""

_FAULTS: Mapping[str, Callable[[FeatureSpec], str]] = MappingProxyType(
    {
        "EDGEEMO_ERR_SAMPLE_RATE": lambda s: (
            f"sample_rate is {s.sample_rate} Hz; expected 1000 to 768000 Hz"
        ),
        "EDGEEMO_ERR_FFT": lambda s: f"fft is {s.fft}; expected a power of two from 64 to 1024",
        "EDGEEMO_ERR_WINDOW": lambda s: (
            f"window is {s.window} samples; expected 2 to {s.fft}, the length of the FFT"
        ),
        "EDGEEMO_ERR_HOP": lambda s: f"hop is {s.hop} samples; expected 1 to 65536",
        "EDGEEMO_ERR_BANDS": lambda s: (
            f"bands is {s.bands}; expected 1 to {s.fft // 2}, half the length of the FFT"
        ),
        "EDGEEMO_ERR_EDGES": lambda s: (
            f"low_hz is {s.low_hz:g} and high_hz is {s.high_hz:g}; expected 0 <= low_hz < high_hz"
            f" <= {s.sample_rate / 2:g} Hz, half the sample rate, at least 1 Hz apart"
        ),
        "EDGEEMO_ERR_FLOOR": lambda s: f"floor is {s.floor:g}; expected 1e-30 to 1",
    }
)


def _check_type(name: str, value: object, default: object) -> None:
    if name in CHOICES:
        if value not in CHOICES[name]:
            raise BadInput(
                f"{name} is {value!r}; expected one of {', '.join(map(repr, CHOICES[name]))}"
            )
        return
    # bool is an int in Python, and `hop=True` is a mistake. An int is a good float.
    allowed = (int, float) if isinstance(default, float) else (int,)
    if isinstance(value, bool) or not isinstance(value, allowed):
        expected = "a number" if float in allowed else "an integer"
        raise BadInput(f"{name} is {value!r}; expected {expected}")


LOGMEL40 = FeatureSpec()
"""25 ms windows every 10 ms, 40 Slaney bands from 60 to 7600 Hz: what edgeemo's models take."""

WAV2SMALL = FeatureSpec(
    window=64,
    hop=32,
    fft=64,
    bands=26,
    low_hz=0.0,
    high_hz=8000.0,
    log="db",
    floor=1e-10,
    prenorm="utterance",
)
"""The front end of the published Wav2Small: 4 ms windows every 2 ms, 26 Slaney bands, in dB."""

WHISPER80 = FeatureSpec(bands=80, low_hz=0.0, high_hz=8000.0, log="db", floor=1e-10)
"""80 Slaney bands in dB: the bands of Whisper's encoder, with an FFT of 512 in place of 400."""

SPECS: Mapping[str, FeatureSpec] = MappingProxyType(
    {"logmel40": LOGMEL40, "wav2small": WAV2SMALL, "whisper80": WHISPER80}
)
"""The specs that have a name."""


def log_mel(
    samples: ArrayLike, spec: FeatureSpec = LOGMEL40, rate: int | None = None
) -> NDArray[np.float32]:
    """Features of a whole clip.

    Args:
        samples: mono, shape [n], float32 in -1..1, or int16 (the same as float32 of it / 32768).
        spec: which features.
        rate: sample rate of `samples` in Hz where known; it must be the spec's.

    Returns:
        float32, shape [spec.frames(n), spec.bands]; no frames if n is less than a window.

    Raises:
        BadInput: wrong rank, dtype or rate, or a sample that is not finite or beyond 1e6 in size.
    """
    clip = _checked(samples, spec, rate)
    if clip.dtype == np.int16:
        clip = clip * np.float32(1 / 32768)
    given = clip
    if spec.prenorm == "utterance":
        clip = np.empty_like(given)
        if _native.normalize_utterance(given, clip) < 0:
            raise _bad_sample(given)
    out = np.empty((spec.frames(len(clip)), spec.bands), np.float32)
    if _tables(spec).whole(clip, out) < 0:
        raise _bad_sample(given)
    return out


def fixed_log_mel(samples: ArrayLike, spec: FeatureSpec = LOGMEL40) -> NDArray[np.float32]:
    """Features of a whole clip in integers: what firmware computes on processors without an FPU.

    They differ from those of `log_mel` by less than .02 (natural logarithm) where a band is above
    the rounding of 16-bit samples; `benchmarks/fixed.py` tells what that does to estimates.

    Args:
        samples: mono, shape [n], int16, or float32, which is rounded to 16 bits and cut to -1..1.
        spec: which features; of the power spectrum, clamped at the floor, without a prenorm.

    Returns:
        float32, shape [spec.frames(n), spec.bands].

    Raises:
        BadInput: as in `log_mel`, or integers have no such features.
    """
    check_fixed(spec)
    clip = _checked(samples, spec, None)
    out = np.empty((spec.frames(len(clip)), spec.bands), np.float32)
    if _native.Frontend(spec, True).push(clip, out) < 0:
        raise _bad_sample(clip)
    return out


def check_fixed(spec: FeatureSpec) -> None:
    """Refuse what the front end in integers does not compute.

    Raises:
        BadInput: names the field.
    """
    for name, want in (("spectrum", "power"), ("floor_mode", "clamp"), ("prenorm", "none")):
        if getattr(spec, name) != want:
            raise BadInput(
                f"{name} is {getattr(spec, name)!r}; a front end in integers takes {want!r}: "
                "leave it in floats"
            )


@lru_cache(maxsize=16)
def _tables(spec: FeatureSpec) -> _native.Frontend:
    """A front end for its tables only, which take as long as a hundred frames."""
    return _native.Frontend(spec)


class LogMel:
    """Features of a stream: push samples in any blocks, get the frames that they complete.

    The frames are bit for bit those of `log_mel` on the whole, however the samples are cut.
    One object belongs to one thread at a time; another thread gets BadInput.

    Example:
        >>> import numpy as np
        >>> stream = LogMel()
        >>> stream.push(np.zeros(399, np.float32)).shape
        (0, 40)
        >>> stream.push(np.zeros(1, np.float32)).shape
        (1, 40)
    """

    def __init__(self, spec: FeatureSpec = LOGMEL40) -> None:
        """Make tables and state; nothing is allocated later but the frames that are returned.

        Args:
            spec: which features; its prenorm must be "none".

        Raises:
            BadInput: the spec normalizes over the utterance, which a stream cannot know.
        """
        if spec.prenorm != "none":
            raise BadInput(
                f"prenorm is {spec.prenorm!r}, which needs the whole clip; expected 'none' in a"
                " stream: use log_mel, or a spec such as logmel40"
            )
        self._spec = spec
        self._native = _native.Frontend(spec)

    @property
    def spec(self) -> FeatureSpec:
        """What the frames are."""
        return self._spec

    def push(self, samples: ArrayLike, rate: int | None = None) -> NDArray[np.float32]:
        """Take samples, give the frames that they complete.

        Args:
            samples: mono, shape [n], n from 0 up, float32 in -1..1 or int16.
            rate: their sample rate in Hz where known; it must be the spec's.

        Returns:
            float32, shape [frames, bands], a new array; often with no frames.

        Raises:
            BadInput: as in `log_mel`; the stream is then as before the call.
        """
        block = _checked(samples, self._spec, rate)
        try:
            out = np.empty((self._native.frames(len(block)), self._spec.bands), np.float32)
            status = self._native.push(block, out)
        except RuntimeError as error:  # another thread is inside
            raise BadInput(str(error)) from None
        if status < 0:
            raise _bad_sample(block)
        return out

    def flush(self) -> NDArray[np.float32]:
        """End the clip: give what is left, and be as new.

        Frames lie wholly inside the clip, so samples after the last whole window give none: the
        result has shape [0, bands]. The method is here so that every stream ends the same way.
        """
        self.reset()
        return np.empty((0, self._spec.bands), np.float32)

    def reset(self) -> None:
        """Forget all samples; what follows is bit-identical to a new object."""
        self._native.reset()

    def __repr__(self) -> str:
        """Rate in, shape out."""
        s = self._spec
        every = 1000 * s.hop / s.sample_rate
        return f"LogMel({s.sample_rate} Hz in, {s.bands} bands every {every:g} ms)"


def _checked(samples: ArrayLike, spec: FeatureSpec, rate: int | None) -> NDArray[Any]:
    """Samples as a C-contiguous native array of float32 or int16; no copy if they are one."""
    if rate is not None and rate != spec.sample_rate:
        raise BadInput(
            f"rate is {rate} Hz; expected {spec.sample_rate} Hz: resample, or read the file with"
            " edgeemo.audio.read_audio"
        )
    array = np.asarray(samples)
    if array.ndim != 1:
        raise BadInput(
            f"samples have shape {list(array.shape)}; expected one axis, mono: take the mean over"
            " channels"
        )
    native = array.dtype.newbyteorder("=")
    if native not in (np.float32, np.int16):
        raise BadInput(
            f"samples are {array.dtype}; expected float32 in -1..1, or int16: use"
            " .astype(np.float32)"
        )
    if len(array) > _MOST_SAMPLES:
        raise BadInput(f"{len(array)} samples; expected at most {_MOST_SAMPLES} at once")
    return np.ascontiguousarray(array, dtype=native)


def _bad_sample(samples: NDArray[Any]) -> BadInput:
    at = _native.first_bad_sample(samples)
    return BadInput(f"sample {at} is {samples[at]:g}; expected a finite value in -1..1")
