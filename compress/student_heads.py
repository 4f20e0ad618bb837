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
