"""From samples to a stream's estimates: in one piece of C, or in its parts in Python.

Both give the same numbers. The C chain is what firmware runs (cmake_ext/include/edgeemo_stream.h);
it is there for models that the engine runs frame by frame. All else is put together in Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeemo import _native
from edgeemo.artifacts.confidence import DESCRIBED
from edgeemo.errors import BadInput
from edgeemo.speech.context import open_context
from edgeemo.speech.smoothing import Smoother, Smoothing
from edgeemo.speech.vad import Gate, SpeechShare, by_own_word, open_gate
from edgeemo.types import Emotion

if TYPE_CHECKING:
    from edgeemo.session import Session
    from edgeemo.speech.profile import SpeakerProfile

Samples = NDArray[np.float32]

MOST_VALUES = 20
"""Of a model that the C chain runs (EDGEEMO_MOST_VALUES)."""

_BLOCK = 64  # frames that go through the engine together; any number gives the same bits


@dataclass(frozen=True)
class Plan:
    """What a chain does. Times in samples at the model's rate, whole numbers of frames.

    Attributes:
        window: sound that an estimate looks at.
        stride: from one estimate to the next.
        gate: name of a gate, a gate, or None; see `resolve_gate`.
        smoothing: how, or None.
        abstain: 0..1; where the confidence is lower there are no numbers.
        profile: of the person who speaks, or None; its level was applied to the samples before.
        own: whether the model's own word on speech counts, after the gate's.
    """

    window: int
    stride: int
    gate: str | Gate | None
    smoothing: Smoothing | None
    abstain: float
    profile: SpeakerProfile | None
    own: bool = False


class Chain(Protocol):
    """Samples at the model's rate in, an estimate at any time; times are seconds from the first."""

    def push(self, samples: Samples, lost: bool) -> None:
        """Take samples, up to the end of the next estimate at most.

        Args:
            samples: float32 [n].
            lost: they stand for sound that did not come.
        """

    def estimate(self, last: bool) -> Emotion:
        """The estimate that ends with the last sample; `last` if the sound ends there too."""
        ...

    def reset(self) -> None:
        """Forget all samples."""


def open_chain(session: Session, plan: Plan) -> Chain:
    """The C chain where it can do what is asked for, else that of Python.

    Args:
        session: whose model runs.
        plan: what to do.

    Raises:
        BadInput: no gate of that name.
        MissingExtra: the gate's package is not installed.
    """
    from edgeemo.backends.c import CBackend

    backend = session.backend
    headless = plan.profile is None or plan.profile.kind == "calm"
    if (
        isinstance(backend, CBackend)
        and backend.streams
        and backend.in_card_order
        and headless
        and plan.gate in (None, "energy")
        and _fits(session)
    ):
        return EngineChain(session, plan, backend.blob)
    return PythonChain(session, plan)


def _fits(session: Session) -> bool:
    """Whether the C chain knows outputs and confidence of this model."""
    card = session.card
    names = [output.name for output in card.outputs]
    ranges = {(output.low, output.high) for output in card.outputs}
    values = sum(len(output.labels) for output in card.outputs)
    said = values - len(card.labels("sounds"))
    fitted = card.calibration.confidence
    return (
        card.features.prenorm == "none"
        and names == sorted(names)
        and set(names) <= {"adv", "probs", "sounds"}
        and len(ranges) == 1
        and values <= MOST_VALUES
        and card.features.bands >= 8
        and (fitted is None or len(fitted.center) == said + DESCRIBED)
    )


