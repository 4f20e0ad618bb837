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
