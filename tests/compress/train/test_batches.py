"""Batches: every row once an epoch; tokens and targets go with the features."""

from dataclasses import replace

import pytest
import torch

from edgeemo.compress.data import image_augment, open_dataset
from edgeemo.compress.labels.labeller import Labeller
from edgeemo.compress.recipes import SpecAugmentConfig
from edgeemo.compress.students import make_student
from edgeemo.compress.train.batches import Batches
from edgeemo.vision.images import ImageSpec
from tests.compress.faces import RECIPE, SMALL, STILL, Eye, generator


@pytest.fixture(scope="module")
def parts(rows):
    groups = sorted(set(rows.column("group")))
    valid = set(groups[::4])
    return (rows.of_groups(set(groups) - valid), rows.of_groups(valid, augmented=False))


def test_an_epoch_sees_every_row_once(parts):
    batches = Batches(parts[0])
    order = batches.order(16, torch.Generator().manual_seed(0))
    assert sorted(torch.cat(order).tolist()) == list(range(len(parts[0])))
    assert max(map(len, order)) - min(map(len, order)) <= 1


def test_crop_takes_the_tokens_of_the_same_place(parts):
    train, _ = parts
    batches = Batches(train)
    got = batches.batch(
        torch.arange(8), SpecAugmentConfig(crop=0.5), torch.Generator().manual_seed(4)
    )
    plain = batches.batch(torch.arange(8))
    for b in range(8):
        n, m = got.lengths[b], got.token_lengths[b]
        starts = [
            s
            for s in range(plain.lengths[b] - n + 1)
            if torch.equal(plain.features[b, s : s + n], got.features[b, :n])
        ]
        assert len(starts) == 1 and got.features[b, n:].abs().sum() == 0
        at = round(starts[0] * 0.01 * 12.5)
        assert torch.equal(plain.tokens[b, at : at + m], got.tokens[b, :m])
        assert abs(m - n * 0.125) <= 1


def test_mixing_mixes_what_was_said_too(face_table, tmp_path):
    spec = make_student("mobilenetv3-small-face", **SMALL).spec
    rows = Labeller(Eye(), spec, RECIPE, tmp_path).label(open_dataset(face_table).clips[:8])
    plain = Batches(rows).batch(torch.arange(8))
    mixed = Batches(rows).batch(torch.arange(8), replace(STILL, mixup_p=1.0), generator())
    share = float(torch.rand(2, generator=_after(STILL, 8))[1]) / 2
    assert 0 < share < 0.5
    assert torch.allclose(mixed.votes, torch.lerp(plain.votes, plain.votes.flip(0), share))
    assert torch.allclose(mixed.votes.sum(1), torch.ones(8)) and mixed.intervals.isnan().all()


def _after(config, n):
    """A generator that has drawn all that the changes of n pictures take."""
    made = generator()
    image_augment.augment_images(torch.zeros(n, 32, 32, 1), ImageSpec(32), config, made)
    return made
