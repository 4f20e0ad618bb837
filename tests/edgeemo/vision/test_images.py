from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest

from edgeemo.errors import BadInput
from edgeemo.io import schema
from edgeemo.vision.images import (
    FACE96,
    LARGEST,
    Box,
    ImageSpec,
    Pixels,
    crop_face,
    normalize,
    preprocess,
)

COLOUR = ImageSpec(size=64, channels=3, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))


def noise(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def reference(image: Pixels, left: float, top: float, side: float, size: int) -> np.ndarray:
    """The resize by its definition: float64, a loop for each pixel of the result."""
    height, width = image.shape[:2]
    scale = side / size
    reach = max(scale, 1.0)

    def axis(start: float, n: int) -> np.ndarray:
        matrix = np.zeros((size, n))
        for i in range(size):
            center = start + (i + 0.5) * scale
            for j in range(math.floor(center - reach) - 1, math.ceil(center + reach) + 1):
                weight = max(0.0, 1 - abs(j + 0.5 - center) / reach)
                matrix[i, min(max(j, 0), n - 1)] += weight
        return matrix / matrix.sum(axis=1, keepdims=True)

    return np.einsum(
        "ih,hwc,jw->ijc", axis(top, height), image.astype(float), axis(left, width), optimize=True
    )


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ((48, 48), None),
        ((300, 300), None),
        ((40, 70), None),
        ((1, 1), None),
        ((200, 160), (20.5, 31.25, 118.0, 128.75)),  # inside, not on whole pixels
        ((200, 160), (-30.0, 150.0, 70.0, 250.0)),  # over the border
        ((600, 500), (100.0, 200.0, 140.0, 230.0)),  # wider than high
    ],
)
def test_cut_is_the_triangle_filter(shape: tuple[int, int], box: Box | None) -> None:
    image = noise(*shape)
    if box is None:
        side = max(shape)
        left, top = (shape[1] - side) / 2, (shape[0] - side) / 2
    else:
        side = max(box[2] - box[0], box[3] - box[1])
        left, top = (box[0] + box[2] - side) / 2, (box[1] + box[3] - side) / 2
    got = crop_face(image, box, COLOUR)
    want = reference(image, left, top, side, 64)
    # Each of the two passes rounds by half a level.
    assert np.abs(got - want).max() < 1.05
    assert np.abs(got - want).mean() < 0.4


def test_the_limit_notices_half_a_pixel() -> None:
    image = noise(200, 200)
    got = crop_face(image, (20, 20, 84, 84), COLOUR)
    assert np.abs(got - reference(image, 20.5, 20, 64, 64)).max() > 20


def test_a_margin_widens_the_box() -> None:
    image = noise(200, 200)
    wide = ImageSpec(64, 3, COLOUR.mean, COLOUR.std, margin=0.25)
    assert np.array_equal(
        crop_face(image, (60, 60, 100, 100), wide), crop_face(image, (50, 50, 110, 110), COLOUR)
    )


def test_grey_is_weighed_as_the_spec_says() -> None:
    image = noise(96, 96)
    grey = crop_face(image, None, FACE96)[..., 0]
    assert np.abs(grey - image @ np.array([77, 150, 29]) / 256).max() <= 0.5
    # A grey picture stays what it is, with one channel or three.
    same = np.repeat(grey[..., None], 3, axis=2)
    assert np.array_equal(crop_face(same, None, FACE96)[..., 0], grey)
    assert np.array_equal(crop_face(grey, None, FACE96)[..., 0], grey)


def test_normalise_is_mean_and_deviation() -> None:
    image = noise(64, 64)
    got = preprocess(image, None, COLOUR)
    assert got.shape == (1, 64, 64, 3) and got.dtype == np.float32
    want = (image / 255 - np.array(COLOUR.mean)) / np.array(COLOUR.std)
    assert np.abs(got[0] - want).max() < 1e-6
    batch = np.stack([image, noise(64, 64, 1)])
    assert np.array_equal(normalize(batch, COLOUR)[:1], got)


