"""Heads that are trained on a student's embedding, the trunk held still."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgeemo.compress.labelled import Labelled
from edgeemo.compress.recipe import HeadsPart
from edgeemo.compress.student_heads import embedded, embeddings, with_heads
from edgeemo.compress.students import make_student
from edgeemo.errors import BadRecipe

PART = HeadsPart(members=1, hidden=64, layers=1, relu=True, steps=60, rated=16, others=16, lr=3e-3)


def test_embeddings_are_those_of_each_row_alone(rows: Labelled) -> None:
    student = make_student("wav2small-stream").eval()
    found = embeddings(student, rows)
    for i in (0, len(rows) - 1):
        alone = torch.from_numpy(rows.features[i].astype(np.float32))[None]
        with torch.inference_mode():
            expected = student(alone).embedding[0]
        assert np.allclose(found[i], expected, atol=2e-2)


def test_the_trunk_stays_and_the_heads_come_nearer(rows: Labelled) -> None:
    student = make_student("wav2small-stream").eval()
    before = {k: v.clone() for k, v in student.state_dict().items()}
    made = with_heads(student, embedded(student, rows), PART, 1)
    for name, value in made.state_dict().items():
        is_head = name.startswith(("hidden.", "adv.", "classes."))
        assert torch.equal(value, before[name]) != is_head, name
    wanted = rows.adv if np.isnan(rows.human_adv).any(1).all() else rows.human_adv
    known = ~np.isnan(wanted).any(1)

    def error(net: torch.nn.Module) -> float:
        said = [
            net(torch.from_numpy(rows.features[i].astype(np.float32))[None]).adv[0].detach()
            for i in np.flatnonzero(known)
        ]
        return float(np.mean((torch.stack(said).numpy() - wanted[known]) ** 2))

    assert error(made) < 0.9 * error(student)


def test_without_ratings_the_teacher_teaches_dimensions_and_classes(rows: Labelled) -> None:
    nan = np.full_like
    rows = replace(
        rows,
        human_adv=nan(rows.human_adv, np.nan),
        votes=nan(rows.votes, np.nan),
    )
    student = make_student("wav2small-stream").eval()
    made = with_heads(student, embedded(student, rows), PART, 1)
    assert not torch.equal(made.classes.weight, student.classes.weight)
    again = with_heads(student, embedded(student, rows), PART, 1)
    assert torch.equal(made.adv.weight, again.adv.weight)


def test_heads_of_other_shapes_are_refused(rows: Labelled) -> None:
    student = make_student("wav2small-stream").eval()
    with pytest.raises(BadRecipe, match=r"\[128, 64\].*set members = 1"):
        with_heads(student, embedded(student, rows), replace(PART, hidden=32), 1)
