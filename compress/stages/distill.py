"""Distillation: a fresh student learns the teacher's outputs and inner features."""

from __future__ import annotations

from ..recipes import DistillConfig
from ..students.base import Student
from .base import Splits, Training


def run(student: Student, data: Splits, config: DistillConfig, training: Training) -> Student:
    """Train a student on the teacher's labels.

    Args:
        student: fresh, or with pretrained weights; it is trained in place. With 0 epochs it stays
            as it is.
        data: labelled rows.
        config: must be the table of `training.recipe`; the loop reads it there.
        training: what the stages share; the epochs are recorded.

    Returns:
        Averaged weights of the best epoch, in evaluation mode.

    Raises:
        BadRecipe, BadData: as `edgeemo.compress.train.loop.fit`.
    """
    assert config is training.recipe.distill
    if not config.epochs:
        return student.eval()
    fitted = training.fit("distill", student, data.all_train, data.valid)
    training.record("distill", fitted)
    return fitted.student
