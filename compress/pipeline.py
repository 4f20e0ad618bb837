"""From a recipe, clips and a teacher to a finished run: the stages, in order."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from edgeemo.errors import BadData, BadInput, BadRecipe, counted
from edgeemo.features import SPECS
from edgeemo.io.files import write_text
from edgeemo.io.loading import load_json
from edgeemo.vision.images import ImageSpec

from . import distributed
from .data.clips import Clip, DataSet
from .data.folds import groups_of_speakers
from .data.splits import split_as_published, split_by_speaker
from .evaluation.summary import complete
from .labels.dataset import Progress
from .labels.labeller import Labeller
from .labels.layout import LabelledBy
from .labels.packed import Packed
from .labels.packed_split import split_packed
from .licences import check_open
from .recipes import Recipe
from .run import Run, RunSummary, write_ranges
from .stages import distill as distillation
from .stages import embedding, finetune, heads, prune, qat, sounds
from .stages.base import Splits, StageRun, Training, teaches_classes
from .students.base import Student, make_student, save_student
from .teachers.base import Teacher, task_of
from .train.epoch import Due
from .train.loop import seeded_student
from .train.pretrained import load_pretrained


class Stage(NamedTuple):
    """A stage and the recipe's table that asks for it."""

    table: str
    run: StageRun


STAGES: Mapping[str, Stage] = {
    "distill": Stage("distill", distillation.run),
    "embedding": Stage("heads", embedding.run),
    "finetune": Stage("finetune", finetune.run),
    "heads": Stage("heads", heads.run),
    "prune": Stage("prune", prune.run),
    "qat": Stage("qat", qat.run),
    "sounds": Stage("sounds", sounds.run),
}
"""All stages in the order in which they run."""

LEAST_CLIPS = 2
"""Clips of each split; of one clip nothing can be compared."""

_MOST_SPLIT = 64 << 20  # bytes of split.json


def distill(
    run: Run,
    data: DataSet,
    teacher: Teacher,
    *,
    cache: Path | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
    due: Due | None = None,
) -> RunSummary:
    """Carry a run to its end, from wherever it is.

    Args:
        run: begun by Run.begin, or interrupted; its recipe says everything else.
        data: clips of at least three people. To go on with an interrupted run, the same.
        teacher: labels them.
        cache: folder of the labels; None is the folder "labels" beside the run.
        device: of torch.
        progress: called with (what, done, total).
        due: asked after each step whether to write a checkpoint within the epoch.

    Returns:
        The facts that are also in run.json. Under torchrun every process returns them.

    Raises:
        BadRecipe: the recipe asks for a student or features that do not exist, or claims an open
            result that its sources do not allow.
        BadData: too few people, a constant teacher, data that changed since the run began.
        BadInput: another process works on the run.
    """
    recipe = run.recipe
    check_task(recipe, data, teacher)
    check_open(recipe, data, teacher)
    student = new_student(recipe)
    with run.locked() if distributed.rank() == 0 else nullcontext():
        splits = label_splits(run, data, teacher, student, cache, progress)
        return _train(run, data, teacher, student, splits, (device, progress, due))


def distill_packed(
    run: Run,
    packed: Packed,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
    due: Due | None = None,
) -> RunSummary:
    """Carry a run on packed labels to its end, from wherever it is; see `distill`.

    Args:
        run: begun by Run.begin, or interrupted.
        packed: labels for its recipe. To go on with an interrupted run, the same.
        device: of torch.
        progress: called with (what, done, total).
        due: asked after each step whether to write a checkpoint within the epoch.

    Raises:
        BadRecipe: as `distill`, or the labels are of another teacher or recipe.
        BadData: as `distill`, or the labels are damaged.
        BadInput: another process works on the run.
    """
    recipe = run.recipe
    student = new_student(recipe)
    check_packed(recipe, student, packed)
    with run.locked() if distributed.rank() == 0 else nullcontext():
        rows = split_packed(packed, recipe)
        _write_split(run, {"labels": packed.digest, **rows.clips})
        splits = Splits(rows.sample, rows.valid, rows.test, rows.finetune, rows)
        teacher = packed.index.teacher
        return _train(run, packed.data, teacher, student, splits, (device, progress, due))


