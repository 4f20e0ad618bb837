"""The student's embedding, and channels taken out of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgeemo.compress.evaluation.evaluate import predict
from edgeemo.compress.labels.dataset import LabelledDataset
from edgeemo.compress.recipes import HeadsConfig, Recipe
from edgeemo.compress.stages import embedding
from edgeemo.compress.stages.base import Splits, Training
from edgeemo.compress.stages.embedding import embedded, embeddings, select_embedding_channels
from edgeemo.compress.stages.heads import with_heads
from edgeemo.compress.students import make_student
from edgeemo.compress.teachers.heads import HeadsSettings
from edgeemo.errors import BadRecipe

PART = HeadsConfig(steps=200, batch=64)
WIDE = HeadsSettings(members=2, hidden=64, steps=300, drop_hidden=0.1)


def test_embeddings_are_those_of_each_row_alone(rows: LabelledDataset) -> None:
    student = make_student("wav2small-stream").eval()
    found = embeddings(student, rows)
    for i in (0, len(rows) - 1):
        alone = torch.from_numpy(rows.features[i].astype(np.float32))[None]
        with torch.inference_mode():
            expected = student(alone).embedding[0]
        assert np.allclose(found[i], expected, atol=2e-2)


def test_a_narrowed_student_keeps_the_channels_that_rebuild_the_teacher(
    rows: LabelledDataset,
) -> None:
    student = make_student("wav2small-stream").eval()
    own = embeddings(student, rows).astype(np.float32)
    # A teacher that is made of 20 of the channels: nothing else can rebuild it as well.
    wanted = np.argsort(own.std(0))[-20:]
    taught = replace(rows, embedding=own[:, wanted].astype(np.float16))
    made = select_embedding_channels(student, taught, replace(PART, embedding=20, hidden=16))
    assert sum(p.numel() for p in made.parameters()) < sum(p.numel() for p in student.parameters())
    found = embeddings(made, rows).astype(np.float32)
    x = np.concatenate([found, np.ones((len(found), 1))], axis=1)
    left = own[:, wanted] - x @ np.linalg.lstsq(x, own[:, wanted], rcond=None)[0]
    assert (left**2).mean() < 0.05 * own[:, wanted].var(0).mean()
    heads = with_heads(made, embedded(made, rows), replace(PART, hidden=16), 1, wide=WIDE)
    assert heads.hidden.out_features == 16


def test_what_cannot_be_narrowed_is_refused(rows: LabelledDataset) -> None:
    with pytest.raises(BadRecipe, match="500; wav2small-stream has 128 channels"):
        select_embedding_channels(
            make_student("wav2small-stream").eval(), rows, replace(PART, embedding=500)
        )
    with pytest.raises(BadRecipe, match="keeps its embedding; set it to 0"):
        make_student("wav2small").with_channels([0], 4)


def test_a_teacher_without_an_embedding_is_refused(rows: LabelledDataset) -> None:
    student = make_student("wav2small-stream").eval()
    with pytest.raises(BadRecipe, match=r"heads\.embedding: .* gives none; set it to 0"):
        select_embedding_channels(
            student, replace(rows, embedding=None), replace(PART, embedding=20)
        )


def test_new_heads_depend_on_the_seed_alone(rows: LabelledDataset, recipe: Recipe) -> None:
    student, config = make_student("wav2small-stream").eval(), replace(PART, embedding=120)
    first, second = (
        embedding.run(student, Splits(rows, rows, rows), config, Training(recipe)) for _ in range(2)
    )
    assert torch.equal(first.adv.weight, second.adv.weight)


def test_the_longest_rows_come_first_so_that_buffers_fit_again(rows: LabelledDataset) -> None:
    student = make_student("wav2small-stream").eval()
    lengths: list[int] = []
    student.register_forward_pre_hook(lambda _, given: lengths.append(given[0].shape[1]))
    many = rows.take(np.arange(len(rows)).repeat(1 + 300 // len(rows)))
    embeddings(student, many)
    predict(student, many, batch=32)
    first = -(-len(many) // 128)
    assert first > 2 and lengths[0] > lengths[first - 1]
    for batches in (lengths[:first], lengths[first:]):
        assert batches == sorted(batches, reverse=True)
