"""Training with weights of four bits: what is rounded, and what it is good for."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from edgeemo.compress.labels.dataset import LabelledDataset
from edgeemo.compress.recipes import QatConfig, Recipe
from edgeemo.compress.stages import qat
from edgeemo.compress.stages.base import Splits, Training, sample_inputs
from edgeemo.compress.stages.int4 import OTHERS, Steps
from edgeemo.compress.stages.rounding_int4 import int4_layers, on_int4_steps, rounded_int4
from edgeemo.compress.students import Student, make_student
from edgeemo.compress.train.batches import Batches
from edgeemo.compress.train.likeness import Likeness
from edgeemo.export.dry_run import settled


@pytest.fixture(scope="module")
def splits(rows: LabelledDataset) -> Splits:
    held_out = rows.take(np.arange(len(rows)) % 4 == 0)
    return Splits(rows.take(np.arange(len(rows)) % 4 > 0), held_out, held_out)


@pytest.fixture(scope="module")
def student(splits: Splits) -> Student:
    torch.manual_seed(5)
    return settled(make_student("wav2small-stream"), sample_inputs(splits.train)[:8])


@pytest.fixture(scope="module")
def training(recipe: Recipe) -> Training:
    """Without labels: none are needed."""
    return Training(replace(recipe, distill=replace(recipe.distill, ema_decay=0.9)))


@pytest.fixture(scope="module")
def trained(student: Student, splits: Splits, training: Training) -> Student:
    config = QatConfig(epochs=8, lr=3e-5, weights="int4")
    return qat.run(student, splits, config, training)


def test_steps_are_those_of_each_channel_and_gradients_pass() -> None:
    weight = torch.tensor([[7.0, -3.4, 0.6], [0.7, 0.34, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    found = Steps()(weight)
    wanted = torch.tensor([[7.0, -3.0, 1.0], [0.7, 0.3, 0.0], [0.0, 0.0, 0.0]])
    assert torch.allclose(found, wanted, atol=1e-6)
    (found * torch.arange(9.0).view(3, 3)).sum().backward()
    assert weight.grad is not None and torch.equal(weight.grad, torch.arange(9.0).view(3, 3))


def test_exactly_the_layers_that_export_rounds_come_out_on_steps(
    student: Student, trained: Student, splits: Splits
) -> None:
    names = int4_layers(student, sample_inputs(splits.train)[0])
    assert len(names) == 9 and "shrink.0.conv" not in names
    layers = {n: m for n, m in trained.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))}
    few = [n for n, m in layers.items() if on_int4_steps(m.weight.detach().numpy())]
    assert sorted(few) == sorted(names)
    assert trained.state_dict().keys() == student.state_dict().keys()


def test_it_says_more_nearly_what_it_said_than_by_rounding_alone(
    student: Student, trained: Student, splits: Splits
) -> None:
    """On clips that neither has met."""
    clips = [clip[0].numpy() for clip in sample_inputs(splits.train)]
    batches = Batches(splits.test)
    batch = batches.batch(torch.arange(len(batches)))
    likeness = Likeness(student)
    with torch.no_grad():
        lost = [
            float(likeness(made(batch.features, batch.lengths), batch, {})[0])
            for made in (trained, rounded_int4(student, clips, OTHERS))
        ]
    assert lost[0] < 0.97 * lost[1]


def test_rounding_again_leaves_them_where_they_were_trained_to_be(
    trained: Student, splits: Splits
) -> None:
    """Three steps for the other layers: what these leave would be made good elsewhere."""
    clips = sample_inputs(splits.train)[:4]
    again = rounded_int4(trained, [clip[0].numpy() for clip in clips], 3)
    for name in int4_layers(trained, clips[0]):
        ours, theirs = (s.get_submodule(name).weight for s in (again, trained))
        assert torch.equal(ours, theirs)


def test_labels_teach_nothing(student: Student, splits: Splits, training: Training) -> None:
    config = QatConfig(epochs=1, lr=1e-3, weights="int4")
    rows = splits.train.take(np.arange(16))
    one, two = (
        qat.run(student, replace(splits, train=part), config, copy.copy(training)).state_dict()
        for part in (rows, rows.with_dimensions(1 - rows.dimensions))
    )
    assert all(torch.equal(one[key], two[key]) for key in one)
