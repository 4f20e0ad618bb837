"""A loaded model: sound or the picture of a face in, one estimate out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeemo.artifacts.card import Card
from edgeemo.backends import Backend, open_backend
from edgeemo.errors import BadInput, require
from edgeemo.features import log_mel
from edgeemo.speech.renamed import renamed
from edgeemo.speech.samples import PIECE_SECONDS, as_float, check_profile, log, validate_samples
from edgeemo.speech.segments import only_speech
from edgeemo.speech.smoothing import SMOOTHING, Smoothing
from edgeemo.speech.vad import by_own_word, open_gate, resolve_gate
from edgeemo.types import SAMPLE_RATE, Emotion
from edgeemo.vision.images import Box, ImageSpec, preprocess

if TYPE_CHECKING:
    from edgeemo.speech.profile import SpeakerProfile
    from edgeemo.speech.stream import Stream
    from edgeemo.speech.vad import Gate


class Session:
    """A model on one backend, made by `edgeemo.load`.

    Holds no state between calls. A session may be used by one thread at a time.

    Attributes:
        card: what the model is.
        path: the file it came from.
        backend: what runs the model.
        tell: takes a sentence about samples beyond full scale; at first it goes as a warning to the
            logger "edgeemo". None: nobody is told.
    """

    tell: Callable[[str], object] | None

    def __init__(self, backend: Backend, path: Path) -> None:
        self.card: Card = backend.card
        self.path = path
        self.backend = backend
        self.tell = log.warning

    @renamed(baseline="profile")
    def predict(
        self,
        values: ArrayLike,
        rate: int | None = None,
        *,
        profile: SpeakerProfile | None = None,
        gate: str | Gate | None = "auto",
        box: Box | None = None,
    ) -> Emotion:
        """One estimate for a clip of speech or for a face, by the model's task.

        Of sound only speech counts: where the gate finds pauses of more than
        `edgeemo.speech.segments.PAUSE_SECONDS` they are left out. What is then longer than
        PIECE_SECONDS is cut into equal pieces whose estimates are averaged. A face is looked at as
        it is and mirrored.

        Args:
            values: speech: [n] mono; float in -1..1, or int16; at least
                `card.window.min_seconds`. A face: uint8 [height, width, 3], RGB.
            rate: of speech: sample rate in Hz, None for 16000. Another rate than the model's is
                resampled (extra "audio").
            profile: of the person who speaks, made by `edgeemo calibrate`.
            gate: of speech: tells where somebody speaks: "energy", "silero" (extra "live"),
                "model" (the energy gate, then the model's own word, if its card has the output
                "sounds"), "auto" ("model" for such a model, else "energy"), an object of one's own
                (`edgeemo.speech.vad.Gate`), or None: the whole sound counts, whatever is in it.
            box: of a face: left, top, right, bottom in pixels; None if the whole picture is the
                face (`edgeemo.faces` finds faces in pictures).

        Returns:
            Arousal, dominance, valence in 0..1 and class probabilities, as far as the model has
            them; `confidence` is the probability that `card.calibration.confidence` tells; for a
            model whose card has none, that of the likeliest class (0 without classes). Speech has
            `start` 0 and `end` the clip's length in seconds, a face its `box` in whole pixels.
            Where the gate finds no speech, `speech` is False and there are no numbers but, if the
            model was run, those of `sounds`.

        Raises:
            BadInput: wrong rank, dtype, rate or box, a sample that is not finite or far beyond
                -1..1, a clip that is too short, or an argument of the other task.
            MissingExtra: soxr is needed and not installed.
            BadArtifact: the model does not give what its card promises.
        """
        if self.card.task == "face":
            if rate is not None or profile is not None:
                raise BadInput(f"{self.card.name} takes faces; rate and profile are for speech")
            return self._face(values, box)
        if box is not None:
            raise BadInput(f"{self.card.name} takes speech; a box is for faces")
        return self._speech(values, SAMPLE_RATE if rate is None else rate, profile, gate)

    def predict_batch(
        self,
        values: Iterable[ArrayLike],
        rate: int | None = None,
        *,
        profile: SpeakerProfile | None = None,
        gate: str | Gate | None = "auto",
    ) -> list[Emotion]:
        """One estimate for each of several clips or faces; each is what `predict` gives for it.

        Args:
            values: clips or faces, as `predict` takes them, of any lengths. They are taken one
                after the other, so an iterator need not hold all of them.
            rate: of speech, the same for all, as for `predict`.
            profile: likewise.
            gate: likewise.

        Returns:
            Estimates in the order of `values`; none for no values.

        Raises:
            BadInput: one cannot be used; the message says which, counted from 0.
            MissingExtra, BadArtifact: see `predict`.
        """
        found = []
        for i, each in enumerate(values):
            try:
                found.append(self.predict(each, rate, profile=profile, gate=gate))
            except BadInput as error:
                raise BadInput(f"values[{i}]: {error}") from None
        return found

    def embed(
        self,
        values: ArrayLike,
        rate: int | None = None,
        *,
        gate: str | Gate | None = "auto",
        box: Box | None = None,
    ) -> NDArray[np.float32]:
        """The embedding of a clip or a face: the vector that the model's heads see.

        What `predict` averages is averaged here: pieces of a long sound, a face and its mirror
        image. Only ONNX files give an embedding; `card.embedding` is its length, 0 for none.

        Args:
            values: as for `predict`.
            rate: likewise.
            gate: likewise.
            box: likewise.

        Returns:
            float32 [card.embedding], not normalized.

        Raises:
            BadInput: the file gives no embedding, nobody speaks in the clip, or see `predict`.
            MissingExtra, BadArtifact: see `predict`.
        """
        if self.card.task == "face":
            face = preprocess(values, box, self.card.image)
            inputs = [face, np.ascontiguousarray(face[:, :, ::-1])]
        else:
            rate = SAMPLE_RATE if rate is None else rate
            pieces, _, _ = self._pieces(values, rate, None, resolve_gate(gate, self.card)[0])
            if not pieces:
                raise BadInput("nobody speaks in the clip; gate=None takes it as it is")
            inputs = [self.model_input(piece) for piece in pieces]
        embed = getattr(self.backend, "embed", None)
        if embed is None or not self.card.embedding:
            raise BadInput(
                f"{self.path} gives no embedding; ONNX files of one model for whole clips do: "
                f'edgeemo.load("{self.card.name}", "onnx")'
            )
        return np.asarray(np.mean([embed(each)[0] for each in inputs], axis=0), np.float32)

    def _face(self, image: ArrayLike, box: Box | None) -> Emotion:
        face = preprocess(image, box, self.card.image)
        # A face means the same in a mirror; both views together are right more often.
        mirrored = np.ascontiguousarray(face[:, :, ::-1])
        emotion = self.aggregate((self.backend.run(view), view) for view in (face, mirrored))
        if box is None:
            return emotion
        left, top, right, bottom = (round(float(v)) for v in box)
        return replace(emotion, box=(left, top, right, bottom))

    def _speech(
        self, samples: ArrayLike, rate: int, profile: SpeakerProfile | None, gate: str | Gate | None
    ) -> Emotion:
        first, own = resolve_gate(gate, self.card)
        pieces, seconds, gated = self._pieces(samples, rate, profile, first)
        if not pieces:
            return Emotion(None, None, None, speech=False, end=seconds)
        values = (self.model_input(piece) for piece in pieces)
        emotion = self.aggregate(((self.backend.run(v), v) for v in values), profile)
        emotion = replace(emotion, speech=True if gated else None, end=seconds)
        return by_own_word(emotion) if own else emotion

    def _pieces(
        self, samples: ArrayLike, rate: int, profile: SpeakerProfile | None, gate: str | Gate | None
    ) -> tuple[list[NDArray[Any]], float, bool]:
        """Speech at the model's rate in pieces, none where nobody speaks; seconds; if gated."""
        spec = self.card.features
        clip = validate_samples(samples, rate, self.tell)
        check_profile(profile)
        if profile is not None:
            clip = profile.level(as_float(clip))
        seconds = len(clip) / rate
        if rate != spec.sample_rate:
            clip = require("soxr", "audio").resample(clip, rate, spec.sample_rate)
        # Rounding: 0.5 s at 44.1 kHz must not fail for half a sample.
        least = max(1, round(self.card.window.min_seconds * spec.sample_rate))
        if len(clip) < least:
            raise BadInput(
                f"the clip has {seconds:.4g} s; {self.card.name} needs at least "
                f"{self.card.window.min_seconds:g} s"
            )
        opened = open_gate(gate, spec.sample_rate)
        if opened is not None:
            speech = only_speech(clip, spec.sample_rate, opened)
            if not len(speech):
                return [], seconds, True
            clip = speech if len(speech) >= least else clip
        count = math.ceil(len(clip) / (PIECE_SECONDS * spec.sample_rate))
        pieces = [clip] if count == 1 else np.array_split(clip, count)
        return pieces, seconds, opened is not None

    @renamed(baseline="profile", hop_seconds="stride_seconds", window_seconds="context_seconds")
    def stream(
        self,
        rate: int = SAMPLE_RATE,
        *,
        stride_seconds: float = 0.25,
        context_seconds: float = 3.0,
        smoothing: Smoothing | None = SMOOTHING,
        gate: str | Gate | None = "auto",
        profile: SpeakerProfile | None = None,
        abstain: float = 0.0,
    ) -> Stream:
        """Estimates while sound comes in; see `edgeemo.speech.stream.Stream` for what is promised.

        Args:
            rate: sample rate of what will be pushed, Hz.
            stride_seconds: from one estimate to the next; a whole number of the model's frames.
            context_seconds: sound that an estimate looks at; as `stride_seconds`, at most a minute.
            smoothing: how; None gives each window's own estimate.
            gate: tells where somebody speaks, as for `predict`; None for estimates everywhere.
            profile: of the person who speaks, made by `edgeemo calibrate`.
            abstain: 0..1; where the confidence is lower the numbers are absent.

        Raises:
            BadInput: a value is out of range; the message says what is expected.
            MissingExtra: soxr (another rate than the model's) or the gate's package is missing.
        """
        from edgeemo.speech.stream import Stream

        return Stream(
            self, rate, stride_seconds, context_seconds, smoothing, gate, profile, abstain
        )

    def model_input(self, clip: NDArray[Any]) -> NDArray[np.float32]:
        """What the backend takes for checked samples at the model's rate: [1, ...]."""
        if self.card.input == "features":
            return log_mel(clip, self.card.features)[np.newaxis]
        return as_float(clip)[np.newaxis]

    def aggregate(
        self,
        pieces: Iterable[tuple[Mapping[str, NDArray[np.float32]], NDArray[np.float32]]],
        profile: SpeakerProfile | None = None,
    ) -> Emotion:
        """The estimate of one or more pieces of a sound, which count alike.

        Args:
            pieces: of each the backend's outputs and its input, [1, ...].
            profile: of the person who speaks.

        Raises:
            BadInput: the profile's head is of another model.
        """
        outputs: list[Mapping[str, NDArray[np.float32]]] = []
        confidences: list[float] = []
        fitted = self.card.calibration.confidence
        for output, model_input in pieces:
            outputs.append(output)
            if fitted is not None:
                confidences.append(fitted.of(output, self._confidence_features(model_input)))
        one = len(outputs) == 1  # the usual case, whose mean is itself
        mean = {
            name: first[0] if one else np.mean([o[name] for o in outputs], axis=0)[0]
            for name, first in outputs[0].items()
        }
        if profile is not None:
            mean = profile.apply(mean, self.card)
        values: dict[str, dict[str, float]] = {}
        for spec in self.card.outputs:
            raw = mean[spec.name].tolist()
            clipped = [float(min(max(value, spec.low), spec.high)) for value in raw]
            values[spec.name] = dict(zip(spec.labels, clipped, strict=True))
        dimensions, classes, sounds = (values.get(name, {}) for name in ("adv", "probs", "sounds"))
        likeliest = max(classes.values(), default=0.0)
        if confidences:
            confidence = confidences[0] if one else float(np.mean(confidences))
        else:
            confidence = likeliest
        return Emotion(
            arousal=dimensions.get("arousal"),
            dominance=dimensions.get("dominance"),
            valence=dimensions.get("valence"),
            classes=classes,
            confidence=confidence,
            expression=max(classes, key=classes.__getitem__, default=None),
            sounds=sounds if any(sounds.values()) else {},
        )

    def _confidence_features(self, model_input: NDArray[np.float32]) -> NDArray[np.float32]:
        """The log-mel that a confidence looks at, also where the model makes it inside itself."""
        if self.card.input == "samples":
            return log_mel(model_input[0], self.card.features)[np.newaxis]
        return model_input

    def __repr__(self) -> str:
        card = self.card
        outputs = "; ".join(f"{o.name}: {', '.join(o.labels)}" for o in card.outputs)
        return (
            f"Session({card.name}, task {card.task}, backend {self.backend.name}\n"
            f"  input: {_input(card)}\n"
            f"  outputs: {outputs}\n"
            f"  size: {card.parameters} parameters, {card.quantization.precision}, "
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
    from edgeemo.artifacts.models import locate

    if not isinstance(name_or_path, (str, PathLike)):
        raise BadInput(f"{name_or_path!r:.80} is no model; expected a name or the path of a file")
    path, file = locate(name_or_path, backend)
    return Session(open_backend(path, backend, file), path)


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
