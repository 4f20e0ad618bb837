"""The projections that are thrown away after training, and the prior that is left out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgeemo.compress.labels.dataset import LabelledDataset
from edgeemo.compress.recipes import DistillConfig
from edgeemo.compress.students import make_student
from edgeemo.compress.train import losses
from edgeemo.compress.train.batches import Batches
from edgeemo.compress.train.distillation_loss import Objective
from edgeemo.compress.train.onnx_weights import settle_batchnorm
from edgeemo.errors import BadRecipe


def test_first_projections_are_the_best_linear_maps(rows: LabelledDataset) -> None:
    torch.manual_seed(0)
    student = make_student("wav2small-stream").eval()
    batches = Batches(rows)
    objective = Objective(student, batches, DistillConfig(epochs=1))
    batch = batches.batch(torch.arange(len(rows)))
    with torch.no_grad():
        output = student(batch.features, batch.lengths)
        drawn = objective(output, batch, {"embedding": 1.0, "tokens": 1.0})[1]
        objective.init_projections(student, batches)
        settled = objective(output, batch, {"embedding": 1.0, "tokens": 1.0})[1]
    x = np.c_[output.embedding.numpy(), np.ones(len(rows))].astype(float)
    y = batch.embedding.numpy().astype(float)
    residual = y - x @ np.linalg.lstsq(x, y, rcond=1e-3)[0]
    assert float(settled["embedding"]) < 1.05 * (residual**2).mean() + 0.02
    for name in ("embedding", "tokens"):
        assert float(settled[name]) < 0.9 * float(drawn[name]), name


def test_first_projections_of_a_fresh_student_hold_in_training_too(rows: LabelledDataset) -> None:
    weights = {"embedding": 1.0, "tokens": 1.0}
    begun = []
    for settled in (False, True):
        torch.manual_seed(0)
        student = make_student("wav2small-stream")
        batches = Batches(rows)
        student.normalize_from(batches.mean, batches.sd)
        if settled:
            settle_batchnorm(student, batches)
        objective = Objective(student, batches, DistillConfig(epochs=1))
        objective.init_projections(student, batches)
        batch = batches.batch(torch.arange(32))
        with torch.no_grad():
            output = student.train()(batch.features, batch.lengths)
            begun.append(objective(output, batch, weights)[1])
    for name in weights:
        assert float(begun[1][name]) < 1.5 < float(begun[0][name]), name


def test_batch_norms_that_were_trained_are_left_alone(rows: LabelledDataset) -> None:
    student, batches = make_student("wav2small-stream").train(), Batches(rows)
    batch = batches.batch(torch.arange(16))
    with torch.no_grad():
        student(batch.features, batch.lengths)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    settle_batchnorm(student, batches)
    assert all(torch.equal(before[name], value) for name, value in student.state_dict().items())


def test_what_leaves_the_prior_out_is_best_off_the_prior(rows: LabelledDataset) -> None:
    """Where nothing is seen, the loss is smallest for outputs that lack the prior by its share."""
    votes = np.full((len(rows), 8), 0.05, np.float32)
    votes[:, 0] = 0.65
    batches = Batches(replace(rows, votes=votes, votes_weight=np.ones(len(rows), np.float32)))
    student = make_student("wav2small-stream")
    batch = batches.batch(torch.arange(len(rows)))
    with torch.no_grad():
        output = student.eval()(batch.features, batch.lengths)
    for prior in (0.0, 0.5, 1.0):
        objective = Objective(student, batches, DistillConfig(epochs=1, prior=prior))
        shares = losses.log_prior(batches.votes)
        score = [
            float(objective(output._replace(logits=given), batch, {"votes": 1.0})[0])
            for given in ((share * shares).expand(len(rows), -1) for share in (0, 0.5, 1))
        ]
        assert int(np.argmin(score)) == round(2 * (1 - prior)), prior


def test_a_loss_that_nothing_teaches_is_named(rows):
    batches = Batches(rows)
    student = make_student("wav2small-stream").eval()
    objective = Objective(student, batches, DistillConfig(epochs=1))
    batch = replace(batches.batch(torch.arange(8)), embedding=None)
    output = student(batch.features, batch.lengths)
    with pytest.raises(
        BadRecipe, match=r"\$\.distill\.loss: teacher and labels .* what embedding would"
    ):
        objective(output, batch, {"embedding": 1.0, "ccc": 0.0})
