"""From a recipe, clips and a teacher to a finished run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from edgeemo.artifacts.card import Calibration, Metric, ReceptiveField, Source
from edgeemo.errors import BadData, BadRecipe
from edgeemo.features import SPECS, log_mel
from edgeemo.files import write_text
from edgeemo.types import DIMENSIONS
from edgeemo.vision.images import ImageSpec, normalize

from . import distributed
from .data import augment
from .data.clips import Clip, DataSet
from .data.splits import split_as_published
from .evaluation.confidence import FittedConfidence, learn_confidence
from .evaluation.evaluate import (
    Metrics,
    Predictions,
    evaluate,
    inter_rater_ccc,
    level_baseline,
    predict,
)
from .evaluation.metrics import fit_temperature, softmax
from .evaluation.report import write_report
from .labels.dataset import LabelledDataset
from .labels.labeller import Labeller
from .recipes import Recipe
from .run import SCHEMA, ParityBatch, Run, RunSummary, weights_licence
from .stages.compression import prune_and_quantize
from .stages.finetune import drop_extra_copies, finetune_on_annotated, num_augmented_copies
from .stages.heads import embedded, select_embedding_channels, with_heads
from .students.base import Student, make_student, save_student
from .students.cost import macs_per_second, parameters
from .teachers.base import Teacher, task_of
from .train.loop import Fitted, fit, seeded_student
from .train.pretrained import load_pretrained

PARITY = 200
"""Held-out clips that a run keeps for parity."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Splits:
    """Labelled rows of people who are in one part only."""

    train: LabelledDataset
    valid: LabelledDataset
    test: LabelledDataset


