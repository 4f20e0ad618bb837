"""Augmentation of pictures: what the runtime sees, moved and erased by the stated shares."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgeemo.compress.data import image_augment
from edgeemo.compress.recipes import ImageAugmentConfig
from edgeemo.vision.images import ImageSpec, normalize
from tests.compress.faces import STILL, faces, generator


@pytest.mark.parametrize("channels", [1, 3])
def test_a_look_that_changes_nothing_gives_what_the_runtime_sees(channels):
    spec = ImageSpec(24, channels, (0.5,) * channels, (0.25,) * channels)
    x = torch.floor(faces(3, 24, channels))
    want = normalize(x.numpy().astype(np.uint8), spec)
    assert torch.equal(image_augment.normalize(x, spec), torch.from_numpy(want))
    found = image_augment.augment_images(x, spec, STILL, generator())
    assert np.allclose(found.numpy(), want, atol=2e-3)


def test_a_mirrored_face_is_mirrored():
    spec, x = ImageSpec(24), faces()
    found = image_augment.augment_images(x, spec, replace(STILL, mirror_p=1), generator())
    assert torch.allclose(found, image_augment.normalize(x.flip(2), spec), atol=2e-3)


def test_a_shift_moves_by_a_share_of_the_side():
    spec, x = ImageSpec(40), torch.zeros(64, 40, 40, 1)
    x[:, 18:22, 18:22] = 255
    found = image_augment.augment_images(x, spec, replace(STILL, shift=0.25), generator())
    light = (found[..., 0] - found.min()).double()
    at = torch.arange(40).double()
    across = (light.sum(1) * at).sum(1) / light.sum((1, 2)) - 19.5
    assert 7 < across.abs().max() < 10.5  # .25 of 40 pixels


def test_changes_are_the_generators_and_stay_in_range():
    spec, x = ImageSpec(24), faces(16)
    one, two = (
        image_augment.augment_images(x, spec, ImageAugmentConfig(), generator(5)) for _ in range(2)
    )
    assert torch.equal(one, two) and one.min() >= -2.01 and one.max() <= 2.01
    assert not torch.equal(
        one, image_augment.augment_images(x, spec, ImageAugmentConfig(), generator(6))
    )


def test_erasing_covers_part_of_each_face():
    spec, x = ImageSpec(40), torch.zeros(30, 40, 40, 1)
    found = image_augment.augment_images(
        x, spec, replace(STILL, erase_p=1, erase_share=0.3), generator()
    )
    covered = (found > -1.99).float().mean((1, 2, 3))
    assert covered[covered > 0].min() > 0 and covered.max() <= 0.36**2


def _augmented(x, **changed):
    found = image_augment.augment_images(
        x, ImageSpec(x.shape[1]), replace(STILL, **changed), generator()
    )
    return (found[..., 0] + 2) / 4  # 0..1


def test_darkness_leaves_the_stated_share_of_light():
    light = _augmented(torch.full((64, 24, 24, 1), 255.0), dark_p=0.5, dark=0.2).mean((1, 2))
    dark = light[light < 0.99]
    assert 16 < len(dark) < 48
    assert 0.19 < dark.min() < 0.35 and dark.max() > 0.8


def test_noise_is_as_strong_as_said():
    sd = _augmented(torch.full((64, 24, 24, 1), 128.0), noise_p=1, noise=0.1).std((1, 2))
    assert 0.08 < sd.max() < 0.11


def test_a_lens_out_of_focus_spreads_a_point_and_keeps_its_light():
    x = torch.zeros(64, 41, 41, 1)
    x[:, 20, 20] = 255
    spread = _augmented(x, focus_p=1, focus=0.04) - 1e-4  # no light at all is never given
    assert torch.allclose(spread.sum((1, 2)), torch.ones(64), atol=0.02)
    at = (torch.arange(41) - 20).float() ** 2
    spread = spread.clamp(min=0)
    rows, columns = (spread * at[:, None]).sum((1, 2)), (spread * at).sum((1, 2))
    assert 0.8 < torch.stack([rows, columns]).sqrt().max() < 1.1 * 0.04 * 41
    assert ((rows + 0.1) / (columns + 0.1)).max() > 3  # some are moved along one line


def test_fewer_pixels_take_what_is_small_and_leave_what_is_large():
    at = torch.arange(64)
    fine, broad = ((at // n % 2 * 255.0).expand(32, 64, 64)[..., None] for n in (1, 16))
    kept = [_augmented(x, coarse_p=1, coarse=0.25).std((1, 2)) for x in (fine, broad)]
    assert kept[0].median() < 0.15 and kept[1].median() > 0.4


def test_half_of_what_is_compressed_is_of_low_quality(monkeypatch):
    drawn = []

    def compress(y, quality):
        drawn.append(quality.flatten())
        return y

    monkeypatch.setattr(image_augment, "compress", compress)
    _augmented(torch.zeros(2000, 16, 16, 1), coarse_p=1)
    quality = torch.cat(drawn)
    assert 8 <= quality.min() < 8.5 and 57 < quality.max() <= 60
    assert 20 < quality.median() < 24  # even over the logarithm


@pytest.mark.parametrize("quality", [10, 30, 60])
def test_compression_is_that_of_jpeg(quality):
    cv2 = pytest.importorskip("cv2")
    x = cv2.GaussianBlur(faces(1, 44)[0, :, :, 0].numpy().astype(np.uint8), (0, 0), 2)
    x = cv2.normalize(x, None, 0, 255, cv2.NORM_MINMAX)
    coded = cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    want = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE).astype(float)
    found = image_augment.compress(
        torch.from_numpy(x)[None, None] / 255.0, torch.full((1, 1, 1, 1), float(quality))
    )
    assert found.shape == (1, 1, 44, 44)
    lost = np.abs(want - x).mean()
    assert np.abs(255 * found[0, 0].numpy() - want).mean() < 0.35 * lost
