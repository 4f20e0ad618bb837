"""Heads that are trained on a student's embedding, the trunk held still."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgeemo.compress.evaluation.evaluate import predict
from edgeemo.compress.evaluation.metrics import softmax
from edgeemo.compress.labels.dataset import LabelledDataset
from edgeemo.compress.recipes import HeadsConfig
from edgeemo.compress.stages import heads as heads_module
from edgeemo.compress.stages.embedding import embedded
from edgeemo.compress.stages.heads import with_heads
from edgeemo.compress.students import make_student, student_names
from edgeemo.compress.teachers.heads import HeadsSettings, fit_heads
from edgeemo.compress.train.batches import Batches
from edgeemo.evaluation.metrics import ccc
from edgeemo.vision.images import ImageSpec

PART = HeadsConfig(steps=200, batch=64)
WIDE = HeadsSettings(members=2, hidden=64, steps=300, drop_hidden=0.1)


def test_the_trunk_stays_and_the_heads_come_nearer(rows: LabelledDataset) -> None:
    student = make_student("wav2small-stream").eval()
    before = {k: v.clone() for k, v in student.state_dict().items()}
    made = with_heads(student, embedded(student, rows), PART, 1, wide=WIDE)
    for name, value in made.state_dict().items():
        is_head = name.startswith(("hidden.", "adv.", "classes."))
        assert torch.equal(value, before[name]) != is_head, name
    wanted = (
        rows.dimensions if np.isnan(rows.human_dimensions).any(1).all() else rows.human_dimensions
    )
    known = ~np.isnan(wanted).any(1)

    def error(net: torch.nn.Module) -> float:
        said = [
            net(torch.from_numpy(rows.features[i].astype(np.float32))[None]).dimensions[0].detach()
            for i in np.flatnonzero(known)
        ]
        return float(np.mean((torch.stack(said).numpy() - wanted[known]) ** 2))

    assert error(made) < 0.9 * error(student)


@pytest.mark.parametrize(
    ("name", "options"), [("wav2small-stream", {}), ("mobilenetv3-small", {"paper": 1})]
)
def test_small_heads_say_what_the_wide_ensemble_says(
    rows: LabelledDataset, name: str, options: dict[str, int]
) -> None:
    student = make_student(name, **options).train()
    batches = Batches(rows)
    student.normalize_from(batches.mean, batches.sd)
    batch = batches.batch(torch.arange(min(32, len(rows))))
    with torch.no_grad():
        for _ in range(40):  # batch norm learns what to take out
            student(batch.features, batch.lengths)
    student.eval()
    heard = embedded(student, rows)
    made = with_heads(student, heard, HeadsConfig(steps=600, batch=64), 1, wide=WIDE)
    taught, by_teacher = heads_module._taught(heard)
    ensemble = fit_heads(taught, WIDE, 1, labels_are_text_independent=by_teacher)
    dimensions, probs = ensemble(torch.from_numpy(heard.embedding).float())
    said = predict(made, rows)
    for d in range(3):
        assert ccc(said.dimensions[:, d], dimensions[:, d].detach().numpy()) > 0.9
    assert np.abs(softmax(said.logits) - probs.detach().numpy()).mean() < 0.03


def test_without_ratings_the_teacher_teaches_dimensions_and_classes(rows: LabelledDataset) -> None:
    nan = np.full_like
    rows = replace(
        rows, human_dimensions=nan(rows.human_dimensions, np.nan), votes=nan(rows.votes, np.nan)
    )
    student = make_student("wav2small-stream").eval()
    made = with_heads(student, embedded(student, rows), PART, 1, wide=WIDE)
    assert not torch.equal(made.classes.weight, student.classes.weight)
    again = with_heads(student, embedded(student, rows), PART, 1, wide=WIDE)
    assert torch.equal(made.adv.weight, again.adv.weight)


@pytest.mark.parametrize("name", student_names())
def test_the_first_layer_of_the_heads_takes_the_embedding(name: str) -> None:
    student = make_student(name).eval()
    spec = student.spec
    size = (
        (spec.size, spec.size, spec.channels) if isinstance(spec, ImageSpec) else (99, spec.bands)
    )
    said = student(torch.zeros(1, *size))
    widths = [layer.in_features for layer in (*student.head_layers, student.adv, student.classes)]
    assert widths[0] == said.embedding.shape[1]
    outs = [layer.out_features for layer in student.head_layers]
    assert outs == widths[1 : 1 + len(outs)] and widths[-1] == widths[-2]
