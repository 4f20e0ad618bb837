"""What export and people need of a trained student: card facts, parity set, report."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch

from edgeemo.artifacts.card import Calibration, Card, Metric, ReceptiveField, Source
from edgeemo.artifacts.licences import weights_licence
from edgeemo.evaluation.seen import Seen
from edgeemo.features import log_mel
from edgeemo.types import DIMENSIONS
from edgeemo.vision.images import ImageSpec, normalize

from .. import distributed
from ..data import augment
from ..data.clips import Clip, DataSet
from ..data.corpus_info import attribution_of
from ..exposure import exposure_of, seen_clips, trained_on
from ..labels.dataset import LabelledDataset
from ..labels.layout import LabelledBy
from ..labels.rows import MIN_FRAMES
from ..licences import sources_of
from ..recipes import Recipe
from ..run import SCHEMA, Run, RunSummary
from ..stages.base import Splits
from ..students.base import Student
from ..students.cost import macs_per_second, parameters
from ..teachers.base import Teacher
from ..train.losses import log_prior
from .confidence import FittedConfidence, learn_confidence
from .evaluate import Metrics, Predictions, evaluate, inter_rater_ccc, level_baseline, predict
from .metrics import fit_temperature, softmax
from .parity_set import ParitySet
from .report import write_report

T = TypeVar("T", Card, RunSummary)

LOG = logging.getLogger("edgeemo")

PARITY = 200
"""Held-out clips that a run keeps for parity."""

CALIBRATION = 128
"""Clips of the valid split, then of the training, that a run keeps to choose ranges on."""

MIN_UNSEEN = 8
"""Clips of people new to student and teacher that have figures of their own."""

MIN_LABELS = 20
"""Clips from which a temperature is fitted; one number needs few, and fewer say little."""


def complete(
    run: Run,
    data: DataSet,
    teacher: Teacher | LabelledBy,
    student: Student,
    splits: Splits,
    best_epoch: int = 0,
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
        student: trained.
        splits: the rows that it was trained on, and those of unseen speakers.
        best_epoch: whose weights were kept.
        metrics: for the card; None measures on the test split, and fits a confidence on the valid
            split, whose people must then be new to the student.
        confidence: for the card, beside `metrics`.
        report: write report.html and its plots too.
    """
    facts = _facts(run, data, teacher, student, splits, best_epoch)
    if not facts.classes:
        LOG.warning(
            "nothing taught classes (%s gives none, or no clip has an emotion, or the recipe's "
            "losses leave them out), so %s has none; to have them, give clips with emotions or a "
            "teacher with classes, and a weight to kl or votes",
            teacher.name,
            facts.name,
        )
    temperature = facts.calibration.class_temperature
    if metrics is not None:
        facts = replace(facts, metrics=metrics)
    else:
        confidence = learn_confidence(
            student,
            splits.valid.with_sound(),
            temperature,
            run.recipe.data.clip_seconds,
            run.recipe.seed,
        )
    if confidence is not None:
        calibration = replace(facts.calibration, confidence=confidence.confidence)
        facts = replace(facts, calibration=calibration)
    if distributed.rank() == 0:
        run.write_parity_set(_parity_set(student, splits, run.recipe, temperature))
        if report:
            points = () if confidence is None else confidence.points
            write_report(run, facts, student, splits.train, splits.valid, splits.test, points)
        run.finish(facts)
    distributed.barrier()
    return facts


