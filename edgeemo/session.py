"""A loaded model: sound or the picture of a face in, one estimate out."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeemo.artifacts.card import Card
from edgeemo.backends import Backend, open_backend
from edgeemo.errors import BadInput, require
from edgeemo.features import log_mel
from edgeemo.speech.smoothing import SMOOTHING, Smoothing
from edgeemo.types import Emotion
from edgeemo.vision.images import Box, ImageSpec, preprocess

if TYPE_CHECKING:
    from edgeemo.speech.profile import Baseline
    from edgeemo.speech.stream import Stream
    from edgeemo.speech.vad import Gate

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
        backend: what runs the model.
    """

    def __init__(self, backend: Backend, path: Path) -> None:
        self.card: Card = backend.card
        self.path = path
        self.backend = backend

    def predict(
        self,
        values: ArrayLike,
        rate: int | None = None,
        *,
        baseline: Baseline | None = None,
        box: Box | None = None,
    ) -> Emotion:
        """One estimate for a clip of speech or for a face, by the model's task.

        Sound of more than PIECE_SECONDS is cut into equal pieces whose estimates are averaged, and
        a face is looked at as it is and mirrored.

        Args:
            values: speech: [n] mono; float in -1..1, or int16; at least
                `card.window.min_seconds`. A face: uint8 [height, width, 3], RGB.
            rate: of speech: sample rate in Hz, None for 16000. Another rate than the model's is
                resampled (extra "audio").
            baseline: of the person who speaks, made by `edgeemo calibrate`.
            box: of a face: left, top, right, bottom in pixels; None if the whole picture is the
                face (`edgeemo.faces` finds faces in pictures).

        Returns:
            Arousal, dominance, valence in 0..1 and class probabilities, as far as the model has
            them; `confidence` is the probability that `card.calibration.confidence` tells; for a
            model whose card has none, that of the likeliest class (0 without classes). Speech has
            `start` 0 and `end` the clip's length in seconds, a face its `box` in whole pixels.

        Raises:
            BadInput: wrong rank, dtype, rate or box, a sample that is not finite or far beyond
                -1..1, a clip that is too short, or an argument of the other task.
            MissingExtra: soxr is needed and not installed.
            BadArtifact: the model does not give what its card promises.
        """
        if self.card.task == "face":
            if rate is not None or baseline is not None:
                raise BadInput(f"{self.card.name} takes faces; rate and baseline are for speech")
            return self._face(values, box)
        if box is not None:
            raise BadInput(f"{self.card.name} takes speech; a box is for faces")
        return self._speech(values, 16_000 if rate is None else rate, baseline)

    def _face(self, image: ArrayLike, box: Box | None) -> Emotion:
        taken = preprocess(np.asarray(image), box, self.card.image)
        # A face means the same in a mirror; both views together are right more often.
        mirrored = np.ascontiguousarray(taken[:, :, ::-1])
        found = self.aggregate((self.backend.run(view), view) for view in (taken, mirrored))
        if box is None:
            return found
        left, top, right, bottom = (round(float(v)) for v in box)
        return replace(found, box=(left, top, right, bottom))

    def _speech(self, samples: ArrayLike, rate: int, baseline: Baseline | None) -> Emotion:
        spec = self.card.features
        clip = checked(samples, rate)
        if baseline is not None:
            clip = baseline.level(as_float(clip))
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
        values = (self.model_input(piece) for piece in pieces)
        found = self.aggregate(((self.backend.run(v), v) for v in values), baseline)
        return replace(found, end=seconds)

    def stream(
        self,
        rate: int = 16_000,
        *,
        hop_seconds: float = 0.25,
        window_seconds: float = 3.0,
        smoothing: Smoothing | None = SMOOTHING,
        gate: str | Gate | None = "energy",
        baseline: Baseline | None = None,
        abstain: float = 0.0,
    ) -> Stream:
        """Estimates while sound comes in; see `edgeemo.speech.stream.Stream` for what is promised.

        Args:
            rate: sample rate of what will be pushed, Hz.
            hop_seconds: from one estimate to the next; a whole number of the model's frames.
            window_seconds: sound that an estimate looks at; as `hop_seconds`, at most a minute.
            smoothing: how; None gives each window's own estimate.
            gate: tells where somebody speaks: "energy", "silero" (extra "live"), an object of
                one's own (`edgeemo.speech.vad.Gate`), or None for estimates everywhere.
            baseline: of the person who speaks, made by `edgeemo calibrate`.
            abstain: 0..1; where the confidence is lower the numbers are absent.

        Raises:
            BadInput: a value is out of range; the message says what is expected.
            MissingExtra: soxr (another rate than the model's) or the gate's package is missing.
        """
        from edgeemo.speech.stream import Stream

        return Stream(self, rate, hop_seconds, window_seconds, smoothing, gate, baseline, abstain)

    def model_input(self, clip: NDArray[Any]) -> NDArray[np.float32]:
        """What the backend takes for checked samples at the model's rate: [1, ...]."""
        if self.card.input == "features":
            return log_mel(clip, self.card.features)[np.newaxis]
        return as_float(clip)[np.newaxis]

    def aggregate(
        self,
        found: Iterable[tuple[Mapping[str, NDArray[np.float32]], NDArray[np.float32]]],
        baseline: Baseline | None = None,
    ) -> Emotion:
        """The estimate of one or more pieces of a sound, which count alike.

        Args:
            found: of each piece the backend's outputs and what it was given, [1, ...].
            baseline: moves the estimate to a person's own.

        Raises:
            BadInput: the baseline is of another model.
        """
        outputs: list[Mapping[str, NDArray[np.float32]]] = []
        sure: list[float] = []
        fitted = self.card.calibration.confidence
        for out, given in found:
            outputs.append(out)
            if fitted is not None:
                sure.append(fitted.of(out, self._confidence_features(given)))
        mean = {name: np.mean([o[name] for o in outputs], axis=0)[0] for name in outputs[0]}
        if baseline is not None:
            mean = baseline.apply(mean, self.card)
        values: dict[str, dict[str, float]] = {}
        for output in self.card.outputs:
            clipped = np.clip(mean[output.name].astype(float), output.low, output.high)
            values[output.name] = dict(zip(output.labels, clipped.tolist(), strict=True))
        adv, classes = values.get("adv", {}), values.get("probs", {})
        return Emotion(
            arousal=adv.get("arousal"),
            dominance=adv.get("dominance"),
            valence=adv.get("valence"),
            classes=classes,
            confidence=float(np.mean(sure)) if sure else max(classes.values(), default=0.0),
            expression=max(classes, key=classes.__getitem__, default=None),
        )

    def _confidence_features(self, given: NDArray[np.float32]) -> NDArray[np.float32]:
        """The log-mel that a confidence looks at, also where the model makes it inside itself."""
        if self.card.input == "samples":
            return log_mel(given[0], self.card.features)[np.newaxis]
        return given

    def __repr__(self) -> str:
        card = self.card
        outputs = "; ".join(f"{o.name}: {', '.join(o.labels)}" for o in card.outputs)
        return (
            f"Session({card.name}, task {card.task}, backend {self.backend.name}\n"
            f"  input: {_input(card)}\n"
            f"  outputs: {outputs}\n"
            f"  size: {card.parameters} parameters, {card.quantization.kind}, "
            f"{card.work}\n"
            f"  licence: {card.licence})"
        )


