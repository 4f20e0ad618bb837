"""Fine-tuning on annotated speech, before heads are put on the backbone.

Feature distillation makes a backbone that is right for any voice; annotated speakers are few, and
their recordings may sound like none of the others. So for a short while half of the student's input
is many augmented copies of the annotated clips, and it learns the teacher's dimensions beside its
features. The other half keeps it from forgetting the rest (measured: docs/design.md).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.clips import Clip
from ..labels.dataset import LabelledDataset
from ..recipes import EarlyStoppingConfig, FinetuneConfig, Recipe
from ..students.base import Student
from .base import Splits, Training


def num_augmented_copies(clips: Sequence[Clip], recipe: Recipe) -> list[int]:
    """How many copies of each clip a recipe wants: [N].

    Args:
        clips: N of them.
        recipe: its tables `augment` and `finetune` say how many.
    """
    usual = [_usual_copies(clip, recipe) for clip in clips]
    if recipe.finetune is None:
        return usual
    annotated = recipe.finetune.copies
    return [
        n if clip.dimensions is None else annotated for n, clip in zip(usual, clips, strict=True)
    ]


def drop_extra_copies(examples: LabelledDataset, recipe: Recipe) -> LabelledDataset:
    """The examples without those copies that are made of annotated clips alone.

    Args:
        examples: with the copies that num_augmented_copies() counts.
        recipe: the same.
    """
    if recipe.finetune is None:
        return examples
    return examples.take(~is_extra_copy(examples.clips, examples.copy, recipe))


def is_extra_copy(
    clips: NDArray[np.object_], copy: NDArray[np.integer[Any]], recipe: Recipe
) -> NDArray[np.bool_]:
    """Which rows are copies that fine-tuning alone is trained on: [N].

    Args:
        clips: object [N], the Clip of each row.
        copy: [N], number of the copy.
        recipe: whose tables `augment` and `finetune` say how many there are.
    """
    usual = np.array([_usual_copies(clip, recipe) for clip in clips], int)
    return np.asarray(copy >= usual)


def _usual_copies(clip: Clip, recipe: Recipe) -> int:
    config = recipe.augment
    return config.corpus_copies.get(clip.corpus, config.copies)


def run(student: Student, data: Splits, config: FinetuneConfig, training: Training) -> Student:
    """Train a student on annotated clips, and on as many examples of others.

    Args:
        student: trained; it is not changed.
        data: labelled with the teacher's features and dimensions; `data.finetune` has the copies
            that num_augmented_copies() counts.
        config: copies, epochs, rate and losses.
        training: what the stages share; its recipe's seed draws the others.

    Returns:
        A trained copy of the last epoch, or `student` itself where no clip is annotated.

    Raises:
        BadRecipe, BadData: as `edgeemo.compress.train.loop.fit`.
    """
    examples = data.train if data.finetune is None else data.finetune
    annotated = np.array([clip.dimensions is not None for clip in examples.clips], bool)
    if not annotated.any():
        return student
    rng = np.random.default_rng(training.recipe.seed)
    others = rng.permutation(np.flatnonzero(~annotated))[: annotated.sum()]
    train = examples.take(np.sort(np.append(np.flatnonzero(annotated), others)))
    last = EarlyStoppingConfig("last")
    return training.fit(
        "finetune", copy.deepcopy(student), train, data.valid, config, config.loss, last
    ).student
