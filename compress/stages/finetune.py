"""A trunk that goes on with those who were rated, before heads are put on it.

Feature distillation makes a trunk that is right for any voice; people who were rated are few, and
their recordings may sound like none of the others. So for a short while half of what the student
hears are many changed copies of the rated clips, and it learns the teacher's dimensions beside
its features. The other half keep it from forgetting the rest (measured: docs/design.md).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..data.clips import Clip
from ..labels.dataset import LabelledDataset
from ..recipes import EarlyStoppingConfig, Recipe
from ..students.base import Student
from ..train.loop import Progress, fit, stage_recipe


def num_augmented_copies(clips: Sequence[Clip], recipe: Recipe) -> list[int]:
    """How many copies of each clip a recipe wants: [N]."""
    rated = recipe.augment.copies if recipe.finetune is None else recipe.finetune.copies
    return [recipe.augment.copies if clip.dimensions is None else rated for clip in clips]


def drop_extra_copies(rows: LabelledDataset, recipe: Recipe) -> LabelledDataset:
    """The rows without those copies that are made of rated clips alone."""
    return rows if recipe.finetune is None else rows.take(rows.copy < recipe.augment.copies)


def finetune_on_annotated(
    student: Student,
    rows: LabelledDataset,
    valid: LabelledDataset,
    recipe: Recipe,
    out: Path | None = None,
    *,
    seed: int | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Student:
    """Train a student on as the recipe's table `rated` says.

    Args:
        student: trained; it is not changed.
        rows: copies as num_augmented_copies() counts them, with the teacher's features and
            dimensions.
        valid: rows of other people, for the figures of each epoch.
        recipe: without the table, or where no clip is rated, there is nothing to do.
        out: folder for metrics.jsonl and checkpoints; None keeps nothing.
        seed: of every random choice; the recipe's unless it is given.
        device: of torch.
        progress: told after each batch.

    Returns:
        A trained copy, or `student` itself.
    """
    part = recipe.finetune
    rated = np.array([clip.dimensions is not None for clip in rows.clips], bool)
    if part is None or not rated.any():
        return student
    rng = np.random.default_rng(recipe.seed if seed is None else seed)
    others = rng.permutation(np.flatnonzero(~rated))[: rated.sum()]
    how = stage_recipe(recipe, part.epochs, part.lr, part.loss)
    fitted = fit(
        copy.deepcopy(student),
        rows.take(np.sort(np.append(np.flatnonzero(rated), others))),
        valid,
        replace(how, early_stopping=EarlyStoppingConfig("last")),
        out,
        seed=seed,
        resume=True,
        fresh=False,
        device=device,
        progress=progress,
    )
    return fitted.student
