"""The student's embedding: fewer channels, and its values for each row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgeemo.errors import BadRecipe

from ..labels.dataset import LabelledDataset
from ..recipes import HeadsConfig
from ..students.base import Student
from ..train.batches import Batches
from ..train.loop import seeded_student
from .base import Splits, Training


def run(student: Student, data: Splits, config: HeadsConfig, training: Training) -> Student:
    """Select channels of the embedding: see select_embedding_channels.

    Args:
        student: trained; it is not changed.
        data: labelled with the teacher's embedding.
        config: how many channels, and the width of the heads behind them.
        training: what the stages share; its recipe's seed draws the new heads.

    Raises:
        BadRecipe: see select_embedding_channels.
    """
    seed = training.recipe.seed
    return seeded_student(lambda: select_embedding_channels(student, data.train, config), seed)


def select_embedding_channels(
    student: Student, rows: LabelledDataset, config: HeadsConfig
) -> Student:
    """The student with `config.embedding` channels of its embedding; itself if that is 0.

    Channels go one at a time: each time the one whose loss costs least of the teacher's embedding,
    as a linear map of the channels that are left rebuilds it.

    Args:
        student: trained; it is not changed.
        rows: with the teacher's embedding.
        config: how many channels, and the width of the heads.

    Raises:
        BadRecipe: more channels than there are, the student's embedding has no channels that could
            be taken out, or the teacher gives no embedding.
    """
    if not config.embedding:
        return student
    ours = embeddings(student, rows).astype(np.float64)
    if config.embedding > ours.shape[1]:
        raise BadRecipe(
            f"$.heads.embedding: {config.embedding}; {student.name} has {ours.shape[1]} channels"
        )
    if rows.embedding is None:
        raise BadRecipe(
            "$.heads.embedding: channels are chosen by the teacher's embedding, and this one gives "
            "none; set it to 0, or take another teacher"
        )
    theirs = rows.embedding.astype(np.float64)
    x = ours - ours.mean(0)
    y = (theirs - theirs.mean(0)) / (theirs.std(0) + 1e-4)
    gram = x.T @ x + 1e-6 * np.trace(x.T @ x) / x.shape[1] * np.eye(x.shape[1])
    cross = x.T @ y
    kept = list(range(x.shape[1]))
    while len(kept) > config.embedding:
        inverse = np.linalg.inv(gram[np.ix_(kept, kept)])
        # What a least-squares fit loses without channel i: |weights of i|^2 / inverse[i, i].
        cost = ((inverse @ cross[kept]) ** 2).sum(1) / np.diag(inverse)
        kept.pop(int(cost.argmin()))
    return student.with_channels(kept, config.hidden).eval()


def embedded(student: Student, rows: LabelledDataset) -> LabelledDataset:
    """The rows with the student's own embedding in place of the teacher's.

    Args:
        student: in evaluation mode.
        rows: N of them.
    """
    return replace(rows, embedding=embeddings(student, rows))


def embeddings(student: Student, rows: LabelledDataset) -> NDArray[Any]:
    """The student's own embedding of each row, float16 [N, E].

    Args:
        student: in evaluation mode.
        rows: N of them.
    """
    batches = Batches(rows)
    found: list[NDArray[Any]] = []
    # From the longest on: each buffer fits where the last one was, so memory hardly grows.
    order = batches.lengths.argsort(stable=True, descending=True)
    with torch.inference_mode():
        for part in order.split(128):
            batch = batches.batch(part)
            found.append(student(batch.features, batch.lengths).embedding.half().numpy())
    out = np.concatenate(found)
    out[order.numpy()] = out.copy()
    return out
