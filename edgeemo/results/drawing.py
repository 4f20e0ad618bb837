"""What is drawn over and below a frame of a video: boxes, names and a timeline."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import require
from edgeemo.results.cues import VOICE, Cue
from edgeemo.types import DIMENSIONS
from edgeemo.vision.images import Pixels

Box = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels."""

MOST_FACES = 3
"""Faces with a lane in the timeline: those that are seen longest."""

_COLORS = dict(zip(DIMENSIONS, ((255, 110, 200), (90, 200, 255), (120, 230, 120)), strict=True))
_GROUND, _INK, _FAINT, _BOX = (24, 24, 28), (235, 235, 235), (70, 70, 78), (255, 200, 0)


class Drawing:
    """Frames of one video with what was found in it.

    Attributes:
        width, height: of a drawn frame, even, as encoders want them.
    """

    def __init__(self, cues: Sequence[Cue], width: int, height: int, seconds: float) -> None:
        """Draw what stays the same in all frames: the timeline.

        Args:
            cues: of the voice and of the faces, in the order of time; one at least.
            width: of the video, in pixels.
            height: of the video, in pixels.
            seconds: its length.
        """
        self._cv2: Any = require("cv2", "vision")
        self._cues: dict[str, list[Cue]] = {}
        for cue in cues:
            self._cues.setdefault(cue.who, []).append(cue)
        self._lanes = _lanes(self._cues)
        self._end = max(seconds, 0.001)
        self._lane = max(32, min(height, width) // 9)
        self._font = self._lane / 72
        self._top = self._lane // 2  # of the first lane: above it stands what the colors mean
        rows = self._top + self._lane * len(self._lanes)
        self.width, self.height = width + width % 2, height + rows + (height + rows) % 2
        names: int = max(self._size(text)[0][0] for cue in cues for text in (cue.who, _said(cue)))
        self._margin = self._lane // 4
        self._left = min(names + 2 * self._margin, self.width // 2)
        self._panel = np.full((self.height - height, self.width, 3), _GROUND, np.uint8)
        self._draw_legend()
        for number, who in enumerate(self._lanes):
            self._draw_lane(self._top + number * self._lane, self._cues[who])

    def frame(self, image: Pixels, seconds: float, faces: Mapping[int, Box]) -> NDArray[np.uint8]:
        """A frame with its boxes and the timeline: uint8 [height, width, 3], RGB.

        Args:
            image: of the video, uint8 [height, width, 3], RGB.
            seconds: its time.
            faces: boxes by the number of the face.
        """
        canvas = np.zeros((self.height, self.width, 3), np.uint8)
        height = image.shape[0]
        canvas[:height, : image.shape[1]] = image
        for number, box in faces.items():
            self._draw_face(canvas, f"face {number}", box, seconds)
        canvas[self.height - len(self._panel) :] = self._panel
        self._draw_now(canvas[self.height - len(self._panel) :], seconds)
        return canvas

    def _draw_legend(self) -> None:
        at = self._left
        for name, color in _COLORS.items():
            at += self._write(self._panel, name, at, self._top * 3 // 4, color) + self._lane // 3

    def _draw_lane(self, top: int, cues: Sequence[Cue]) -> None:
        cv2, bottom = self._cv2, top + self._lane - 1
        cv2.line(self._panel, (0, top), (self.width, top), _FAINT, 1)
        for cue in cues:
            across = self._x(cue.start / 1000), self._x(cue.end / 1000)
            cv2.rectangle(self._panel, (across[0], top + 1), (across[1], bottom), (38, 38, 44), -1)
            for name, value in cue.dimensions.items():
                y = round(bottom - 3 - value * (self._lane - 7))
                cv2.line(self._panel, (across[0], y), (across[1], y), _COLORS[name], 2)

    def _draw_now(self, panel: NDArray[np.uint8], seconds: float) -> None:
        """The line of the present, and what each lane says then."""
        x = self._x(seconds)
        self._cv2.line(panel, (x, self._top), (x, len(panel)), _INK, 1)
        for number, who in enumerate(self._lanes):
            top = self._top + number * self._lane
            self._write(panel, who, self._margin, top + self._lane * 2 // 5, _INK)
            cue = self._cue(who, seconds)
            if cue is not None:
                self._write(panel, _said(cue), self._margin, top + self._lane * 4 // 5, _INK)

    def _draw_face(self, canvas: NDArray[np.uint8], who: str, box: Box, seconds: float) -> None:
        left, top, right, bottom = box
        thick = max(1, self._lane // 24)
        self._cv2.rectangle(canvas, (left, top), (right, bottom), _BOX, thick)
        cue = self._cue(who, seconds)
        text = who if cue is None else f"{who}: {_said(cue)}"
        (across, up), _ = self._size(text)
        above = max(top, up + 8)
        left = max(0, min(left, self.width - across - 6))
        corner = left + across + 6, above
        self._cv2.rectangle(canvas, (left, above - up - 8), corner, _GROUND, -1)
        self._write(canvas, text, left + 3, above - 5, _BOX)

    def _cue(self, who: str, seconds: float) -> Cue | None:
        cues, now = self._cues.get(who, []), 1000 * seconds
        number = bisect_right(cues, now, key=lambda cue: cue.start)
        return cues[number - 1] if number and now < cues[number - 1].end else None

    def _x(self, seconds: float) -> int:
        part = min(1.0, seconds / self._end)
        return round(self._left + part * (self.width - self._margin - self._left))

    def _size(self, text: str) -> Any:
        """Width and height of a text in pixels, and its baseline."""
        return self._cv2.getTextSize(text, self._cv2.FONT_HERSHEY_SIMPLEX, self._font, 1)

    def _write(self, on: Any, text: str, x: int, y: int, color: tuple[int, int, int]) -> int:
        """Write; how wide it is, in pixels."""
        face, smooth = self._cv2.FONT_HERSHEY_SIMPLEX, self._cv2.LINE_AA
        self._cv2.putText(on, text, (x, y), face, self._font, color, 1, smooth)
        return int(self._size(text)[0][0])


def _said(cue: Cue) -> str:
    if cue.expression:
        return f"{cue.expression} {cue.probability:.2f}"
    return " ".join(f"{value:.2f}" for value in cue.dimensions.values())


def _lanes(cues: Mapping[str, Sequence[Cue]]) -> list[str]:
    """The voice, and the faces that are seen longest, by their numbers."""
    seen = {who: sum(cue.end - cue.start for cue in of) for who, of in cues.items()}
    faces = sorted(seen.keys() - {VOICE}, key=lambda who: -seen[who])[:MOST_FACES]
    return [*([VOICE] if VOICE in cues else []), *sorted(faces, key=lambda w: int(w.split()[1]))]
