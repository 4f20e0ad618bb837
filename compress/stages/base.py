"""What all stages have in common: the rows they get, and the one way into the training loop.

A stage is a function `run(student, data, config, training)` that returns another student and leaves
its argument as it was, but for `distill`, which trains a fresh student in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ..evaluation.evaluate import Metrics
from ..labels.dataset import LabelledDataset, Progress
from ..labels.packed_split import PackedRows
from ..recipes import EarlyStoppingConfig, Recipe
from ..students.base import Student
from ..train.batches import Batches
from ..train.epoch import Due
from ..train.loop import Fitted, fit, stage_recipe

CLIPS = 64
"""Training clips that channels are weighed on and first ranges are read from."""

Ranges = dict[str, tuple[float, float]]
"""Smallest and largest value of an activation, by its name."""


@dataclass(frozen=True)
class Splits:
    """Labelled rows; nobody is in two of the splits.

    Attributes:
        train: rows that students are trained on.
        valid: rows that choose the epoch.
        test: rows that metrics are computed on; it may be empty.
        finetune: `train` with the further copies of annotated clips that the recipe's table
            `finetune` asks for; the stage of that name alone is trained on them. None is `train`.
        packed: all rows of the training split, where `train` is a sample of them.
    """

    train: LabelledDataset
    valid: LabelledDataset
    test: LabelledDataset
    finetune: LabelledDataset | None = None
    packed: PackedRows | None = None

    @property
    def all_train(self) -> LabelledDataset | PackedRows:
        """What the training loop gets; whatever must be in memory gets `train`."""
        return self.train if self.packed is None else self.packed

    @property
    def clips(self) -> Mapping[str, int]:
        """Clips of each split, by name."""
        if self.packed is not None:
            return self.packed.clips
        return {
            name: len({clip.id for clip in getattr(self, name).clips})
            for name in ("train", "valid", "test")
        }

    @property
    def skipped(self) -> int:
        """Clips, or of packed labels rows, that could not be used."""
        if self.packed is not None:
            return self.packed.packed.index.skipped
        return sum(rows.skipped for rows in (self.train, self.valid, self.test))


def teaches_classes(recipe: Recipe, splits: Splits) -> bool:
    """Whether a training has targets for classes, and a loss that looks at them.

    Args:
        recipe: of the training.
        splits: what it was trained on.
    """
    train = splits.train
    given = {
        "kl": bool(np.isfinite(train.probs).any()),
        "votes": bool(np.isfinite(train.votes).any()),
    }
    if recipe.heads is not None:
        return any(given.values())
    tables = [recipe.distill.loss, {} if recipe.finetune is None else recipe.finetune.loss]
    return any(given[name] and table.get(name) for name in given for table in tables)


class Schedule(Protocol):
    """What the tables of later trainings have in common."""

    @property
    def epochs(self) -> int:
        """Passes over the rows."""

    @property
    def lr(self) -> float:
        """Peak learning rate."""


@dataclass
class Training:
    """What the stages of one pipeline share, and what they leave beside the student.

    Attributes:
        recipe: all settings; a stage's own table is given to it as its config.
        folder: of the run; stage x keeps its checkpoints in folder/x, distillation in the folder
            itself. None keeps nothing.
        device: of torch.
        progress: called with (what, done, total) after each batch.
        due: asked after each step whether to write a checkpoint within the epoch.
        history: metrics of each epoch of the stages that were recorded.
        best_epoch: number of the epoch in `history` whose weights were kept.
        ranges: learned ranges of activations; empty without quantization-aware training.
    """

    recipe: Recipe
    folder: Path | None = None
    device: str = "cpu"
    progress: Progress | None = None
    due: Due | None = None
    history: list[Metrics] = field(default_factory=list)
    best_epoch: int = 0
    ranges: Ranges = field(default_factory=dict)

    def fit(
        self,
        stage: str,
        student: Student,
        train: LabelledDataset | PackedRows,
        valid: LabelledDataset,
        config: Schedule | None = None,
        loss: Mapping[str, float] | None = None,
        stopping: EarlyStoppingConfig | None = None,
        before: Student | None = None,
    ) -> Fitted:
        """Train a student for one stage, or go on with that training where it was interrupted.

        Args:
            stage: its name, which is that of its folder.
            student: trained in place.
            train: rows to learn from.
            valid: rows that choose the epoch.
            config: epochs and peak rate; None is distillation itself, from a fresh student.
            loss: weights of the losses beside `config`; None has those of distillation.
            stopping: which epoch is kept; None as the recipe says.
            before: see `edgeemo.compress.train.loop.fit`.

        Raises:
            BadRecipe, BadData: as `edgeemo.compress.train.loop.fit`.
        """
        recipe, folder = self.recipe, self.folder
        if config is not None:
            weights = recipe.distill.loss if loss is None else loss
            recipe = stage_recipe(recipe, config.epochs, config.lr, weights)
            folder = None if folder is None else folder / stage
        return fit(
            student,
            train,
            valid,
            replace(recipe, early_stopping=stopping or recipe.early_stopping),
            folder,
            resume=True,
            fresh=config is None,
            device=self.device,
            progress=self.progress,
            due=self.due,
            before=before,
        )

    def record(self, stage: str, fitted: Fitted) -> None:
        """Append a stage's epochs to the history, numbered on.

        Args:
            stage: its name.
            fitted: what the loop gave.
        """
        first = len(self.history)
        named = {} if stage == "distill" else {"stage": stage}  # pretraining has its own name
        self.history += [h | {"epoch": first + h["epoch"]} | named for h in fitted.history]
        self.best_epoch = first + fitted.best_epoch


StageRun = Callable[[Student, Splits, Any, Training], Student]
"""run(student, data, config, training); config is the table of the recipe that asks for it."""


def compression_loss(recipe: Recipe) -> dict[str, float]:
    """Losses of a training after compression: distillation's, without those on inner features.

    The projections of embedding and tokens ended with distillation. A recipe of nothing else keeps
    them, and learns them anew.
    """
    loss = {k: v for k, v in recipe.distill.loss.items() if k not in ("embedding", "tokens")}
    return loss if any(loss.values()) else dict(recipe.distill.loss)


def sample_inputs(data: LabelledDataset, most: int = CLIPS) -> list[Tensor]:
    """Inputs spread over the rows: each [1, frames, bands], or of a face.

    Args:
        data: the rows.
        most: inputs that are taken.
    """
    batches, step = Batches(data), max(1, len(data) // most)
    return [batches.batch(torch.tensor([i])).features for i in range(0, len(data), step)][:most]
