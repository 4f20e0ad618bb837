"""A loaded model: sound in, one estimate out."""

from __future__ import annotations

import math
import numbers
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeemo.backends import Backend, open_backend
from edgeemo.card import Card
from edgeemo.errors import BadInput, require
from edgeemo.features import log_mel
from edgeemo.types import Emotion

RATES = (1_000, 384_000)
"""Lowest and highest sample rate that is accepted, in Hz."""

PIECE_SECONDS = 60.0
"""Longer sound is cut into equal pieces of at most this length, so that memory stays small."""

_LOUDEST = 16.0  # resampling may exceed 1 a little; int16 values as floats reach 32768


class Session:
    """A model on one backend, made by `edgeemo.load`.

    Holds no state between calls. A session may be used by one thread at a time.

    Attributes:
        card: what the model is.
        path: the file it came from.
    """

    def __init__(self, backend: Backend, path: Path) -> None:
        self.card: Card = backend.card
        self.path = path
        self._backend = backend

    def predict(self, samples: ArrayLike, rate: int = 16_000) -> Emotion:
        """One estimate for a clip of speech.

        Sound of more than PIECE_SECONDS is cut into equal pieces whose estimates are averaged.

        Args:
            samples: [n] mono; float in -1..1, or int16. At least `card.window.min_seconds`.
            rate: sample rate of `samples` in Hz. Another rate than the model's is resampled
                (extra "audio").

        Returns:
            Arousal, dominance, valence in 0..1 and class probabilities, as far as the model has
            them; `start` 0 and `end` the clip's length in seconds; `confidence` is the calibrated
            probability of the likeliest class (0 for a model without classes).

        Raises:
            BadInput: wrong rank, dtype or rate, a sample that is not finite or far beyond
                -1..1, or a clip that is too short.
            MissingExtra: soxr is needed and not installed.
            BadArtifact: the model does not give what its card promises.
        """
        spec = self.card.spec
        clip = _checked(samples, rate)
        seconds = len(clip) / rate
        if rate != spec.sample_rate:
            clip = require("soxr", "audio").resample(clip, rate, spec.sample_rate)
        # Rounding: 0.5 s at 44.1 kHz must not fail for half a sample.
        if len(clip) < round(self.card.window.min_seconds * spec.sample_rate):
            raise BadInput(
                f"the clip has {seconds:.4g} s; {self.card.name} needs at least "
                f"{self.card.window.min_seconds:g} s"
            )
        pieces = np.array_split(clip, math.ceil(len(clip) / (PIECE_SECONDS * spec.sample_rate)))
        found = [self._run(piece) for piece in pieces]
        mean = {name: np.mean([f[name] for f in found], axis=0)[0] for name in found[0]}
        return self._emotion(mean, seconds)

    def _run(self, clip: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        if self.card.input == "features":
            return self._backend.run(log_mel(clip, self.card.spec)[np.newaxis])
        if clip.dtype == np.int16:
            clip = clip.astype(np.float32) / np.float32(32768)
        return self._backend.run(clip[np.newaxis])

    def _emotion(self, outputs: dict[str, NDArray[np.float32]], seconds: float) -> Emotion:
        values: dict[str, dict[str, float]] = {}
        for output in self.card.outputs:
            clipped = np.clip(outputs[output.name].astype(float), output.low, output.high)
            values[output.name] = dict(zip(output.labels, clipped.tolist(), strict=True))
        adv, classes = values.get("adv", {}), values.get("probs", {})
        return Emotion(
            arousal=adv.get("arousal"),
            dominance=adv.get("dominance"),
            valence=adv.get("valence"),
            classes=classes,
            confidence=max(classes.values(), default=0.0),
            end=seconds,
        )

    def __repr__(self) -> str:
        card, spec = self.card, self.card.spec
        shape = f"[1, frames, {spec.bands}]" if card.input == "features" else "[1, samples]"
        outputs = "; ".join(f"{o.name}: {', '.join(o.labels)}" for o in card.outputs)
        return (
            f"Session({card.name}, task {card.task}, backend {self._backend.name}\n"
            f"  input: {card.input} {shape}, {spec.sample_rate} Hz mono, "
            f"at least {card.window.min_seconds:g} s\n"
            f"  outputs: {outputs}\n"
            f"  size: {card.parameters} parameters, {card.quantization.kind}, "
            f"{card.macs_per_second / 1e6:.2f} M MAC a second of sound\n"
            f"  licence: {card.licence})"
        )


def load(name_or_path: str | Path, backend: str | None = None) -> Session:
    """Load a model.

    Args:
        name_or_path: name of a shipped model (`edgeemo models` lists them), or the path of a
            file made by `edgeemo export`.
        backend: name of a backend ("onnx"), or None to choose by the file.

    Returns:
        A session whose `repr` tells what goes in and what comes out.

    Raises:
        BadArtifact: the file is not there, truncated, foreign, or of a newer edgeemo.
        BadInput: no model or backend of that name; the message lists the nearest.
        MissingExtra: the backend's package is not installed.
    """
    from edgeemo.models import resolve

    path = resolve(name_or_path)
    return Session(open_backend(path, backend), path)


def _checked(samples: ArrayLike, rate: int) -> NDArray[Any]:
    """float32 or int16 samples [n], finite and in range."""
    low, high = RATES
    whole = isinstance(rate, numbers.Integral) and not isinstance(rate, bool)
    if not whole or not low <= rate <= high:
        raise BadInput(f"rate is {rate!r}; expected a whole number of Hz, {low} to {high}")
    clip = np.asarray(samples)
    if clip.ndim != 1:
        raise BadInput(
            f"samples have shape {clip.shape}; expected [n], mono (mix channels with a mean)"
        )
    kind = clip.dtype.newbyteorder("=")
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
            raise BadInput(
                f"samples reach {peak:g}; expected -1..1 (divide 16-bit values by 32768)"
            )
    return np.ascontiguousarray(clip, dtype=np.float32)
