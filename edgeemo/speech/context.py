"""The sound that a stream remembers, and the model run on the window that ends now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeemo.backends import StepModel
from edgeemo.features import LogMel

if TYPE_CHECKING:
    from edgeemo.session import Session

Outputs = dict[str, NDArray[np.float32]]
Values = NDArray[np.float32]


class Ring:
    """The last rows of a growing table, always as one piece of memory.

    Twice the room is kept and rows move to the front when it is full, so that a window is a view.
    """

    def __init__(self, rows: int, shape: tuple[int, ...]) -> None:
        self._rows = rows
        self._data = np.zeros((2 * rows, *shape), np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget all rows."""
        self._filled = 0
        self.count = 0

    def push(self, new: NDArray[np.float32]) -> None:
        """Append rows; those beyond the room are forgotten, the oldest first."""
        self.count += len(new)
        new = new[-self._rows :]
        if self._filled + len(new) > len(self._data):
            keep = self._rows - len(new)
            self._data[:keep] = self._data[self._filled - keep : self._filled]
            self._filled = keep
        self._data[self._filled : self._filled + len(new)] = new
        self._filled += len(new)

    def since(self, index: int) -> NDArray[np.float32]:
        """A view of the rows from number `index` (counted from the first ever) to the last."""
        return self._data[self._filled - (self.count - index) : self._filled]


class Context(Protocol):
    """How a stream's model gets its window. Times are samples since the first one.

    Attributes:
        longest: samples of the longest window.
    """

    longest: int

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take samples up to the next estimate at most."""

    def start(self, end: int) -> int:
        """First sample of the window that ends before sample `end`, which is the last pushed."""

    def run(self, end: int) -> tuple[Outputs, Values]:
        """The model's outputs for that window, and what went into it, [1, ...]."""

    def reset(self) -> None:
        """Forget all samples."""


def open_context(session: Session, window: int, stride: int) -> Context:
    """The cheapest way that the model allows.

    Args:
        session: whose model runs.
        window: samples, a whole number of frames.
        stride: samples between estimates, a whole number of frames.
    """
    card = session.card
    if card.input == "samples" or card.features.prenorm != "none":
        return _SampleContext(session, window)
    if session.backend.streams:
        return _StepContext(session, window, stride)
    return _FrameContext(session, window, stride)


def half_window(window: int, token: int) -> int:
    """Samples from one state's beginning to the next, in a stream that goes on frame by frame.

    A whole number of tokens, so that states can share layers, and at least half a window, so that
    two cover one.

    Args:
        window: samples.
        token: samples of the frames that give a token.
    """
    return -(-window // (2 * token)) * token


class _SampleContext:
    """For models that need the window's samples: they take samples, or normalize a whole clip."""

    def __init__(self, session: Session, window: int) -> None:
        self._session, self._window, self._step = session, window, session.card.features.hop
        self.longest = window
        self._ring = Ring(window, ())

    def push(self, samples: NDArray[np.float32]) -> None:
        self._ring.push(samples)

    def start(self, end: int) -> int:
        return max(0, -((self._window - end) // self._step) * self._step)

    def run(self, end: int) -> tuple[Outputs, Values]:
        values = self._session.model_input(self._ring.since(self.start(end)))
        return self._session.backend.run(values), values

    def reset(self) -> None:
        self._ring.reset()


class _FrameContext:
    """For models that take frames: each frame is computed once, the model runs anew each time."""

    def __init__(self, session: Session, window: int, stride: int) -> None:
        self._session = session
        self._window = self.longest = window
        self._step = session.card.features.hop
        self._front = LogMel(session.card.features)
        self._ring = Ring((window + stride) // self._step, (session.card.features.bands,))

    def push(self, samples: NDArray[np.float32]) -> None:
        self._ring.push(self._front.push(samples))

    def start(self, end: int) -> int:
        return max(0, -((self._window - end) // self._step) * self._step)

    def run(self, end: int) -> tuple[Outputs, Values]:
        # Frame k begins at sample k * step, so a window that begins there has its frames.
        values = self._ring.since(self.start(end) // self._step)[np.newaxis]
        return self._session.backend.run(values), values

    def reset(self) -> None:
        self._ring.reset()
        self._front.reset()


class _StepContext(_FrameContext):
    """For backends that go on frame by frame: two states, begun half a window apart."""

    def __init__(self, session: Session, window: int, stride: int) -> None:
        self._states: list[StepModel] = [session.backend.step_model() for _ in range(2)]
        self._half = half_window(window, session.card.features.hop * self._states[0].stride)
        super().__init__(session, max(window, 2 * self._half), stride)
        self._current, self._next = 0, [0, 0]  # older state's number; next frame of each
        self.reset()

    def start(self, end: int) -> int:
        return self._older(end) * self._half

    def _older(self, end: int) -> int:
        """Number of the older state; state i begins at sample i * half."""
        return max(0, -(-end // self._half) - 2)

    def run(self, end: int) -> tuple[Outputs, Values]:
        older = self._older(end)
        if older != self._current:
            self._states.reverse()
            self._next.reverse()
            # After a pause in which nobody spoke both may be behind.
            self._restart(1, older + 1)
            if older != self._current + 1:
                self._restart(0, older)
            self._current = older
        for i, state in enumerate(self._states):
            if self._next[i] < self._ring.count:
                state.push(self._ring.since(self._next[i]))
                self._next[i] = self._ring.count
        values = self._ring.since(self.start(end) // self._step)[np.newaxis]
        return self._states[0].outputs(), values

    def _restart(self, which: int, number: int) -> None:
        self._states[which].reset()
        self._next[which] = number * self._half // self._step

    def reset(self) -> None:
        super().reset()
        self._current, self._next = 0, [0, 0]
        for which in (0, 1):
            self._restart(which, which)