def _facts(
    run: Run,
    data: DataSet,
    teacher: Teacher | LabelledBy,
    student: Student,
    splits: Splits,
    best_epoch: int,
) -> RunSummary:
    recipe = run.recipe
    temperature, on = _temperature(student, splits.valid) if student.gives_classes else (1.0, "")
    sources = sources_of(recipe, data, teacher)
    taught = (rows for rows in (splits.train, splits.finetune, splits.valid) if rows is not None)
    own = (clip for rows in taught for clip in rows.clips)
    packed = splits.packed
    trained = trained_on(
        own if packed is None else packed.exposure, teacher, recipe.student.init_from
    )
    seen = seen_clips(trained, list(splits.test.clips))
    said = predict(student, splits.test) if len(splits.test) else None
    return RunSummary(
        schema=SCHEMA,
        name=re.sub(r"[^a-z0-9.-]+", "-", recipe.name.lower()).strip("-.")[:64] or "student",
        task=recipe.task,
        student=recipe.student.name,
        options=dict(student.options),
        spec=student.spec,
        window=window_of(student),
        teachers=sources.teachers,
        data=sources.data,
        licence=weights_licence((*sources.data, *sources.teachers)),
        metrics=() if said is None else tuple(_metrics(said, splits, data.name, seen)),
        ceiling=inter_rater_ccc(splits.test) if len(splits.test) else {},
        calibration=Calibration(temperature, on, class_prior=_class_prior(splits.train, recipe)),
        parameters=parameters(student),
        macs_per_second=round(macs_per_second(student)),
        best_epoch=best_epoch,
        seed=recipe.seed,
        clips=splits.clips,
        skipped=splits.skipped,
        recipe=run.recipe_sha256,
        attributions=sources.attributions,
        trained_on=trained,
        seen="" if said is None else str(seen),
        classes=student.gives_classes,
        sounds=student.sounds is not None,
    )


def taught_more(facts: T, student: Student, clips: Iterable[Clip]) -> T:
    """Facts or a card of a student to which further clips have taught something.

    Args:
        facts: as they were before.
        student: as it is now.
        clips: that taught it; one may stand here twice.
    """
    # A clip may have taught two things.
    heard = tuple({(clip.corpus, clip.id): clip for clip in clips}.values())
    known = {source.name for source in facts.data}
    licences = DataSet("more", heard).licences
    more: list[Source] = [
        Source(name, licences[name]) for name in sorted(licences) if name not in known
    ]
    data: tuple[Source, ...] = tuple(sorted((*facts.data, *more), key=lambda s: s.name))
    texts: tuple[str, ...] = tuple(attribution_of(source.name, source.licence) for source in more)
    seen = facts.trained_on
    return replace(
        facts,
        data=data,
        licence=weights_licence((*data, *facts.teachers)),
        attributions=tuple(dict.fromkeys((*facts.attributions, *texts))),
        trained_on=None if seen is None else seen.joined(exposure_of(heard)),
        parameters=parameters(student),
        macs_per_second=round(macs_per_second(student)),
    )


def _class_prior(train: LabelledDataset, recipe: Recipe) -> tuple[float, ...]:
    """The classes' shares in training, less what the recipe leaves out of them; () unless known."""
    votes = torch.from_numpy(train.votes)
    if not torch.isfinite(votes).all(1).any():
        return ()
    left = (1 - recipe.distill.prior) * log_prior(votes)
    return tuple(round(share, 6) for share in left.double().softmax(0).tolist())


def window_of(student: Student) -> ReceptiveField:
    """What a token sees and the shortest clip; a picture has no time.

    Args:
        student: of speech or faces.
    """
    spec = student.spec
    if isinstance(spec, ImageSpec):
        return ReceptiveField(receptive_seconds=0.0, min_seconds=0.0)
    return ReceptiveField(
        receptive_seconds=spec.seconds(student.receptive),
        min_seconds=spec.seconds(max(student.stride, MIN_FRAMES)),
    )


def _temperature(student: Student, valid: LabelledDataset) -> tuple[float, str]:
    """Fitted to annotators where there are enough, else to the teacher's classes."""
    said = predict(student, valid)
    for target, name in ((valid.votes, "votes"), (valid.probs, "teacher's classes")):
        known = int(np.isfinite(target).all(1).sum())
        if known >= MIN_LABELS:
            people = len({clip.speaker for clip in valid.clips})
            return fit_temperature(said.logits, target), f"{name}, {known} clips of {people} people"
    return 1.0, ""


