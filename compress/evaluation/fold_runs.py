"""`distill --folds`: a student for each fold of each repetition, labels made once.

Nobody who is held out trains the student, and where the teacher was trained on them, its heads are
trained anew for the fold, if it gives embeddings and the data have annotated dimensions. Corpora
without annotated dimensions are never held out where another corpus has them: they only teach.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgeemo.artifacts.trained_on import TEACHER
from edgeemo.errors import BadData, BadInput, BadRecipe
from edgeemo.io.files import replacing, write_text

from ..data.clips import Clip, DataSet
from ..data.folds import FEW, check_doubles, deal, folds_of_column
from ..data.splits import split_by_speaker
from ..exposure import exposure_of_teacher, exposure_of_weights, seen_clips
from ..labels.dataset import LabelledDataset, Progress
from ..labels.labeller import Labeller
from ..pipeline import new_student, run_stages
from ..recipes import Recipe
from ..run import Run
from ..stages.base import Splits, Training
from ..stages.finetune import drop_extra_copies, num_augmented_copies
from ..students.base import Student
from ..teachers.base import Teacher
from ..teachers.heads import HeadsSettings, fit_heads
from .crossval import Estimates, as_plain, scores
from .evaluate import Predictions, evaluate, predict
from .folds import Folds

LOG = logging.getLogger("edgeemo")

RESULT = "crossval.json"
"""In the run's folder; there only when all folds are done."""


def dealt_clips(data: DataSet) -> list[Clip]:
    """Clips that are held out: of corpora with annotated dimensions, or all where none has them.

    Args:
        data: all clips.
    """
    annotated = {clip.corpus for clip in data if clip.dimensions is not None}
    return [c for c in data if c.corpus in annotated or not annotated]


def plan_folds(
    data: DataSet, seed: int, count: int, repeats: int = 1, column: str = ""
) -> list[list[set[str]]]:
    """Groups of speakers that are held out, by repetition and fold.

    Args:
        data: all clips.
        seed: of the recipe; each repetition has its own, from it.
        count: folds of a repetition; ignored with `column`.
        repeats: repetitions, 1 or more, each with folds drawn anew.
        column: of the labels that names each clip's fold; "" draws folds.

    Raises:
        BadInput, BadData: see `deal` and `folds_of_column`; repeats of a column, or none.
    """
    if repeats < 1:
        raise BadInput(f"{repeats} repetitions; expected 1 or more")
    if not column:
        return [deal(dealt_clips(data), count, seed - 1 + r) for r in range(repeats)]
    if repeats > 1:
        raise BadInput(
            f"{repeats} repetitions of the column {column!r} would be the same; leave --repeats out"
        )
    return [folds_of_column(dealt_clips(data), column)]


@dataclass(frozen=True)
class CrossValidation:
    """All folds of a run.

    Attributes:
        run: its folder keeps every fold, so an interrupted cross-validation goes on.
        data: all clips.
        teacher: labels them.
        count: folds of a repetition; ignored with `column`.
        repeats: repetitions, each with folds drawn anew.
        column: of the labels that names each clip's fold; "" draws folds.
    """

    run: Run
    data: DataSet
    teacher: Teacher
    count: int
    repeats: int = 1
    column: str = ""

    @cached_property
    def dealt(self) -> list[Clip]:
        """Clips that are held out once in each repetition."""
        return dealt_clips(self.data)

    def folds(self) -> list[list[set[str]]]:
        """Held-out groups, by repetition and fold; see `plan_folds`."""
        seed = self.run.recipe.seed
        return plan_folds(self.data, seed, self.count, self.repeats, self.column)

    @cached_property
    def taught_teacher(self) -> bool:
        """Whether the teacher was trained on people who are held out, or nobody knows."""
        seen = seen_clips(exposure_of_teacher(self.teacher), self.dealt)
        return bool(seen.clips(TEACHER) or seen.unknown)

    def refits_heads(self, copies: LabelledDataset) -> bool:
        """Whether the teacher's heads are trained anew for each fold."""
        annotated = bool(np.isfinite(copies.human_dimensions).all(1).any())
        return self.taught_teacher and copies.embedding is not None and annotated

    def check(self) -> None:
        """Refuse what cannot be held apart, and warn of few people.

        Raises:
            BadInput, BadData: see `folds`; a sound under two names; first weights that know those
                who are held out.
            BadRecipe: a second teacher gives the dimensions.
        """
        check_doubles(self.data)
        other = self.run.recipe.teacher.dimensions
        if other:
            raise BadRecipe(
                f"$.teacher.dimensions: --folds trains no heads on a second teacher ({other!r}); "
                "leave it out"
            )
        folds = self.folds()
        fewest = min(len(groups) for repetition in folds for groups in repetition)
        if fewest < FEW:
            LOG.warning(
                "a fold holds out %d speakers: figures of single folds say little; "
                "those over all folds count",
                fewest,
            )
        start = self.run.recipe.student.init_from
        if start:
            seen = seen_clips(exposure_of_weights(start), self.dealt)
            if seen.clips():
                raise BadData(
                    f"$.student.init_from: {start} was trained on {seen.people()} of the "
                    "speakers who are held out; begin without it"
                )

    def labels(self, cache: Path | None, progress: Progress | None) -> LabelledDataset:
        """All clips in all their copies, labelled once.

        Args:
            cache: folder of the labels; None is the folder "labels" beside the run.
            progress: called with (what, done, total).
        """
        recipe = self.run.recipe
        where = cache or self.run.folder.parent / "labels"
        labeller = Labeller(self.teacher, new_student(recipe).spec, recipe, where, progress)
        return labeller.label(self.data.clips, num_augmented_copies(self.data.clips, recipe))


