from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgeemo.errors import BadInput
from edgeemo.faces import DETECTORS, Detector, open_detector
from edgeemo.faces.blazeface import squares
from edgeemo.faces.boxes import Face, distinct, overlap
from edgeemo.images import ImageSpec, Pixels, cut
from edgeemo.pictures import read_picture

DATA = Path(__file__).parents[2] / "data" / "faces"


@pytest.fixture(scope="module", params=["blazeface", "haar"])
def detector(request: pytest.FixtureRequest) -> Detector:
    return open_detector(request.param)


def london() -> Iterator[tuple[Pixels, Face]]:
    with (DATA / "london" / "labels.csv").open() as file:
        for row in csv.DictReader(file):
            left, top, right, bottom = (float(row[k]) for k in ("left", "top", "right", "bottom"))
            picture = read_picture(DATA / "london" / row["path"])
            yield picture, Face((left, top, right, bottom), 1.0)


def crowd(side: int = 60) -> tuple[Pixels, list[Face]]:
    """A large picture with twelve small faces of about `side` pixels."""
    pictures = [(picture, face) for picture, face in london()]
    canvas = np.full((900, 1200, 3), 200, np.uint8)
    spec = ImageSpec(int(side * 1.7), 3, (0.5,) * 3, (0.5,) * 3)
    faces = []
    for i, (picture, face) in enumerate(pictures):
        left, top = 60 + 290 * (i % 4), 70 + 280 * (i // 4)
        canvas[top : top + spec.size, left : left + spec.size] = cut(picture, None, spec)
        scale = spec.size / 256
        x0, y0, x1, y1 = (v * scale for v in face.box)
        faces.append(Face((x0, y0, x1, y1), 1.0).moved(left, top))
    return canvas, faces


def test_each_portrait_has_one_face_where_its_box_is(detector: Detector) -> None:
    missed = 0
    for picture, label in london():
        found = detector.find(picture)
        if not found:
            missed += 1
            continue
        assert len(found) == 1
        # The boxes of all detectors are cut alike: this is what training saw.
        assert overlap(found[0], label) > 0.75
        assert 0.85 < found[0].side / label.side < 1.15
    assert missed <= (detector.name == "haar")


def test_an_animal_has_no_face() -> None:
    # The network alone gives the fox .79 in one tile; the second look gives less.
    assert open_detector("blazeface").find(read_picture(DATA / "none_fox.jpg")) == []


def test_people_at_two_distances_are_found(detector: Detector) -> None:
    for name in ("single_lisa1.jpg", "single_60cm.jpg"):
        assert len(detector.find(read_picture(DATA / name))) == 1


def test_small_faces_of_a_large_picture_are_found() -> None:
    canvas, labels = crowd()
    found = open_detector("blazeface").find(canvas)
    assert len(found) == len(labels) == 12
    for label in labels:
        assert max(overlap(label, face) for face in found) > 0.5


def test_a_face_at_the_border_and_a_grey_picture(detector: Detector) -> None:
    picture = read_picture(DATA / "single_lisa1.jpg")
    left, top, right, _ = (int(v) for v in detector.find(picture)[0].box)
    cropped = picture[top:, left + (right - left) // 10 :]
    assert len(detector.find(cropped)) == 1
    grey = cut(picture, None, ImageSpec(512))[..., 0]
    assert len(detector.find(grey)) == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (2000, 3), (64, 64)])
def test_odd_pictures_without_a_face(detector: Detector, shape: tuple[int, int]) -> None:
    for value in (0, 255):
        assert detector.find(np.full((*shape, 3), value, np.uint8)) == []


@pytest.mark.parametrize("image", [np.zeros((5, 5, 3)), np.zeros((5, 5, 4), np.uint8), "a"])
def test_what_is_no_picture_is_refused(detector: Detector, image: object) -> None:
    with pytest.raises(BadInput, match="the picture"):
        detector.find(image)  # type: ignore[arg-type]


def test_following_finds_what_finding_finds() -> None:
    detector = open_detector("blazeface")
    canvas = crowd()[0][:480, :640]
    known = detector.find(canvas)
    assert len(known) == 4
    # Known faces are looked for where they were; the picture has moved by some pixels.
    moved = np.roll(canvas, (6, 5), axis=(0, 1))
    found = detector.follow(moved, known)
    assert len(found) == len(known)
    for face in known:
        assert max(overlap(face.moved(5, 6), other) for other in found) > 0.75
    # Without knowledge one tile a frame finds them all after some frames.
    seen: list[Face] = []
    for _ in range(2 * len(squares(640, 480, 40))):
        seen = detector.follow(canvas, seen)
    assert len(seen) == 4


def test_none_takes_the_whole_picture() -> None:
    assert open_detector("none").find(np.zeros((7, 9, 3), np.uint8)) == [Face((0, 0, 9, 7), 1.0)]


def test_unknown_detectors_are_named() -> None:
    with pytest.raises(BadInput, match="did you mean 'blazeface'"):
        open_detector("blazface")
    assert set(DETECTORS) == {"blazeface", "haar", "mediapipe", "none"}


def test_squares_cover_a_picture_and_are_small_enough() -> None:
    for width, height in ((640, 480), (480, 640), (128, 128), (4000, 3000), (9000, 40)):
        found = squares(width, height, 40)
        assert found[0][2] == max(width, height)
        smallest = min(side for _, _, side in found)
        assert smallest == max(width, height) or smallest == pytest.approx(40 / 0.15)
        seen = np.zeros((height // 20 + 1, width // 20 + 1), bool)
        for left, top, side in found:
            if side == smallest:
                a, b = max(0, int(top / 20)), max(0, int(left / 20))
                seen[a : int((top + side) / 20) + 1, b : int((left + side) / 20) + 1] = True
        assert seen.all()


def test_boxes_of_one_face_become_one() -> None:
    face = Face((0, 0, 100, 100), 0.8)
    better, part, other = face.moved(10, 5), Face((20, 20, 50, 50), 0.7), face.moved(120, 0)
    better = Face(better.box, 0.9)
    assert distinct([part, face, other, better]) == [better, other]
    assert overlap(face, face) == 1 and overlap(face, other) == 0
