"""Students for groups of speakers on one backbone, for cross-validation and shipped students.

The stages `distill` and `embedding` learn a teacher's features and classes from speakers whom
nobody annotated on the dimensions, so their result may be shared by all folds. The other stages run
once for each group of speakers, with the labels of a teacher that was trained on no other group.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from ..data.clips import Clip
from ..labels.dataset import LabelledDataset, Progress
from ..labels.labeller import Labeller
from ..pipeline import STAGES, new_student, run_stages
from ..recipes import HeadsConfig, Recipe
from ..stages import heads as heads_stage
from ..stages.base import Splits, Training
from ..stages.finetune import drop_extra_copies, num_augmented_copies
from ..students.base import Student, load_student, save_student
from ..teachers.base import Teacher
from ..teachers.heads import Heads, HeadsSettings, fit_heads
from ..teachers.own import OWN, OwnTeacher, teacher_of_dimensions
from ..teachers.registry import load_teacher

SHARED = ("distill", "embedding")
"""Stages that all folds share."""

Relabel = Callable[[LabelledDataset], LabelledDataset]


def label_for_folds(
    recipe: Recipe,
    clips: Sequence[Clip],
    cache: Path,
    large: Teacher | None = None,
    progress: Progress | None = None,
) -> tuple[LabelledDataset, LabelledDataset | None]:
    """`Folds.copies` and `Folds.others` of a recipe, labelled or found labelled.

    Args:
        recipe: of the students.
        clips: all of them.
        cache: folder of the labels.
        large: takes the place of the teacher that the recipe names, whether it gives all labels or
            stands beside "own".
        progress: told after each shard.

    Raises:
        BadData, BadInput, BadArtifact, BadRecipe, MissingExtra: as `Labeller.label`,
            `load_teacher`, `teacher_of_dimensions` and `new_student`.
    """
    names, student = recipe.teacher, new_student(recipe)

    def labeller(teacher: Teacher) -> Labeller:
        return Labeller(teacher, student.spec, recipe, cache, progress)

    own = names.name == OWN
    first = OwnTeacher(student) if own else large or load_teacher(names.name)
    copies = labeller(first).label(clips, num_augmented_copies(clips, recipe))
    if not names.dimensions:
        return copies, None
    return copies, labeller(large or teacher_of_dimensions(recipe)).label(clips)


@dataclass(frozen=True)
class Folds:
    """Students of one recipe for groups of speakers.

    Attributes:
        copies: all examples, with the copies that the recipe asks for, and the embedding of the
            teacher's backbone.
        recipe: of the students.
        folder: the shared stages are kept here, so an interrupted one goes on.
        corpus: the one whose speakers are annotated on the dimensions and dealt out to folds; of
            the research corpora that is EmoTale.
        valid: groups that choose the epoch and are never scored.
        others: the clips as they are with the embedding of the teacher that `teacher.dimensions`
            names, whose heads then give dimensions and classes; None takes the embedding of
            `copies`.
    """

    copies: LabelledDataset
    recipe: Recipe
    folder: Path
    corpus: str = "emotale"
    valid: tuple[str, ...] = ("ravdess/01", "ravdess/02")
    others: LabelledDataset | None = None

    @cached_property
    def examples(self) -> LabelledDataset:
        """What all stages but fine-tuning are trained on."""
        return drop_extra_copies(self.copies, self.recipe)

    @cached_property
    def groups(self) -> set[str]:
        """All groups of speakers."""
        return set(self.examples.column("group"))

    @cached_property
    def annotated(self) -> list[str]:
        """Groups of the corpus that is dealt out, sorted."""
        corpus = self.examples.column("corpus") == self.corpus
        return sorted(set(self.examples.column("group")[corpus]))

    def backbone(self) -> Student:
        """The student after the shared stages; trained at the first call."""
        path = self.folder / "backbone.pt"
        if not path.exists():
            groups = self.groups - set(self.annotated) - set(self.valid)
            # A teacher that was trained on nobody who is dealt out; it knows classes alone.
            heads = fit_heads(self.examples.of_groups(groups), HeadsSettings(), self.recipe.seed)
            splits = self.splits(groups, lambda rows: rows.with_probs(heads.apply_to(rows).probs))
            training = Training(self.recipe, self.folder / "backbone")
            save_student(run_stages(new_student(self.recipe), splits, training, SHARED), path)
        return load_student(path)

    def fit_teacher(self, groups: Collection[str], seed: int) -> Heads:
        """Heads on the teacher's backbone that were trained on these speakers alone.

        Args:
            groups: of speakers.
            seed: of every random choice.
        """
        rows = self.examples if self.others is None else self.others
        return fit_heads(rows.of_groups(groups), HeadsSettings(), seed)

    def labelled(self, rows: LabelledDataset, teacher: Heads) -> LabelledDataset:
        """The rows with a teacher's dimensions and classes.

        Args:
            rows: of these clips.
            teacher: from fit_teacher().
        """
        if self.others is None:
            return teacher.apply_to(rows)
        at = {clip.id: i for i, clip in enumerate(self.others.clips)}
        said = teacher.apply_to(self.others.take(np.array([at[clip.id] for clip in rows.clips])))
        return rows.with_dimensions(said.dimensions).with_probs(said.probs)

    def student(self, groups: Collection[str], teacher: Heads, seed: int) -> Student:
        """The backbone with the stages that follow the shared ones.

        Args:
            groups: of speakers that it is trained on; nobody else's examples are used but those of
                `valid`.
            teacher: whose dimensions and classes it learns.
            seed: of every random choice in these stages.
        """
        training = Training(replace(self.recipe, seed=seed))
        own = [name for name in STAGES if name not in SHARED]
        splits = self.splits(groups, partial(self.labelled, teacher=teacher))
        student = self.backbone()
        if self.recipe.student.init_from and self.recipe.finetune is not None:
            # Everybody may have taught the heads that came with the first weights, and fine-tuning
            # would bring the backbone to what they say.
            config = self.recipe.heads or HeadsConfig()
            student = heads_stage.run(student, splits, config, training)
        return run_stages(student, splits, training, own)

    def splits(self, groups: Collection[str], relabel: Relabel) -> Splits:
        """The examples of `groups`, and of `valid`, with a teacher's labels.

        Args:
            groups: of speakers that a student is trained on.
            relabel: gives rows the labels.
        """
        valid = relabel(self.examples.of_groups(self.valid, augmented=False))
        return Splits(
            train=relabel(self.examples.of_groups(groups)),
            valid=valid,
            test=valid.take(np.arange(0)),
            finetune=relabel(self.copies.of_groups(groups)),
        )
