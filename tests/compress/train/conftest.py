"""Rows in two parts, and a recipe that uses all that the training loop has."""

from dataclasses import replace

import pytest

from edgeemo.compress.recipes import DistillConfig, SpecAugmentConfig
from edgeemo.compress.students import make_student
from edgeemo.compress.train.loop import seeded_student

ALL = dict.fromkeys(
    (
        "ccc",
        "mse",
        "std_match",
        "kl",
        "votes",
        "interval",
        "class_cooccurrence",
        "embedding",
        "tokens",
    ),
    0.5,
)


@pytest.fixture(scope="module")
def parts(rows):
    groups = sorted(set(rows.column("group")))
    valid = set(groups[::4])
    return (rows.of_groups(set(groups) - valid), rows.of_groups(valid, augmented=False))


@pytest.fixture(scope="module")
def busy(recipe):
    """A recipe that uses every loss and every change of features."""
    regular = SpecAugmentConfig(crop=0.7, gain_db=3, time_masks=1, band_masks=1)
    return replace(recipe, spec_augment=regular, distill=distill())


def distill():
    return DistillConfig(epochs=3, pretrain=2, batch=16, lr=3e-3, loss=ALL, ema_decay=0.9)


def probe():
    return seeded_student(lambda: make_student("probe"), 1)