def load(name_or_path: str | Path, backend: str | None = None) -> Session:
    """Load a model.

    Args:
        name_or_path: name of a shipped model (`edgeemo models` lists them), or the path of a
            file made by `edgeemo export`.
        backend: name of a backend ("onnx", "tflite", "c"), or None to choose by the file.

    Returns:
        A session whose `repr` tells what goes in and what comes out.

    Raises:
        BadArtifact: the file is not there, truncated, foreign, or of a newer edgeemo.
        BadInput: no model or backend of that name; the message lists the nearest.
        MissingExtra: the backend's package is not installed.
    """
    from edgeemo.artifacts.models import resolve

    path = resolve(name_or_path, backend)
    return Session(open_backend(path, backend), path)


def _input(card: Card) -> str:
    """What goes in, in words."""
    if isinstance(card.spec, ImageSpec):
        kind = "grey" if card.spec.channels == 1 else "RGB"
        return f"image uint8 [height, width, 3], RGB; taken as {card.spec.size} px {kind}"
    shape = f"[1, frames, {card.spec.bands}]" if card.input == "features" else "[1, samples]"
    return (
        f"{card.input} {shape}, {card.spec.sample_rate} Hz mono, "
        f"at least {card.window.min_seconds:g} s"
    )


def as_float(clip: NDArray[Any]) -> NDArray[np.float32]:
    """Samples in -1..1 as float32; int16 is divided by 32768."""
    return clip.astype(np.float32) / np.float32(32768) if clip.dtype == np.int16 else clip


def checked(samples: ArrayLike, rate: int) -> NDArray[Any]:
    """Samples that a caller gave, checked: float32 or int16, [n], finite and in range.

    Raises:
        BadInput: wrong rank, dtype or rate, or a sample that is not finite or far beyond -1..1.
    """
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