def _metrics(said: Predictions, splits: Splits, name: str, seen: Seen) -> list[Metric]:
    """Of the test split, and of those of it who are new to the teacher too, if some are not."""
    test, train = splits.test, splits.train
    face = isinstance(test.spec, ImageSpec)

    def count(rows: LabelledDataset) -> str:
        if face:
            return f"{name}: {len(rows)} unseen faces"
        people = len({clip.speaker for clip in rows.clips})
        return f"{name}: {len(rows)} clips of {people} unseen speakers"

    unknown = f"; it is not known what taught {', '.join(seen.unknown)}" if seen.unknown else ""
    if not seen.clips():
        return _metrics_of(said, test, train, count(test) + unknown)
    what = "faces" if face else "clips"

    def of(people: int) -> str:
        return "" if face else f" of {people} speakers"

    where = f"{name}: {len(test)} {what}{of(len(set(seen.speakers)))} unseen by the student"
    part = f"{seen.clips()} {what}{of(seen.people())}"
    if seen.clips() == len(test):
        part = "all of them"
    found = _metrics_of(said, test, train, f"{where}, {part} seen by its teacher{unknown}")
    unseen = np.array(seen.unseen, int)
    if len(unseen) >= MIN_UNSEEN:
        rest = test.take(unseen)
        found += _metrics_of(said.take(unseen), rest, train, count(rest) + unknown)
    return found


def _metrics_of(
    said: Predictions, test: LabelledDataset, train: LabelledDataset, where: str
) -> list[Metric]:
    figures: Metrics = evaluate(said, test)
    ceiling = inter_rater_ccc(test)
    out = []
    for human, measure in ((False, "ccc against the teacher"), (True, "ccc against annotators")):
        found = figures.get("human", {}).get("ccc", {}) if human else figures.get("ccc", {})
        level = level_baseline(train, test, human)
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


def _parity_set(student: Student, splits: Splits, recipe: Recipe, temperature: float) -> ParitySet:
    """Test clips, and others to choose ranges on, spread over each split, with exact features."""
    found: list[tuple[Clip, np.ndarray, np.ndarray, LabelledDataset, int]] = []

    def add(rows: LabelledDataset, most: int) -> int:
        rows = rows.with_sound()
        step = max(1, len(rows) // max(1, most))
        chosen = range(0, len(rows), step)[: max(0, most)]
        for i in chosen:
            samples, features = _inputs(rows, i, recipe)
            found.append((rows.clips[i], samples, features, rows, i))
        return len(chosen)

    tested = add(splits.test, PARITY)
    others = add(splits.valid, CALIBRATION if tested else PARITY)
    if tested:
        add(splits.train.take(splits.train.copy == 0), CALIBRATION - others)
    dimensions, probs = [], []
    student = student.cpu().eval()
    with torch.inference_mode():
        for _, _, features, _, _ in found:
            said = student(torch.from_numpy(features)[None], None)
            dimensions.append(said.dimensions[0].numpy())  # [D]
            probs.append(softmax(said.logits[0].double().numpy() / temperature))
    return ParitySet(
        ids=tuple(clip.id for clip, *_ in found),
        samples=tuple(samples for _, samples, *_ in found),
        features=tuple(features for _, _, features, *_ in found),
        dimensions=np.stack(dimensions),
        probs=np.stack(probs).astype(np.float32),
        teacher_dimensions=np.stack([rows.dimensions[i] for *_, rows, i in found]),
        teacher_probs=np.stack([rows.probs[i] for *_, rows, i in found]),
        human_dimensions=np.stack([rows.human_dimensions[i] for *_, rows, i in found]),
        test=np.arange(len(found)) < tested if tested else None,
    )


def _inputs(rows: LabelledDataset, i: int, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Samples (none for a face) and exact features of a row."""
    spec = rows.spec
    if isinstance(spec, ImageSpec):
        face = rows.features[i].reshape(spec.size, spec.size, spec.channels)
        return np.zeros(0, np.float32), normalize(face, spec)
    samples = augment.crop(rows.clips[i].samples(), recipe.data.clip_seconds, None)
    return samples, log_mel(samples, spec)
