"""A stream of speech: push samples in blocks of any size, get an estimate every quarter second."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeemo.errors import BadInput, require, within
from edgeemo.speech.chain import Chain, Plan, open_chain
from edgeemo.speech.samples import (
    PIECE_SECONDS,
    as_float,
    check_profile,
    log,
    validate_rate,
    validate_samples,
)
from edgeemo.speech.smoothing import Smoothing
from edgeemo.speech.vad import Gate, resolve_gate
from edgeemo.types import Emotion

if TYPE_CHECKING:
    from edgeemo.session import Session
    from edgeemo.speech.profile import SpeakerProfile

FIRST_SECONDS = 1.0
"""The first estimate comes after so much sound; until the window is full it grows."""

LONGEST_GAP = 60.0
"""Seconds of lost sound that `Stream.gap` takes at most."""

CONCEALED_SECONDS = 0.04
"""So much of a gap is filled with sound: with 1 % of 20 ms packets lost, arousal errs by .005 to
.008 in place of .008 to .011 with zeros alone; more sound gains nothing (benchmarks/gaps.py)."""


_LATEST = 1e12  # seconds; a date as seconds since 1970 is far below


class Stream:
    """Sound in, estimates out; made by `Session.stream`.

    **What is promised.** Each estimate, before smoothing, equals `session.predict(..., gate=None)`
    on exactly the samples from `start` to `end`, bit for bit, however the sound is cut into blocks.
    `start` and `end` are seconds since the first sample (after the last reset). At another rate
    than the model's the sound is resampled as one stream, and the samples are those of the
    resampled sound.

    **Which window.** An estimate ends at each multiple of the stride, from `FIRST_SECONDS` on. A
    backend that runs whole windows looks at the last `context_seconds`. A backend that goes on
    frame by frame (`Backend.streams`) cannot forget the beginning of its window: so two of
    its states run, begun half a window apart, and the older one speaks until it is a whole window
    old. Its estimates look at the last half to whole window; `start` says at how much. Half a
    window is rounded up to a whole number of the model's tokens: 1.52 s of 3 s.

    **Lost sound.** `gap` keeps the clock and all state: time goes on as if the sound had come.

    **When to reset.** At another device, another speaker whom you know of, or a gap of more than
    `LONGEST_GAP`. Not in silence, and not from time to time: nothing drifts, and memory does not
    grow. A reset forgets sound, noise floor and smoothing; what follows is bit for bit what a new
    stream gives, with times from 0, or from where the caller says.

    **Errors and threads.** Input that is refused changes nothing. After any other exception, of a
    gate or Ctrl-C, it is not known how much of the block was taken: the stream refuses until
    `reset`. After `close` every method but `close` raises BadInput. A stream belongs to one thread
    at a time; a second one that comes in between gets BadInput, and nothing is changed.
    """

    def __init__(
        self,
        session: Session,
        rate: int,
        stride_seconds: float,
        context_seconds: float,
        smoothing: Smoothing | None,
        gate: str | Gate | None,
        profile: SpeakerProfile | None,
        abstain: float,
    ) -> None:
        spec = session.card.features
        validate_rate(rate)
        self._session, self._profile = session, profile
        if not isinstance(smoothing, Smoothing | None):
            raise BadInput(f"smoothing is {smoothing!r:.80}; expected edgeemo.Smoothing, or None")
        check_profile(profile)
        within("abstain", abstain, 0, 1)
        self._rate, self._model_rate = rate, spec.sample_rate
        self._concealed = round(CONCEALED_SECONDS * rate)
        self._stride = _frames("stride_seconds", stride_seconds, session)
        window = _frames("context_seconds", context_seconds, session)
        least = max(session.card.window.min_seconds, min(FIRST_SECONDS, context_seconds))
        self._least = math.ceil(least * spec.sample_rate / self._stride) * self._stride
        if window < self._least:
            raise BadInput(
                f"context_seconds is {context_seconds:g}; {session.card.name} with a stride of "
                f"{stride_seconds:g} s needs at least {self._least / spec.sample_rate:g}"
            )
        first, own = resolve_gate(gate, session.card)
        plan = Plan(window, self._stride, first, smoothing, abstain, profile, own)
        self._chain: Chain = open_chain(session, plan)
        self._lock = threading.Lock()
        self._closed = self._broken = False
        self._origin = 0.0  # time of the first sample
        self._begin()

    def _begin(self) -> None:
        self._seen = self._last_end = 0  # samples taken; samples up to the last estimate
        self._warned = False
        self._tail = np.zeros(0, np.float32)  # the last sound, at the stream's rate
        self._missing = 0  # samples of the gap since then
        self._rest = 0.0  # of a sample, that gaps were too short or too long until now
        self._resample: Any = None
        if self._rate != self._model_rate:
            soxr = require("soxr", "audio")
            self._resample = soxr.ResampleStream(
                self._rate, self._model_rate, 1, dtype="float32", quality="HQ"
            )

    @property
    def seconds(self) -> float:
        """Time of the last sample: sound taken since the first one, in seconds."""
        return self._origin + self._seen / self._model_rate

    def push(self, samples: ArrayLike, rate: int | None = None) -> list[Emotion]:
        """Take sound, give the estimates that it completes.

        It may come late: a stream knows time by its samples alone, and `gap` of what never came.

        Args:
            samples: [n] mono, n from 0 up; float in -1..1, or int16, at the stream's rate.
            rate: of these samples in Hz, where a device may change it; it must be the stream's.

        Returns:
            None, one or more estimates in the order of time. Where nobody speaks, `speech` is
            False and the numbers are absent; where the confidence is below `abstain` they are
            absent too, and `speech` stays True.

        Raises:
            BadInput: as `Session.predict`, or another rate; the stream is then as before the call.
                Or the stream is closed or was left by an exception, or another thread is inside.
        """
        with self._alone():
            if rate not in (None, self._rate):
                raise BadInput(
                    f"samples at {rate!r} Hz in a stream of {self._rate} Hz; end it with flush(), "
                    f"and go on with another: session.stream({rate!r})"
                )
            block = as_float(validate_samples(samples, self._rate, self._warn))
            if self._profile is not None:
                block = self._profile.level(block)
            with self._all_or_broken():
                self._missing = 0
                self._tail = np.concatenate([self._tail, block])[-self._concealed :]
                return list(self._take(self._resampled(block)))

    def gap(self, seconds: float) -> list[Emotion]:
        """Let time pass without sound: packets that were lost, a device that was too slow.

        The last CONCEALED_SECONDS, backwards, and then zeros stand for the sound; the gate keeps
        its noise floor, and nobody speaks there. That is closer to the sound than a reset, for gaps
        of 20 ms to 3 s (benchmarks/gaps.py).

        Args:
            seconds: how much is missing, 0 to LONGEST_GAP.

        Returns:
            As `push`.

        Raises:
            BadInput: another length. Or as `push`.
        """
        try:
            lost = within("the gap in seconds", seconds, 0, LONGEST_GAP) * self._rate
        except BadInput as error:
            raise BadInput(
                f"{error}; after a longer one: stream.reset(stream.seconds + gap)"
            ) from None
        with self._alone(), self._all_or_broken():
            found: list[Emotion] = []
            left = round(lost + self._rest)
            self._rest += lost - left
            while left:  # a second at a time: memory stays small
                block = np.zeros(min(left, self._rate), np.float32)
                concealed = self._tail[::-1][self._missing : self._missing + len(block)]
                block[: len(concealed)] = concealed
                self._missing += len(block)
                left -= len(block)
                found += self._take(self._resampled(block), lost=True)
            return found

    def flush(self) -> list[Emotion]:
        """End the sound: the estimate of what came after the last one, and a reset.

        Returns:
            One estimate that ends with the last sample; none if there is no sound after the last
            estimate, or less than the model's shortest clip in all.

        Raises:
            BadInput: the stream is closed or was left by an exception, or another thread is inside.
        """
        with self._alone(), self._all_or_broken():
            found: list[Emotion] = []
            if self._resample is not None:
                rest = self._resample.resample_chunk(np.zeros(0, np.float32), last=True)
                found = list(self._take(rest))
            least = round(self._session.card.window.min_seconds * self._model_rate)
            if self._seen > self._last_end and self._seen >= least:
                found.append(self._emit(last=True))
            self._forget()
            return found

    def reset(self, seconds: float = 0.0) -> None:
        """Forget everything; what follows is bit-identical to a new stream.

        Args:
            seconds: the time of the next sample; `reset(stream.seconds)` lets the clock go on, as
                `edgeemo.Fusion` needs it.

        Raises:
            BadInput: not a finite time, the stream is closed, or another thread is inside.
        """
        origin = within("seconds", seconds, -_LATEST, _LATEST)
        with self._alone(broken=True):
            self._forget()
            self._origin = origin
            self._broken = False

    def close(self) -> None:
        """End for good; more than once is allowed, from any thread.

        A push that another thread is in ends as usual and gives its estimates.
        """
        self._closed = True

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{self.seconds:.2f} s so far"
        return f"Stream({self._session.card.name}, {self._rate} Hz, {state})"

    @contextmanager
    def _alone(self, broken: bool = False) -> Iterator[None]:
        """One thread, and a stream that is open and, unless `broken`, whole."""
        if not self._lock.acquire(blocking=False):
            raise BadInput("the stream is in use by another thread; give each thread its own")
        try:
            if self._closed:
                raise BadInput("the stream is closed; make another with session.stream()")
            if self._broken and not broken:
                raise BadInput("an exception left the stream in mid-block; reset() begins anew")
            yield
        finally:
            self._lock.release()

    @contextmanager
    def _all_or_broken(self) -> Iterator[None]:
        """What ends here by an exception has changed nobody knows how much."""
        self._broken = True
        yield
        self._broken = False

    def _warn(self, text: str) -> None:
        """Once a stream: blocks come fifty times a second."""
        if not self._warned:
            self._warned = True
            log.warning("%s", text)

    def _resampled(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        return block if self._resample is None else self._resample.resample_chunk(block)

    def _forget(self) -> None:
        self._chain.reset()
        self._origin = 0.0
        self._begin()

    def _take(self, block: NDArray[np.float32], lost: bool = False) -> Iterator[Emotion]:
        """Cut the block where estimates end, so that a long block needs no more memory.

        Args:
            block: at the model's rate.
            lost: it stands for sound that did not come.
        """
        while len(block):
            end = max(self._least, (self._seen // self._stride + 1) * self._stride)
            part, block = block[: end - self._seen], block[end - self._seen :]
            self._chain.push(part, lost)
            self._seen += len(part)
            if self._seen == end:
                yield self._emit()

    def _emit(self, last: bool = False) -> Emotion:
        self._last_end = self._seen
        found = self._chain.estimate(last)
        return replace(found, start=self._origin + found.start, end=self.seconds)


def _frames(name: str, seconds: float, session: Session) -> int:
    """Samples of a time that must be a whole number of the model's frames, up to a minute."""
    spec = session.card.features
    step = spec.hop / spec.sample_rate
    count = round(within(name, seconds, 0, PIECE_SECONDS) / step)
    if count < 1 or abs(count * step - seconds) > 1e-6:
        raise BadInput(
            f"{name} is {seconds!r}; expected a multiple of {step:g} s (a frame of "
            f"{session.card.name}), at most {PIECE_SECONDS:g} s"
        )
    return count * spec.hop