def cross_validate(
    plan: CrossValidation, jobs: int, cache: Path | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Train what is missing, and write the result.

    Args:
        plan: all folds.
        jobs: processes; each trains a fold with one thread.
        cache: folder of the labels.
        progress: called with (what, done, total).

    Returns:
        What stands in RESULT.

    Raises:
        BadInput, BadData: see `CrossValidation.check`; a fold is there already, of another recipe
            or of other clips.
    """
    plan.check()
    copies = plan.labels(cache, progress)
    todo = [
        _Fold(plan, copies, r, i, frozenset(groups))
        for r, repetition in enumerate(plan.folds())
        for i, groups in enumerate(repetition)
    ]
    if todo[0].shared is not None:
        todo[0].shared.backbone()  # once, before the processes begin
    missing = [fold for fold in todo if not fold.is_done()]
    _run(missing, jobs, progress)
    result = _result(plan, copies, todo)
    write_text(plan.run.folder / RESULT, json.dumps(result, indent=1) + "\n")
    return result


@dataclass(frozen=True)
class _Fold:
    plan: CrossValidation
    copies: LabelledDataset
    repetition: int
    number: int
    held_out: frozenset[str]

    @property
    def path(self) -> Path:
        return self.plan.run.folder / f"fold-{self.repetition}-{self.number}.npz"

    @property
    def recipe(self) -> Recipe:
        recipe = self.plan.run.recipe
        return replace(recipe, seed=recipe.seed + self.repetition)

    @cached_property
    def shared(self) -> Folds | None:
        """The backbone that all folds share, where corpora that nobody annotated can teach it."""
        recipe, dealt = self.plan.run.recipe, {c.corpus for c in self.plan.dealt}
        others = [clip for clip in self.plan.data if clip.corpus not in dealt]
        apart = recipe.heads is not None or recipe.finetune is not None
        # Its dimensions of everybody carry the ratings of those who are held out.
        apart = apart and not (_learns_dimensions(recipe) and self.plan.taught_teacher)
        if not (others and apart and len(dealt) == 1 and self.copies.embedding is not None):
            return None
        _, valid = split_by_speaker(others, recipe.seed, (1 - recipe.data.valid, recipe.data.valid))
        groups = tuple(sorted({clip.group for clip in valid}))
        return Folds(self.copies, recipe, self.plan.run.folder, dealt.pop(), groups)

    def is_done(self) -> bool:
        """Whether the fold was trained before.

        Raises:
            BadData: by another recipe, or on other clips.
        """
        if not self.path.exists():
            return False
        with np.load(self.path) as kept:
            recipe, clips = str(kept["recipe"]), set(kept["clips"].tolist())
        folder = self.plan.run.folder
        if recipe != self.plan.run.recipe_sha256:
            raise BadData(
                f"{self.path} was trained by another recipe than {folder}/recipe.toml now holds; "
                "begin a new run"
            )
        if clips != {clip.id for clip in self.copies.clips if clip.group in self.held_out}:
            raise BadData(
                f"{self.path} is of other clips than the data now hold; give the data that the run "
                "began with, or begin a new run"
            )
        return True

    def train(self) -> None:
        """Train the student, and keep what it says of those who were held out."""
        examples = drop_extra_copies(self.copies, self.recipe)
        test = examples.of_groups(self.held_out, augmented=False)
        student = self._alone(examples) if self.shared is None else self._on_shared(self.shared)
        said = predict(student, test)
        with replacing(self.path) as temporary:
            np.savez(
                temporary,
                recipe=np.array(self.plan.run.recipe_sha256),
                clips=np.array([c.id for c in test.clips], dtype=str),
                dimensions=said.dimensions,
                logits=said.logits,
            )

    def _on_shared(self, shared: Folds) -> Student:
        known = shared.groups - self.held_out
        heads = fit_heads(shared.examples.of_groups(known), HeadsSettings(), self.recipe.seed)
        heads.round()  # what is judged is what would be shipped
        return shared.student(known - set(shared.valid), heads, self.recipe.seed)

    def _alone(self, examples: LabelledDataset) -> Student:
        recipe = self.recipe
        clips = [c for c in self.plan.data if c.group not in self.held_out]
        share = recipe.data.valid
        train, valid = (
            {c.group for c in part}
            for part in split_by_speaker(clips, recipe.seed, (1 - share, share))
        )
        copies = self.copies
        if self.plan.refits_heads(copies):
            known = examples.of_groups(train | valid)
            heads = fit_heads(known, HeadsSettings(), recipe.seed)
            examples, copies = heads.apply_to(examples), heads.apply_to(copies)
        valid_rows = examples.of_groups(valid, augmented=False)
        splits = Splits(
            examples.of_groups(train),
            valid_rows,
            valid_rows.take(np.arange(0)),
            copies.of_groups(train),
        )
        folder = self.plan.run.folder / "folds" / f"{self.repetition}-{self.number}"
        folder.mkdir(parents=True, exist_ok=True)
        return run_stages(new_student(recipe), splits, Training(recipe, folder))


def _learns_dimensions(recipe: Recipe) -> bool:
    """Whether distillation itself has a loss on the teacher's dimensions."""
    config = recipe.distill
    tables = [config.loss, config.pretrain_loss if config.pretrain else {}]
    return any(table.get(name) for table in tables for name in ("ccc", "mse", "std_match"))


_TODO: list[_Fold] = []


def _run(folds: list[_Fold], jobs: int, progress: Progress | None) -> None:
    """One process a core: these nets are too small to share. Forked, so rows are not copied."""
    global _TODO
    if jobs < 2 or len(folds) < 2:
        for done, fold in enumerate(folds, 1):
            fold.train()
            if progress is not None:
                progress("folds", done, len(folds))
        return
    _TODO = folds
    with multiprocessing.get_context("fork").Pool(jobs, maxtasksperchild=1) as pool:
        for done, _ in enumerate(pool.imap_unordered(_job, range(len(folds)), chunksize=1), 1):
            if progress is not None:
                progress("folds", done, len(folds))
    _TODO = []


def _job(number: int) -> None:
    torch.set_num_threads(1)
    _TODO[number].train()


def _result(
    plan: CrossValidation, copies: LabelledDataset, folds: Sequence[_Fold]
) -> dict[str, Any]:
    rows = copies.take(copies.copy == 0)
    at = {clip.id: i for i, clip in enumerate(rows.clips)}
    human, teacher, classes = list[Estimates](), list[Estimates](), list[dict[str, float]]()
    for r in range(1 + max(fold.repetition for fold in folds)):
        files = [np.load(fold.path) for fold in folds if fold.repetition == r]
        said = {k: np.concatenate([f[k] for f in files]) for k in ("clips", "dimensions", "logits")}
        test = rows.take(np.array([at[id] for id in said["clips"]]))
        speakers = test.column("speaker").astype(str)
        for kind, labels in ((human, test.human_dimensions), (teacher, test.dimensions)):
            kind.append(Estimates(speakers, said["dimensions"], labels.astype(np.float64)))
        metrics = evaluate(Predictions(said["dimensions"], said["logits"]), test)
        classes.append({k: metrics[k] for k in ("uar", "accuracy") if k in metrics})
    people = {clip.speaker for clip in plan.dealt}
    return {
        "data": plan.data.name,
        "student": plan.run.recipe.name,
        "teacher": plan.teacher.name,
        "protocol": _protocol(plan, copies, folds),
        "clips": len(plan.dealt),
        "speakers": len(people),
        "annotators": as_plain(scores(human)),
        "teacher_agreement": {} if plan.refits_heads(copies) else as_plain(scores(teacher)),
        "classes": {
            k: {"mean": round(float(np.mean([c[k] for c in classes])), 4)}
            | ({"sd": round(float(np.std([c[k] for c in classes])), 4)} if len(classes) > 1 else {})
            for k in classes[0]
        },
    }


def _protocol(plan: CrossValidation, copies: LabelledDataset, folds: Sequence[_Fold]) -> str:
    count = 1 + max(fold.number for fold in folds)
    how = f"by the column {plan.column}" if plan.column else f"{plan.repeats} repetition(s)"
    text = f"{count} folds of speakers unseen by the student, {how}"
    if folds[0].shared is not None or plan.refits_heads(copies):
        return f"{text}; the teacher's heads trained anew without them: speaker-independent"
    seen = seen_clips(exposure_of_teacher(plan.teacher), plan.dealt)
    if seen.clips():
        some = f"{seen.clips()} of {len(plan.dealt)}"
        some = "all" if seen.clips() == len(plan.dealt) else some
        return f"{text}; {some} clips were seen by its teacher"
    if seen.unknown:
        return f"{text}; it is not known what taught {', '.join(seen.unknown)}"
    return f"{text} and by its teacher: speaker-independent"