def test_the_bits_are_the_same_everywhere() -> None:
    """Digests made on x86-64; whole numbers leave no room for another processor to differ."""
    found = {
        "small": crop_face(noise(48, 48), None, FACE96),
        "face": crop_face(noise(480, 640), (200.3, 100.7, 390.1, 290.5), FACE96),
        "colour": crop_face(noise(333, 217), (-20.0, 30.0, 250.0, 300.0), COLOUR),
        "photo": crop_face(noise(2000, 1500), None, FACE96),
    }
    digests = {k: hashlib.sha256(v.tobytes()).hexdigest()[:16] for k, v in found.items()}
    floats = normalize(found["face"], FACE96).tobytes()
    digests["floats"] = hashlib.sha256(floats).hexdigest()[:16]
    assert digests == DIGESTS


DIGESTS = {
    "small": "6c344fab715a78e8",
    "face": "0150fc47dcdab364",
    "colour": "47ef13047afa2d8a",
    "photo": "2da34fb9dd7cd8f9",
    "floats": "4b20ea69f801aaa0",
}


def test_views_and_orders_of_memory_do_not_matter() -> None:
    image = noise(100, 80)
    want = crop_face(image, (10, 10, 60, 60), FACE96)
    assert np.array_equal(crop_face(np.asfortranarray(image), (10, 10, 60, 60), FACE96), want)
    assert np.array_equal(
        crop_face(np.repeat(image, 2, axis=0)[::2], (10, 10, 60, 60), FACE96), want
    )
    flipped = image[:, ::-1]
    assert np.array_equal(crop_face(flipped, (20, 10, 70, 60), FACE96), want[:, ::-1])


@pytest.mark.parametrize(
    ("image", "box", "message"),
    [
        (np.zeros((4, 4, 3)), None, "float64; expected uint8"),
        (np.zeros((4, 4, 4), np.uint8), None, r"shape \(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), None, "4 x 0 pixels"),
        (np.zeros((LARGEST + 1, 1, 3), np.uint8), None, "expected 1 to 16384"),
        (noise(9, 9), (0, 0, 0, 5), "no area"),
        (noise(9, 9), (0, 0, math.nan, 5), "expected left, top, right, bottom"),
        (noise(9, 9), (0, 0, 5), "expected left, top, right, bottom"),
        (noise(9, 9), "abcd", "expected left, top, right, bottom"),
        (noise(9, 9), (None,) * 4, "expected left, top, right, bottom"),
        (noise(9, 9), np.zeros((4, 2)), "expected left, top, right, bottom"),
        (noise(9, 9), [[1], [2, 3]], "the box is no array"),
        ([[1], [2, 3]], None, "the picture is no array"),
        (noise(9, 9), (0, 0, 1e9, 1e9), "too large"),
        (noise(9, 9), (9, 0, 20, 5), "outside the picture of 9 x 9"),
    ],
)
def test_bad_pictures_and_boxes_are_named(image: Pixels, box: Box, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        crop_face(image, box, FACE96)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 15}, "size is 15"),
        ({"size": True}, "size is True"),
        ({"size": 9.5}, "size is"),
        ({"channels": 2}, "channels is 2"),
        ({"mean": (0.5, 0.5)}, "mean has 2 values; expected 1"),
        ({"std": (0.0,)}, "std is 0"),
        ({"margin": -0.1}, "margin is -0.1"),
        ({"resize": "nearest"}, "resize is 'nearest'"),
        ({"mean": (math.nan,)}, "mean is nan"),
    ],
)
def test_bad_specs_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        ImageSpec(**change)  # type: ignore[arg-type]


def test_a_spec_goes_through_json() -> None:
    assert schema.read(ImageSpec, schema.write(COLOUR), BadInput) == COLOUR
