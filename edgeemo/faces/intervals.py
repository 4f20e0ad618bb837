"""The faces of a video, summed up in windows of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from edgeemo.faces.analysis import Tracked
from edgeemo.types import Emotion

WINDOW_SECONDS = 1.0
"""Length of a window, unless told otherwise."""


def windows(
    frames: Iterable[tuple[float, list[Tracked]]], seconds: float = WINDOW_SECONDS
) -> Iterator[Tracked]:
    """The mean estimate of each face in each window.

    Args:
        frames: what `Faces.track` gives.
        seconds: length of a window; the first begins with the first frame.

    Yields:
        A face of a window, in the order of windows and of the faces' numbers. `start` and `end`
        are the times of the first and last frame that show it, `box` is from the middle one.
    """
    kept: dict[int, list[Emotion]] = {}
    current = 0
    for at, faces in frames:
        if int(at / seconds) != current:
            yield from _close(kept)
            kept, current = {}, int(at / seconds)
        for face in faces:
            kept.setdefault(face.id, []).append(face.emotion)
    yield from _close(kept)


def _close(kept: dict[int, list[Emotion]]) -> Iterator[Tracked]:
    for number, found in sorted(kept.items()):
        yield Tracked(number, mean(found))


def mean(found: list[Emotion]) -> Emotion:
    """The mean of estimates of one face, in the order of time; at least one."""
    middle = found[len(found) // 2]
    classes = {k: float(np.mean([e.classes[k] for e in found])) for k in middle.classes}
    return replace(
        middle,
        arousal=_mean([e.arousal for e in found]),
        dominance=_mean([e.dominance for e in found]),
        valence=_mean([e.valence for e in found]),
        classes=classes,
        confidence=max(classes.values(), default=0.0),
        expression=max(classes, key=classes.__getitem__, default=None),
        start=found[0].start,
        end=found[-1].end,
    )


def _mean(values: list[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None
