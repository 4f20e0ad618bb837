from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edgeemo.errors import BadInput
from edgeemo.faces import Face, Tracker, open_detector
from edgeemo.faces.boxes import overlap
from edgeemo.faces.tracking import LOST_SECONDS
from edgeemo.vision.images import Pixels
from edgeemo.vision.video import Video

CLIP = Path(__file__).parents[2] / "data" / "video" / "grid_pwij3p.mpg"
FRAME = np.zeros((100, 400, 3), np.uint8)


class Told:
    """Gives what the test says: the tracker is what is tested here, not the finding."""

    name = "told"

    def __init__(self) -> None:
        self.faces: list[Face] = []

    def find(self, image: Pixels) -> list[Face]:
        return self.faces

    def follow(self, image: Pixels, known: Sequence[Face]) -> list[Face]:
        return self.faces


def face(left: float) -> Face:
    return Face((left, 10, left + 50, 60), 0.9)


def test_a_real_face_keeps_its_number_and_moves_little() -> None:
    tracker = Tracker(open_detector("blazeface"))
    with Video(CLIP) as video:
        found = [tracker.push(at, image) for at, image in video.frames()]
    assert len(found) == 75
    assert {tuple(t.id for t in tracks) for tracks in found} == {(1,)}
    boxes = [tracks[0].face for tracks in found]
    assert min(overlap(a, b) for a, b in pairwise(boxes)) > 0.85


def test_numbers_follow_faces_that_pass_each_other() -> None:
    detector = Told()
    tracker = Tracker(detector)
    for step in range(20):
        a, b = face(10 + 6 * step), face(300 - 6 * step)
        # The order in which a detector names faces says nothing.
        detector.faces = [a, b] if step % 2 else [b, a]
        found = tracker.push(step / 25, FRAME)
        if step == 0:
            # The better score comes first, and equal ones in the order given.
            numbers = {t.id: t.face.box[0] for t in found}
            left = min(numbers, key=lambda n: numbers[n])
    assert len(found) == 2
    by_id = {t.id: t.face.box[0] for t in found}
    assert by_id[left] == pytest.approx(10 + 6 * 19, abs=20)


@pytest.mark.parametrize("seconds", [0.04, 0.67, 1.0, 5.0])
@pytest.mark.parametrize("step", [0, 10, 25, 40])
def test_a_face_keeps_its_number(seconds: float, step: int) -> None:
    """Pictures come rarely, and it moves up to most of its width between two of them."""
    detector = Told()
    tracker = Tracker(detector)
    for i in range(8):
        detector.faces = [face(20 + step * i), face(320 - step * i if step < 25 else 900)]
        assert sorted(t.id for t in tracker.push(seconds * i, FRAME)) == [1, 2]


def test_a_real_face_keeps_its_number_at_one_picture_a_second() -> None:
    tracker = Tracker(open_detector("blazeface"))
    with Video(CLIP) as video:
        frames = [image for _, image in video.frames()][::15]
    for second, image in enumerate(frames):
        # A large step: the picture is moved by half a face.
        moved = np.roll(image, 40 * (second % 2), axis=1)
        assert [t.id for t in tracker.push(float(second), moved)] == [1]


def test_a_face_elsewhere_or_of_another_size_is_another() -> None:
    detector = Told()
    tracker = Tracker(detector)
    detector.faces = [face(10)]
    tracker.push(0.0, FRAME)
    detector.faces = [face(70)]  # 1.2 widths away
    assert [t.id for t in tracker.push(0.1, FRAME)] == [2]
    detector.faces = [Face((70, 60, 160, 150), 0.9)]
    assert [t.id for t in tracker.push(0.2, FRAME)] == [3]


@pytest.mark.parametrize("seconds", [0.9, float("nan"), float("inf"), float("-inf")])
def test_times_that_do_not_go_on_are_refused(seconds: float) -> None:
    detector = Told()
    tracker = Tracker(detector)
    detector.faces = [face(10)]
    tracker.push(1.0, FRAME)
    with pytest.raises(BadInput, match=r"in the order of time|the picture's time in seconds"):
        tracker.push(seconds, FRAME)
    assert [t.id for t in tracker.push(1.0, FRAME)] == [1]  # nothing was lost
    tracker.reset()
    assert [t.id for t in tracker.push(0.5, FRAME)] == [1]


def test_a_face_that_is_gone_for_long_comes_back_with_a_new_number() -> None:
    detector = Told()
    tracker = Tracker(detector)
    detector.faces = [face(10)]
    assert [t.id for t in tracker.push(0.0, FRAME)] == [1]
    detector.faces = []
    assert tracker.push(0.1, FRAME) == []
    detector.faces = [face(12)]
    assert [t.id for t in tracker.push(LOST_SECONDS, FRAME)] == [1]
    detector.faces = []
    tracker.push(LOST_SECONDS + 0.1, FRAME)
    detector.faces = [face(12)]
    assert [t.id for t in tracker.push(2 * LOST_SECONDS + 0.2, FRAME)] == [2]
    tracker.reset()
    assert [t.id for t in tracker.push(9.0, FRAME)] == [1]


def test_boxes_are_smoothed_by_time_and_not_by_frame() -> None:
    def after(rate: int) -> float:
        detector = Told()
        tracker = Tracker(detector)
        detector.faces = [face(10)]
        tracker.push(0.0, FRAME)
        detector.faces = [replace(face(20), score=0.8)]
        for step in range(1, rate // 5 + 1):
            found = tracker.push(step / rate, FRAME)
        return found[0].face.box[0]

    assert after(25) == pytest.approx(after(100), abs=0.01)
    assert 18 < after(25) < 20
