"""Heads for a student whose trunk is held still.

A trunk that learned the teacher's features from everybody knows more voices than the few people
who were rated; training it on with their ratings makes it forget (measured: docs/design.md). So the
ratings teach only what lies behind the embedding, as they do in the built-in teacher.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgeemo.compress.batches import Batches
from edgeemo.compress.labelled import Labelled
from edgeemo.compress.recipe import HeadsPart
from edgeemo.compress.students.base import Student
from edgeemo.compress.teachers.heads import fit_heads
from edgeemo.errors import BadRecipe


def narrowed(student: Student, rows: Labelled, part: HeadsPart) -> Student:
    """The student with `part.embedding` channels of its embedding; itself if that is 0.

    Channels go one at a time: each time the one whose loss costs least of the teacher's embedding,
    as a linear map of the channels that are left rebuilds it.

    Args:
        student: trained; it is not changed.
        rows: with the teacher's embedding.
        part: how many channels, and the width of the heads.

    Raises:
        BadRecipe: more channels than there are, or the student's embedding cannot be narrowed.
    """
    if not part.embedding:
        return student
    ours = embeddings(student, rows).astype(np.float64)
    if part.embedding > ours.shape[1]:
        raise BadRecipe(
            f"$.heads.embedding: {part.embedding}; {student.name} has {ours.shape[1]} channels"
        )
    assert rows.embedding is not None
    theirs = rows.embedding.astype(np.float64)
    x = ours - ours.mean(0)
    y = (theirs - theirs.mean(0)) / (theirs.std(0) + 1e-4)
    gram = x.T @ x + 1e-6 * np.trace(x.T @ x) / x.shape[1] * np.eye(x.shape[1])
    cross = x.T @ y
    kept = list(range(x.shape[1]))
    while len(kept) > part.embedding:
        inverse = np.linalg.inv(gram[np.ix_(kept, kept)])
        # What a least-squares fit loses without channel i: |weights of i|^2 / inverse[i, i].
        cost = ((inverse @ cross[kept]) ** 2).sum(1) / np.diag(inverse)
        kept.pop(int(cost.argmin()))
    return student.with_channels(kept, part.hidden).eval()


def with_heads(student: Student, rows: Labelled, part: HeadsPart, seed: int) -> Student:
    """The same trunk with new heads.

    Args:
        student: trained; it is not changed.
        rows: what embedded() gave for this student. Where nobody rated a clip, the teacher's
            dimensions take the place of ratings, and where nobody voted, its classes take the
            place of votes.
        part: how.
        seed: of every random choice.

    Raises:
        BadRecipe: the student's head layers have other shapes than `part` says.
    """
    made = copy.deepcopy(student).eval()
    taught, by_teacher = _taught(rows)
    made.take_heads(*fit_heads(taught, part, seed, heard_words=by_teacher).plain())
    return made


def embedded(student: Student, rows: Labelled) -> Labelled:
    """The rows with the student's own embedding in place of the teacher's."""
    return replace(rows, embedding=embeddings(student, rows))


def embeddings(student: Student, rows: Labelled) -> NDArray[Any]:
    """The student's own embedding of each row, float16 [N, E]."""
    batches = Batches(rows)
    found: list[NDArray[Any]] = []
    order = batches.lengths.argsort(stable=True)
    with torch.inference_mode():
        for part in order.split(128):
            batch = batches.batch(part)
            found.append(student(batch.features, batch.lengths).embedding.half().numpy())
    out = np.concatenate(found)
    out[order.numpy()] = out.copy()
    return out


def _taught(rows: Labelled) -> tuple[Labelled, bool]:
    """Rows whose labels are complete, and whether the classes are the teacher's."""
    if np.isnan(rows.human_adv).any(1).all():
        rows = replace(rows, human_adv=rows.adv)
    by_teacher = bool(np.isnan(rows.votes).any(1).all())
    if by_teacher:
        rows = replace(rows, votes=rows.probs, votes_weight=np.ones_like(rows.votes_weight))
    return rows, by_teacher
