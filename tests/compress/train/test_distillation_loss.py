"""The projections that are thrown away after training."""

import numpy as np
import torch

from edgeemo.compress.labels.dataset import LabelledDataset
from edgeemo.compress.recipes import DistillConfig
from edgeemo.compress.students import make_student
from edgeemo.compress.train.batches import Batches
from edgeemo.compress.train.distillation_loss import Objective


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