def check_packed(recipe: Recipe, student: Student, packed: Packed) -> None:
    """Refuse labels that are not those of a recipe, or that it does not allow.

    Args:
        recipe: of the training.
        student: of the recipe.
        packed: the labels.

    Raises:
        BadRecipe: the message names what differs.
        BadData: the table of people does not hold what the index says.
    """
    packed.index.settings.check(recipe, student.spec, packed.folder)
    packed.groups()  # raises what is wrong with the table before a run begins
    check_open(recipe, packed.data, packed.index.teacher)


def _train(
    run: Run,
    data: DataSet,
    teacher: Teacher | LabelledBy,
    student: Student,
    splits: Splits,
    how: tuple[str, Progress | None, Due | None],
) -> RunSummary:
    training = Training(run.recipe, run.folder, *how)
    with _threads_for(run.recipe):
        student = run_stages(student, splits, training)
    return complete(run, data, teacher, student, splits, training.best_epoch)


@contextmanager
def _threads_for(recipe: Recipe) -> Iterator[None]:
    """One thread for students of speech, which are too small to share.

    On two idle cores two threads save a quarter of the time. Where another program has one of the
    cores they take nine times as long, as each waits for the other at every operation.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if recipe.task == "speech" else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_stages(
    student: Student, data: Splits, training: Training, names: Collection[str] = tuple(STAGES)
) -> Student:
    """Run the stages that the recipe has tables for.

    Args:
        student: fresh if `distill` is among the stages, else trained.
        data: labelled rows. To cross-validate, those of a fold, with the labels of a teacher that
            was trained without the fold's speakers.
        training: recipe, folder and device; it takes up the history and the learned ranges.
        names: of STAGES, in any order; others are left out.

    Returns:
        The last stage's student; it gives no classes if nothing taught them. With a folder it is
        also in student.pt, beside the history of all stages in metrics.jsonl and, after
        quantization-aware training, ranges.json.

    Raises:
        BadRecipe, BadData, MissingExtra: see the stages.
    """
    for name, stage in STAGES.items():
        config = getattr(training.recipe, stage.table)
        if name in names and config is not None:
            before, student = student, stage.run(student, data, config, training)
            if name != "distill" and student is not before:  # the loop writes its own
                _save(student, training)
    if not teaches_classes(training.recipe, data):
        student.gives_classes = False
        _save(student, training)
    return student


def _save(student: Student, training: Training) -> None:
    if training.folder is None or distributed.rank() != 0:
        return
    save_student(student, training.folder / "student.pt")
    lines = (json.dumps(epoch) + "\n" for epoch in training.history)
    write_text(training.folder / "metrics.jsonl", "".join(lines))
    if training.ranges:
        write_ranges(training.folder, training.ranges)


def check_task(recipe: Recipe, data: DataSet, teacher: Teacher) -> None:
    """Refuse a recipe for faces with data or a teacher for speech, and the other way round.

    Args:
        recipe: whose task counts.
        data: clips of one task.
        teacher: of one task.

    Raises:
        BadRecipe: the message says which of the three is the odd one.
    """
    for what, task in (
        (f"the data {data.name!r}", data.task),
        (f"the teacher {teacher.name!r}", task_of(teacher)),
    ):
        if task != recipe.task:
            raise BadRecipe(
                f"$.task: the recipe {recipe.name!r} is for {recipe.task}, {what} for {task}"
            )


def new_student(recipe: Recipe) -> Student:
    """The recipe's student, its first weights drawn from the seed or taken from `init_from`.

    Raises:
        BadRecipe: no such student or option, it expects other features than the recipe says, or
            cannot tell the recipe's sounds.
        BadArtifact: `init_from` cannot be read.
    """
    config = recipe.student
    student = seeded_student(lambda: make_student(config.name, **dict(config.options)), recipe.seed)
    if (recipe.task == "face") != isinstance(student.spec, ImageSpec):
        raise BadRecipe(f"$.student.name: {config.name} is not a student for {recipe.task}")
    if recipe.sounds is not None:
        student.check_sounds()
    if config.init_from:
        load_pretrained(student, config.init_from)
    if config.features and SPECS.get(config.features) != student.spec:
        expected = next((n for n, spec in SPECS.items() if spec == student.spec), "its own")
        raise BadRecipe(
            f"$.student.features: {config.features!r}, but {config.name} expects {expected!r}"
        )
    return student


def label_splits(
    run: Run,
    data: DataSet,
    teacher: Teacher,
    student: Student,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Splits:
    """Split by speaker and label: training clips in all their copies, the others as they are.

    Args:
        run: its recipe says how; the speakers of each split are written to its split.json.
        data: all clips.
        teacher: labels them.
        student: whose features are kept beside the labels.
        cache: folder of the labels; None is the folder "labels" beside the run.
        progress: called with (what, done, total).

    Raises:
        BadData: too few people, a constant teacher, data that changed since the run began.
    """
    recipe = run.recipe
    split = planned_splits(recipe, data, run.given.get("test_speakers") or ())
    _write_split(run, _speakers(split))
    labeller = Labeller(
        teacher, student.spec, recipe, cache or run.folder.parent / "labels", progress
    )
    copies = labeller.label(split[0], finetune.num_augmented_copies(split[0], recipe))
    valid = labeller.label(split[1])
    test = labeller.label(split[2]) if split[2] else valid.take(np.arange(0))
    return Splits(finetune.drop_extra_copies(copies, recipe), valid, test, copies)


def planned_splits(
    recipe: Recipe, data: DataSet, test_speakers: Collection[str] = ()
) -> tuple[list[Clip], ...]:
    """Clips to train on, to choose the checkpoint on, and to test on; no speaker is in two.

    Args:
        recipe: whose seed and shares count.
        data: all clips.
        test_speakers: who is tested on; none leaves it to the data's own splits and the seed.

    Raises:
        BadData: too few people or clips for the splits; the message has the counts. Or the recipe
            asks for sounds that no training clip has.
    """
    people = counted(len({clip.speaker for clip in data.clips}), "person", "people")
    told = f"{data.name}: {counted(len(data.clips), 'clip')} of {people}"
    try:
        if test_speakers:
            splits = _split_off(recipe, data, groups_of_speakers(data.clips, test_speakers))
        else:
            splits = split_as_published(data.clips, recipe.seed, recipe.data.shares)
    except BadInput as error:
        raise BadData(f"{told}: {error}") from None
    for name, clips in zip(("train", "valid", "test"), splits, strict=True):
        if 0 < len(clips) < LEAST_CLIPS:
            raise BadData(
                f"{told}; the split {name!r} gets {len(clips)} and needs {LEAST_CLIPS}: "
                "give more clips of each person"
            )
    if recipe.sounds is not None:
        sounds.by_sound(splits[0])  # the stage comes last, after hours
    return splits


def _split_off(recipe: Recipe, data: DataSet, test: set[str]) -> tuple[list[Clip], ...]:
    rest = [clip for clip in data.clips if clip.group not in test]
    share = recipe.data.valid
    train, valid = split_by_speaker(rest, recipe.seed, (1 - share, share))
    return train, valid, [clip for clip in data.clips if clip.group in test]


def _speakers(split: Sequence[Sequence[Clip]]) -> dict[str, list[str]]:
    names = ("train", "valid", "test")
    return {
        name: sorted({clip.speaker for clip in clips})
        for name, clips in zip(names, split, strict=True)
    }


def _write_split(run: Run, split: Mapping[str, Any]) -> None:
    path = run.folder / "split.json"
    if path.exists() and load_json(path, BadData, _MOST_SPLIT) != split:
        raise BadData(
            f"{path} names other speakers than the data now hold; "
            "give the data that the run began with, or begin a new run"
        )
    if distributed.rank() == 0:
        write_text(path, json.dumps(split, indent=1, ensure_ascii=False) + "\n")
