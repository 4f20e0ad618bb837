from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeemo.results.cues import Cue
from edgeemo.results.drawing import MOST_FACES, Drawing

YELLOW, WHITE = (255, 200, 0), (235, 235, 235)
CUES = [
    Cue("voice", 0, 4000, {"arousal": 1.0, "valence": 0.0}, "anger", 0.75),
    Cue("face 1", 0, 2000, {"arousal": 0.5}, "fear", 0.5),
    Cue("face 1", 2000, 4000, {"arousal": 0.5}, "happiness", 0.5),
]


def image(width: int = 321, height: int = 241) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 128, np.uint8)


def is_color(pixels: NDArray[np.uint8], color: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.all(pixels == color, axis=-1)


def test_the_picture_stays_and_the_timeline_is_below() -> None:
    drawing = Drawing(CUES, 321, 241, 4.0)
    frame = drawing.frame(image(), 1.0, {})
    assert frame.shape == (drawing.height, drawing.width, 3)
    assert drawing.width == 322 and drawing.height % 2 == 0 and drawing.height > 241
    assert (frame[:241, :321] == 128).all()
    assert not (frame[241:] == 128).all()


def test_a_box_is_where_the_face_is() -> None:
    drawing = Drawing(CUES, 321, 241, 4.0)
    yellow = is_color(drawing.frame(image(), 1.0, {1: (100, 80, 200, 180)}), YELLOW)
    for across, down in ((100, 130), (200, 130), (150, 180)):
        assert yellow[down, across]
    assert not yellow[90:170, 110:190].any() and not yellow[185:].any()
    assert not is_color(drawing.frame(image(), 1.0, {}), YELLOW).any()


def test_a_box_beyond_the_picture_does_not_reach_the_timeline() -> None:
    drawing = Drawing(CUES, 321, 241, 4.0)
    frame = drawing.frame(image(), 1.0, {1: (-50, -50, 500, 500)})
    assert (frame[241:] == drawing.frame(image(), 1.0, {})[241:]).all()


def test_the_line_of_the_present_moves_with_time() -> None:
    drawing = Drawing(CUES, 321, 241, 4.0)

    def column(seconds: float) -> int:
        panel = is_color(drawing.frame(image(), seconds, {})[241:], WHITE)
        return int(panel[20:].sum(0).argmax())

    at = [column(seconds) for seconds in (0, 1, 2, 4, 9)]
    assert at[0] < at[1] < at[2] < at[3] == at[4]
    assert at[2] - at[1] == pytest.approx(at[1] - at[0], abs=1)


def test_the_text_is_of_its_time() -> None:
    """The second half of the face's lane says something else than the first."""
    drawing = Drawing(CUES, 321, 241, 4.0)
    first, second = (drawing.frame(image(), t, {})[241:, :60] for t in (1.9, 2.1))
    assert (first != second).any()
    assert (first == drawing.frame(image(), 0.1, {})[241:, :60]).all()


def test_faces_that_are_seen_longest_have_a_lane() -> None:
    many = [Cue(f"face {n}", 0, 1000 * n, {"arousal": 0.5}) for n in range(1, 20)]
    few = many[-MOST_FACES:]
    assert Drawing(many, 640, 480, 20).height == Drawing(few, 640, 480, 20).height
