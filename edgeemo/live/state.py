"""What a view shows: the newest of everything, and the last minute."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.card import MISUSE
from edgeemo.fusion import Fused
from edgeemo.types import Emotion

TRACE_SECONDS = 60.0
"""How far back the trace goes."""

SILENT_DB = -90.0
"""The level that stands for digital silence; lower ones are not told apart."""

PLAIN_WORDS = f"How voice and face would be perceived, not what anybody feels. {MISUSE}"
"""What each view says of itself."""

_MUTED_SECONDS = 2.0  # zeros for so long mean a switch, not a quiet room
_NOTHING = Fused(None, None, None)


@dataclass(frozen=True)
class Block:
    """A piece of sound.

    Attributes:
        samples: [n] float32, mono, 16 kHz, -1..1.
        seconds: end of the piece, since the first sample.
    """

    samples: NDArray[np.float32]
    seconds: float


@dataclass(frozen=True)
class Picture:
    """A picture in which faces were looked for.

    Attributes:
        image: uint8 [height, width, 3], RGB.
        seconds: its time on the clock of the estimates.
        faces: estimates with their boxes, the largest box first.
    """

    image: NDArray[np.uint8]
    seconds: float
    faces: tuple[Emotion, ...]


Item = Block | Picture | Fused
"""What a view is told of, in the order of arrival."""


@dataclass
class State:
    """All that is known now; only the engine writes it.

    Attributes:
        sources: by side ("voice", "face") the device, or the name of the file without its folder.
        paths: by side the device, or the file as it was given.
        models: by side the name of the model.
        seconds: time of the newest sound or picture, since the first.
        level, peak: of the newest block, dB of full scale, SILENT_DB..0; None without sound.
        estimate: the newest one.
        voice: the newest estimate of the voice alone.
        picture: the newest one, with its faces.
        trace: estimates of the last TRACE_SECONDS, oldest first.
        num_estimates: number of estimates so far.
        pictures: number of pictures so far.
        latencies: from a window's last sample to the shown estimate, seconds; the last 240.
        cpu: share of one core that the process took in the last second, or None before that.
        overruns: times that sound was lost.
        muted_seconds: sound up to now that is exactly 0.
        ended: by side why it ended, or why it never began.
        recording: the folder that is written to, or None.
    """

    sources: dict[str, str] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    level: float | None = None
    peak: float | None = None
    estimate: Fused = _NOTHING
    voice: Emotion | None = None
    picture: Picture | None = None
    trace: deque[Fused] = field(default_factory=deque)
    num_estimates: int = 0
    pictures: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=240))
    cpu: float | None = None
    overruns: int = 0
    muted_seconds: float = 0.0
    ended: dict[str, str] = field(default_factory=dict)
    recording: str | None = None

    def heard(self, block: Block) -> None:
        """Take a block's level and time."""
        peak = float(np.max(np.abs(block.samples), initial=0.0))
        mean = float(np.mean(np.square(block.samples, dtype=np.float64))) if peak else 0.0
        self.level, self.peak = _decibels(mean**0.5), _decibels(peak)
        self.seconds = block.seconds

    def seen(self, picture: Picture) -> None:
        """Take a picture and its time."""
        self.picture = picture
        self.pictures += 1
        self.seconds = max(self.seconds, picture.seconds)

    def tell(self, estimate: Fused) -> None:
        """Take an estimate, and forget those that fall out of the trace."""
        self.estimate = estimate
        self.num_estimates += 1
        self.trace.append(estimate)
        while self.trace[0].end < estimate.end - TRACE_SECONDS:
            self.trace.popleft()

    @property
    def latency(self) -> float | None:
        """Median of the last minute's latencies, seconds."""
        return median(self.latencies) if self.latencies else None

    def notes(self) -> list[str]:
        """What is being ignored, and why, in plain words."""
        return list(self._notes())

    def _notes(self) -> Iterator[str]:
        for side, device in (("voice", "microphone"), ("face", "camera")):
            if side in self.ended:
                yield f"{side}: {self.ended[side]}"
            elif side not in self.sources:
                yield f"{side}: no {device} in use"
            elif side in self.estimate.ignored:
                yield f"{side}: {self._reason(side)}"
        faces = () if self.picture is None else self.picture.faces
        if len(faces) > 1:
            yield f"{len(faces) - 1} more in the picture: only the largest face counts"
        if self.muted_seconds > _MUTED_SECONDS:
            yield "the sound is all zeros: is the microphone muted?"
        if self.overruns:
            yield f"sound was lost {self.overruns} times: this machine was too busy"

    def _reason(self, side: str) -> str:
        if side == "face" and self.picture is not None and not self.picture.faces:
            return "none in the picture"
        return self.estimate.ignored[side]


def _decibels(value: float) -> float:
    return max(SILENT_DB, 20 * float(np.log10(value))) if value > 0 else SILENT_DB