def distill(
    run: Run,
    data: DataSet,
    teacher: Teacher,
    *,
    cache: Path | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> RunSummary:
    """Carry a run to its end, from wherever it is.

    Args:
        run: begun by Run.begin, or interrupted; its recipe says everything else.
        data: clips of at least three people. To go on with an interrupted run, the same.
        teacher: labels them.
        cache: folder of the labels; None is the folder "labels" beside the run.
        device: of torch.
        progress: called with (what, done, total).

    Returns:
        The facts that are also in run.json. Under torchrun every process returns them.

    Raises:
        BadRecipe: the recipe asks for a student or features that do not exist.
        BadData: too few people, a constant teacher, data that changed since the run began.
    """
    recipe = run.recipe
    check_task(recipe, data, teacher)
    student = new_student(recipe)
    parts = label_parts(run, data, teacher, student, cache, progress)
    copies = parts.train
    parts = replace(parts, train=drop_extra_copies(copies, recipe))  # what all stages but one hear
    fitted = fit(
        student,
        parts.train,
        parts.valid,
        recipe,
        run.folder,
        resume=True,
        device=device,
        progress=progress,
    )
    made = fitted.student
    if recipe.heads is not None:
        made = select_embedding_channels(made, parts.train, recipe.heads)
    made = finetune_on_annotated(
        made, copies, parts.valid, recipe, run.folder / "rated", device=device, progress=progress
    )
    if recipe.heads is not None:
        made = with_heads(made, embedded(made, parts.train), recipe.heads, recipe.seed)
    if made is not fitted.student and distributed.rank() == 0:
        save_student(made, run.folder / "student.pt")
    fitted = replace(fitted, student=made)
    fitted = prune_and_quantize(
        run, fitted, parts.train, parts.valid, device=device, progress=progress
    )
    return complete(run, data, teacher, fitted, parts)


def complete(
    run: Run,
    data: DataSet,
    teacher: Teacher,
    fitted: Fitted,
    parts: Splits,
    metrics: tuple[Metric, ...] | None = None,
    confidence: FittedConfidence | None = None,
    *,
    report: bool = True,
) -> RunSummary:
    """Write what export and people need of a trained student: facts, parity set, report.

    Args:
        run: the folder; the student is in it already.
        data: what it learned from.
        teacher: who labelled it.
        fitted: what fit() gave.
        parts: the rows it learned from and those it had not heard.
        metrics: for the card; None measures on the test part, and fits a confidence on the valid
            part, whose people must then be new to the student.
        confidence: for the card, beside `metrics`.
        report: write report.html and its plots too.
    """
    facts = _facts(run.recipe, data, teacher, fitted, parts)
    temperature = facts.calibration.class_temperature
    if metrics is not None:
        facts = replace(facts, metrics=metrics)
    else:
        confidence = learn_confidence(
            fitted.student, parts.valid, temperature, run.recipe.data.clip_seconds, run.recipe.seed
        )
    if confidence is not None:
        calibration = replace(facts.calibration, confidence=confidence.confidence)
        facts = replace(facts, calibration=calibration)
    if distributed.rank() == 0:
        run.write_held(_held(fitted.student, parts, run.recipe, temperature))
        if report:
            points = () if confidence is None else confidence.points
            write_report(run, facts, fitted.student, parts.train, parts.valid, parts.test, points)
        run.finish(facts)
    distributed.barrier()
    return facts


def check_task(recipe: Recipe, data: DataSet, teacher: Teacher) -> None:
    """Refuse a recipe for faces with data or a teacher for speech, and the other way round.

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
    """The recipe's student with first weights drawn from the recipe's seed, or from its `start`.

    Raises:
        BadRecipe: no such student or option, or it expects other features than the recipe says.
        BadArtifact: `start` cannot be read.
    """
    part = recipe.student
    student = seeded_student(lambda: make_student(part.name, **dict(part.options)), recipe.seed)
    if (recipe.task == "face") != isinstance(student.spec, ImageSpec):
        raise BadRecipe(f"$.student.name: {part.name} is not a student for {recipe.task}")
    if part.init_from:
        load_pretrained(student, part.init_from)
    if part.features and SPECS.get(part.features) != student.spec:
        expected = next((n for n, spec in SPECS.items() if spec == student.spec), "its own")
        raise BadRecipe(
            f"$.student.features: {part.features!r}, but {part.name} expects {expected!r}"
        )
    return student


def label_parts(
    run: Run,
    data: DataSet,
    teacher: Teacher,
    student: Student,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Splits:
    """Split by speaker and label: training clips in all their copies, the others as they are."""
    recipe = run.recipe
    part = recipe.data
    shares = (1 - part.valid - part.test, part.valid, part.test)
    split = split_as_published(data.clips, recipe.seed, shares)
    _keep_split(run, split)
    labeller = Labeller(
        teacher, student.spec, recipe, cache or run.folder.parent / "labels", progress
    )
    train = labeller.label(split[0], num_augmented_copies(split[0], recipe))
    valid = labeller.label(split[1])
    return Splits(train, valid, labeller.label(split[2]) if split[2] else valid.take(np.arange(0)))


def _keep_split(run: Run, split: Sequence[Sequence[Clip]]) -> None:
    names = ("train", "valid", "test")
    found = {
        name: sorted({clip.speaker for clip in clips})
        for name, clips in zip(names, split, strict=True)
    }
    path = run.folder / "split.json"
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != found:
        raise BadData(
            f"{path} names other speakers than the data now hold; "
            "give the data that the run began with, or begin a new run"
        )
    if distributed.rank() == 0:
        write_text(path, json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def _facts(
    recipe: Recipe, data: DataSet, teacher: Teacher, fitted: Fitted, parts: Splits
) -> RunSummary:
    student = fitted.student
    temperature, on = _temperature(student, parts.valid)
    sources = tuple(Source(name, licence) for name, licence in data.licences.items())
    teachers = (Source(teacher.name, teacher.licence),)
    said = predict(student, parts.test) if len(parts.test) else None
    counts = {
        name: len({clip.id for clip in getattr(parts, name).clips})
        for name in ("train", "valid", "test")
    }
    return RunSummary(
        schema=SCHEMA,
        name=re.sub(r"[^a-z0-9.-]+", "-", recipe.name.lower()).strip("-.")[:64] or "student",
        task=recipe.task,
        student=recipe.student.name,
        options=dict(student.options),
        spec=student.spec,
        window=_window(student),
        teachers=teachers,
        data=sources,
        licence=weights_licence(sources, teachers),
        metrics=() if said is None else tuple(_metrics(said, parts, data.name)),
        ceiling=inter_rater_ccc(parts.test) if len(parts.test) else {},
        calibration=Calibration(temperature, on),
        parameters=parameters(student),
        macs_per_second=round(macs_per_second(student)),
        best_epoch=fitted.best_epoch,
        seed=recipe.seed,
        clips=counts,
        skipped=sum(p.skipped for p in (parts.train, parts.valid, parts.test)),
    )


def _window(student: Student) -> ReceptiveField:
    """What a token sees and the shortest clip; a picture has no time."""
    spec = student.spec
    if isinstance(spec, ImageSpec):
        return ReceptiveField(receptive_seconds=0.0, min_seconds=0.0)
    return ReceptiveField(
        receptive_seconds=spec.seconds(student.receptive),
        min_seconds=spec.seconds(max(student.stride, 8)),
    )


def _temperature(student: Student, valid: LabelledDataset) -> tuple[float, str]:
    """Fitted to annotators where there are enough, else to the teacher's classes."""
    said = predict(student, valid)
    for target, name in ((valid.votes, "votes"), (valid.probs, "teacher's classes")):
        known = int(np.isfinite(target).all(1).sum())
        if known >= 20:
            people = len({clip.speaker for clip in valid.clips})
            return fit_temperature(said.logits, target), f"{name}, {known} clips of {people} people"
    return 1.0, ""


def _metrics(said: Predictions, parts: Splits, name: str) -> list[Metric]:
    test = parts.test
    people = len({clip.speaker for clip in test.clips})
    where = f"{name}: {len(test)} clips of {people} people whom the student had not heard"
    if isinstance(test.spec, ImageSpec):
        where = f"{name}: {len(test)} faces that the student had not seen"
    figures: Metrics = evaluate(said, test)
    ceiling = inter_rater_ccc(test)
    out = []
    for human, measure in ((False, "ccc against the teacher"), (True, "ccc against annotators")):
        found = figures.get("human", {}).get("ccc", {}) if human else figures.get("ccc", {})
        level = level_baseline(parts.train, test, human)
        out += [
            Metric(
                where,
                measure,
                d,
                round(found[d], 4),
                baseline=_round(level.get(d)),
                human_ceiling=_round(ceiling.get(d)) if human else None,
            )
            for d in DIMENSIONS
            if d in found
        ]
    for key, measure in (
        ("uar", "unweighted average recall"),
        ("accuracy", "accuracy on the class most voted for"),
        ("votes_kl", "Kullback-Leibler divergence from the votes"),
    ):
        if key in figures:
            out.append(Metric(where, measure, "classes", round(figures[key], 4)))
    return out


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _held(student: Student, parts: Splits, recipe: Recipe, temperature: float) -> ParityBatch:
    """Test clips first, valid ones after, spread over each part, with exact features."""
    found: list[tuple[Clip, np.ndarray, np.ndarray, LabelledDataset, int]] = []
    for rows in (parts.test, parts.valid):
        step = max(1, len(rows) // max(1, PARITY - len(found)))
        for i in range(0, len(rows), step):
            if len(found) < PARITY:
                samples, features = _inputs(rows, i, recipe)
                found.append((rows.clips[i], samples, features, rows, i))
    dimensions, probs = [], []
    student = student.cpu().eval()
    with torch.inference_mode():
        for _, _, features, _, _ in found:
            said = student(torch.from_numpy(features)[None], None)
            dimensions.append(said.dimensions[0].numpy())  # [D]
            probs.append(softmax(said.logits[0].double().numpy() / temperature))
    return ParityBatch(
        ids=tuple(clip.id for clip, *_ in found),
        samples=tuple(samples for _, samples, *_ in found),
        features=tuple(features for _, _, features, *_ in found),
        dimensions=np.stack(dimensions),
        probs=np.stack(probs).astype(np.float32),
        teacher_dimensions=np.stack([rows.dimensions[i] for *_, rows, i in found]),
        teacher_probs=np.stack([rows.probs[i] for *_, rows, i in found]),
        human_dimensions=np.stack([rows.human_dimensions[i] for *_, rows, i in found]),
    )


def _inputs(rows: LabelledDataset, i: int, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Samples (none for a face) and exact features of a row."""
    spec = rows.spec
    if isinstance(spec, ImageSpec):
        face = rows.features[i].reshape(spec.size, spec.size, spec.channels)
        return np.zeros(0, np.float32), normalize(face, spec)
    samples = augment.crop(rows.clips[i].samples(), recipe.data.clip_seconds, None)
    return samples, log_mel(samples, spec)
