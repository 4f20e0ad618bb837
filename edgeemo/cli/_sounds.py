"""Estimates of sound of any length: one, one a window, or one a stretch of speech."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import BadInput
from edgeemo.session import Session
from edgeemo.speech.profile import SpeakerProfile
from edgeemo.speech.samples import PIECE_SECONDS
from edgeemo.speech.segments import PRIME_SECONDS, SpeechSegments, only_speech
from edgeemo.speech.vad import Gate, by_own_word, open_gate, resolve_gate
from edgeemo.types import CLASSES, Emotion

HELD_SECONDS = 300.0
"""Sound of at most this length is held in memory, and judged as `Session.predict` does."""

SEGMENT_SECONDS = 30.0
"""Speech without a pause that is longer is more than one segment."""

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Judge:
    """A model of speech with what is said about the speaker and the sound.

    Attributes:
        session: the model.
        gate: what tells where somebody speaks; None: all sound counts.
        profile: of the person who speaks, or None.
    """

    session: Session
    gate: str | None
    profile: SpeakerProfile | None

    @property
    def rate(self) -> int:
        """Of all samples, Hz."""
        return self.session.card.features.sample_rate

    @property
    def least(self) -> int:
        """Samples that the model needs at least."""
        return round(self.session.card.window.min_seconds * self.rate)

    def predict(self, samples: Samples, start: int = 0, *, speech: bool = False) -> Emotion:
        """The estimate of samples that begin at `start`; with `speech` all of them are speech
        to the gate that comes before the model."""
        gate = None if speech else self.gate
        emotion = self.session.predict(samples, self.rate, profile=self.profile, gate=gate)
        begin = start / self.rate
        emotion = replace(
            emotion, start=begin, end=begin + emotion.end, speech=True if speech else emotion.speech
        )
        return by_own_word(emotion) if speech and self._resolved[1] else emotion

    def open_gate(self) -> Gate | None:
        """What tells where somebody speaks before the model is asked, or None."""
        return open_gate(self._resolved[0], self.rate)

    @property
    def _resolved(self) -> tuple[str | Gate | None, bool]:
        return resolve_gate(self.gate, self.session.card)


def whole(judge: Judge, blocks: Iterable[Samples]) -> Iterator[Emotion]:
    """One estimate of all: what `Session.predict` gives; of a long sound by pieces of speech."""
    source = iter(blocks)
    held: list[Samples] = []
    count = 0
    for block in source:
        held.append(block)
        count += len(block)
        if count > HELD_SECONDS * judge.rate:
            yield _long(judge, held, source)
            return
    yield judge.predict(held[0] if len(held) == 1 else np.concatenate(held))


def _long(judge: Judge, held: list[Samples], rest: Iterator[Samples]) -> Emotion:
    """The mean over pieces of a minute that are speech alone, weighed by their length."""
    gate = judge.open_gate()
    speech = np.zeros(0, np.float32)
    found: list[Emotion] = []
    weights: list[int] = []
    size = round(PIECE_SECONDS * judge.rate)
    seen = 0

    def judge_piece(piece: Samples) -> None:
        emotion = judge.predict(piece, speech=gate is not None)
        if emotion.speech is not False:  # by the model's own word
            found.append(emotion)
            weights.append(len(piece))

    for _, piece in cut(_chain(held, rest), size, judge.least):
        seen += len(piece)
        spoken = piece if gate is None else only_speech(piece, judge.rate, gate)
        speech = np.concatenate([speech, spoken])
        while len(speech) >= size + judge.least:
            judge_piece(speech[:size])
            speech = speech[size:]
    if len(speech) >= judge.least:
        judge_piece(speech)
    if not found:
        return Emotion(None, None, None, speech=False, end=seen / judge.rate)
    return replace(mean(found, weights), end=seen / judge.rate)


def windows(judge: Judge, blocks: Iterable[Samples], seconds: float) -> Iterator[Emotion]:
    """An estimate a window: what `Session.predict` gives of its samples.

    Raises:
        BadInput: a window is shorter than what the model needs.
    """
    size = round(seconds * judge.rate)
    if not judge.least <= size <= HELD_SECONDS * judge.rate:
        raise BadInput(
            f"a window of {seconds:g} s; {judge.session.card.name} takes "
            f"{judge.least / judge.rate:g} to {HELD_SECONDS:g} s"
        )
    for start, piece in cut(blocks, size, judge.least):
        yield judge.predict(piece, start)


def segments(judge: Judge, blocks: Iterable[Samples]) -> Iterator[Emotion]:
    """An estimate a stretch of speech, and one without numbers for sound without any.

    Raises:
        BadInput: there is no gate.
    """
    gate = judge.open_gate()
    if gate is None:
        raise BadInput("--segments needs a gate; leave out --gate none")
    finder = SpeechSegments(gate, judge.rate, SEGMENT_SECONDS)
    kept, begin, spoken = np.zeros(0, np.float32), 0, False
    for block in _primed(blocks, gate, judge.rate):
        kept = np.concatenate([kept, block])
        for first, last in finder.push(block):
            spoken = True
            yield judge.predict(kept[first - begin : last - begin], first, speech=True)
        skip = max(0, finder.begun - begin)
        kept, begin = kept[skip:], begin + skip
    end = begin + len(kept)
    for first, last in finder.flush():
        if last - first >= judge.least:
            spoken = True
            yield judge.predict(kept[first - begin : last - begin], first, speech=True)
    if not spoken:
        yield Emotion(None, None, None, speech=False, end=end / judge.rate)


def _primed(blocks: Iterable[Samples], gate: Gate, rate: int) -> Iterator[Samples]:
    """The blocks; before the first, the gate hears the beginning, as `find_speech` does."""
    source = iter(blocks)
    held: list[Samples] = []
    for block in source:
        held.append(block)
        if sum(map(len, held)) >= PRIME_SECONDS * rate:
            break
    if held:
        begin = np.concatenate(held)
        most = min(len(begin), round(PRIME_SECONDS * rate)) // gate.block * gate.block
        gate.push(begin[:most])
    yield from _chain(held, source)


def _chain(held: list[Samples], rest: Iterator[Samples]) -> Iterator[Samples]:
    while held:
        yield held.pop(0)
    yield from rest


def cut(blocks: Iterable[Samples], size: int, least: int) -> Iterator[tuple[int, Samples]]:
    """First sample and samples of pieces of one size; the last takes what would be too little.

    Args:
        blocks: of samples [n], in any cut.
        size: samples in a piece.
        least: samples; a rest that is shorter belongs to the piece before.
    """
    kept, start = np.zeros(0, np.float32), 0
    for block in blocks:
        kept = np.concatenate([kept, block])
        while len(kept) >= size + least:
            yield start, kept[:size]
            kept, start = kept[size:], start + size
    if len(kept):
        yield start, kept


def mean(found: Sequence[Emotion], weights: Sequence[float]) -> Emotion:
    """The weighted mean of estimates of one person or sound, with the first one's box."""

    def average(of: Callable[[Emotion], float | None]) -> float | None:
        known = [(v, w) for e, w in zip(found, weights, strict=True) if (v := of(e)) is not None]
        values, shares = zip(*known, strict=True) if known else ((), ())
        return float(np.average(values, weights=shares)) if known else None

    classes = {
        name: average(lambda e, name=name: e.classes.get(name)) or 0.0  # type: ignore[misc]
        for name in CLASSES
        if name in found[0].classes
    }
    sounds = {
        name: average(lambda e, name=name: e.sounds.get(name)) or 0.0  # type: ignore[misc]
        for name in found[0].sounds
    }
    return replace(
        found[0],
        sounds=sounds,
        arousal=average(lambda e: e.arousal),
        dominance=average(lambda e: e.dominance),
        valence=average(lambda e: e.valence),
        classes=classes,
        confidence=average(lambda e: e.confidence) or 0.0,
        expression=max(classes, key=classes.__getitem__, default=None),
        start=found[0].start,
        end=found[-1].end,
    )