class PythonChain:
    """Any model, gate and profile."""

    def __init__(self, session: Session, plan: Plan) -> None:
        self._session, self._plan = session, plan
        self._rate = session.card.features.sample_rate
        self._context = open_context(session, plan.window, plan.stride)
        gate = open_gate(plan.gate, self._rate)
        longest = self._context.longest + plan.stride
        self._speech = None if gate is None else SpeechShare(gate, longest)
        self._smoother = None if plan.smoothing is None else Smoother(plan.smoothing)
        self._seen = 0

    def push(self, samples: Samples, lost: bool) -> None:
        """See Chain.push."""
        self._context.push(samples)
        if self._speech is not None:
            (self._speech.skip(len(samples)) if lost else self._speech.push(samples))
        self._seen += len(samples)

    def estimate(self, last: bool) -> Emotion:
        """See Chain.estimate."""
        start = self._context.start(self._seen)
        begun, end = start / self._rate, self._seen / self._rate
        speech = None if self._speech is None else self._speech.spoken(start, self._seen)
        if speech is False:
            raw = Emotion(None, None, None, speech=False, start=begun, end=end)
        else:
            ran = self._context.run(self._seen)
            emotion = self._session.aggregate([ran], self._plan.profile)
            raw = replace(emotion, speech=speech, start=begun, end=end)
            raw = by_own_word(raw) if self._plan.own else raw
        if raw.confidence < np.float32(self._plan.abstain):
            raw = replace(
                raw, arousal=None, dominance=None, valence=None, classes={}, expression=None
            )
        return raw if self._smoother is None else self._smoother.push(raw)

    def reset(self) -> None:
        """See Chain.reset."""
        self._context.reset()
        if self._speech is not None:
            self._speech.reset()
        if self._smoother is not None:
            self._smoother.reset()
        self._seen = 0


class EngineChain:
    """Front end, network, gate, confidence and smoothing in C, as firmware has them.

    `fixed`: front end and gate in integers, as in firmware for processors without an FPU.
    """

    def __init__(self, session: Session, plan: Plan, blob: bytes, fixed: bool = False) -> None:
        card = session.card
        spec, fitted = card.features, card.calibration.confidence
        self._rate, self._block = spec.sample_rate, spec.sample_rate // 100
        self._labels = [label for output in card.outputs for label in output.labels]
        classes = card.labels("probs")
        # In the order of their names: "adv", "probs", "sounds".
        self._first_sound = len(self._labels) - len(card.labels("sounds"))
        self._first_class = self._first_sound - len(classes)
        low, high = card.outputs[0].low, card.outputs[0].high
        least = round(card.window.min_seconds * spec.sample_rate)
        how = plan.smoothing
        smoothing = (
            (0.0, 0.0, 1.0) if how is None else (how.seconds, how.margin, how.forget_seconds)
        )
        self._stream = _native.Stream(
            spec,
            blob,
            (least, self._first_class, len(classes), low, high),
            None if fitted is None else fitted.regression,
            0.0 if fitted is None else fitted.bias,
            (
                plan.window // spec.hop,
                plan.stride // spec.hop,
                2 if plan.own else plan.gate is not None,
                0,
                _BLOCK,
                plan.abstain,
                *smoothing,
            ),
            fixed,
        )
        self._values = np.zeros(len(self._labels), np.float32)
        self._begin()

    def _begin(self) -> None:
        self._last = np.zeros(self._block, np.float32)  # 10 ms of sound, the newest

    def push(self, samples: Samples, lost: bool) -> None:
        """See Chain.push."""
        block = np.ascontiguousarray(samples, np.float32)
        if lost:
            status = self._stream.gap(block, self._last)
        else:
            status = self._stream.push(block)
            self._last = np.concatenate([self._last, block[-self._block :]])[-self._block :]
        if status < 0:
            raise BadInput(_native.model_status_text(status))

    def estimate(self, last: bool) -> Emotion:
        """See Chain.estimate."""
        ask = self._stream.flush if last else self._stream.estimate
        found = ask(self._values)
        assert found is not None, "the chain and its stream disagree about time"
        return self._emotion(found, self._values.tolist())

    def _emotion(
        self, found: tuple[int, int, int, int, int, float], values: Sequence[float]
    ) -> Emotion:
        start, end, speech, known, shown, confidence = found
        pairs = list(zip(self._labels, values, strict=True))
        sounds = dict(pairs[self._first_sound :])
        said = pairs[: self._first_sound] if known else []
        by_label, classes = dict(said), dict(said[self._first_class :])
        return Emotion(
            arousal=by_label.get("arousal"),
            dominance=by_label.get("dominance"),
            valence=by_label.get("valence"),
            classes=classes,
            confidence=confidence,
            speech=None if speech < 0 else bool(speech),
            start=start / self._rate,
            end=end / self._rate,
            expression=None if shown < 0 else self._labels[shown],
            sounds=sounds if any(sounds.values()) else {},
        )

    def reset(self) -> None:
        """See Chain.reset."""
        self._stream.reset()
        self._begin()
