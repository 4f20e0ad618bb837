"""Heads for a student whose backbone is frozen.

A backbone that learned the teacher's features from everybody knows more voices than the few
annotated speakers; training it on with their annotations makes it forget (measured:
docs/design.md). So annotations train only the layers behind the embedding, as in the built-in
teacher.

They do so by a detour. A small network soon overfits few annotations; an ensemble of wide ones with
much dropout does not, but no student has room for it. So the ensemble learns the annotations and
the student's heads learn the ensemble, not only at the clips but between and around them, where
there are as many examples as one likes (measured: docs/design.md).
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeemo.types import DIMENSIONS

from ..labels.dataset import LabelledDataset
from ..recipes import HeadsConfig
from ..students.base import Student
from ..teachers.heads import Heads, HeadsSettings, fit_heads, text_independent
from ..train.epoch import cosine_warmup
from .base import Splits, Training
from .embedding import embedded

# Chosen by hand: an error of .1 in a dimension costs as much as a divergence of 1 nat.
DIMENSIONS_WEIGHT, CLASSES_WEIGHT = 30.0, 0.3

WARMUP = 0.1
"""Share of the steps in which the rate climbs, as in distillation's default."""


def run(student: Student, data: Splits, config: HeadsConfig, training: Training) -> Student:
    """Train new heads on a frozen backbone.

    Args:
        student: trained; it is not changed.
        data: labelled rows. Where nobody annotated a clip, the teacher's dimensions take the place
            of annotations, and where nobody voted, its classes take the place of votes.
        config: how.
        training: what the stages share; its recipe's seed draws everything.

    Returns:
        A copy with its heads trained, in evaluation mode.

    Raises:
        BadData: no row has annotations or classes.
    """
    return with_heads(student, embedded(student, data.train), config, training.recipe.seed)


def with_heads(
    student: Student,
    rows: LabelledDataset,
    config: HeadsConfig,
    seed: int,
    *,
    wide: HeadsSettings | None = None,
) -> Student:
    """The same backbone with new heads.

    Args:
        student: trained; it is not changed.
        rows: what embedded() gave for this student. Where nobody annotated a clip, the teacher's
            dimensions take the place of annotations, and where nobody voted, its classes take the
            place of votes.
        config: steps, batches, rate and noise of the student's heads.
        seed: of every random choice.
        wide: the ensemble that learns the annotations; None is that of the teacher's heads.

    Returns:
        A copy with its heads trained, in evaluation mode.
    """
    made = copy.deepcopy(student).eval()
    taught, by_teacher = _taught(rows)
    ensemble = fit_heads(
        taught, wide or HeadsSettings(), seed, labels_are_text_independent=by_teacher
    )
    made.take_heads(*_learned(made, ensemble, taught, config, seed))
    return made


def _learned(
    student: Student, ensemble: Heads, rows: LabelledDataset, config: HeadsConfig, seed: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Weights [out, in] and biases [out] of heads that say what the ensemble says."""
    assert rows.embedding is not None
    x = torch.from_numpy(rows.embedding.astype(np.float32))
    rated = ~np.isnan(rows.human_dimensions).any(1)
    kinds = [k for k in (np.flatnonzero(rated), np.flatnonzero(~rated)) if len(k)]
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        widths = [layer.in_features for layer in (*student.head_layers, student.adv)]
        outputs = student.adv.out_features + student.classes.out_features
        layers = [nn.Linear(i, o) for i, o in itertools.pairwise([*widths, outputs])]
        net = nn.Sequential(*(m for layer in layers for m in (layer, student.head_act)))[:-1]
        optimizer = torch.optim.AdamW(net.parameters(), lr=config.lr, weight_decay=0.0)
        for step in range(config.steps):
            optimizer.param_groups[0]["lr"] = config.lr * cosine_warmup(step, config.steps, WARMUP)
            points = _mixup_points(x, kinds, config, rng)
            points += config.noise / ensemble.inverse_sd * torch.randn_like(points)
            with torch.no_grad():
                dimensions, probs = ensemble(points)
            said = net((points - ensemble.mean) * ensemble.inverse_sd)
            # An estimate ends at 0 and 1; what lies beyond would need a wider range in int8.
            loss = _disagreement(said, dimensions.clamp(0, 1), probs)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    weights = [layer.weight.detach() for layer in layers]
    biases = [layer.bias.detach() for layer in layers]
    weights[0] = weights[0] * ensemble.inverse_sd
    biases[0] = biases[0] - weights[0] @ ensemble.mean
    return weights, biases


def _mixup_points(
    x: Tensor, kinds: list[NDArray[np.int64]], config: HeadsConfig, rng: np.random.Generator
) -> Tensor:
    """Points on the way from a row to another one; as many of each kind of row."""
    count = -(-config.batch // len(kinds))
    first = x[np.concatenate([rng.choice(kind, count) for kind in kinds])]
    other = x[rng.choice(len(x), len(first))]
    way = torch.rand(len(first), 1)
    return first + way * (other - first)


def _disagreement(outputs: Tensor, dimensions: Tensor, probs: Tensor) -> Tensor:
    """Squared error of the dimensions, and divergence of the classes."""
    ours, logits = outputs.split([len(DIMENSIONS), probs.shape[1]], dim=1)
    kl = F.kl_div(logits.log_softmax(1), probs, reduction="batchmean")
    return DIMENSIONS_WEIGHT * F.mse_loss(ours, dimensions) + CLASSES_WEIGHT * kl


def _taught(rows: LabelledDataset) -> tuple[LabelledDataset, bool]:
    """Rows whose labels are complete, and whether the classes are the teacher's."""
    if np.isnan(rows.human_dimensions).any(1).all():
        # Then each row teaches, so none may stay without classes.
        unknown = np.isnan(rows.votes).any(1) | ~text_independent(list(rows.clips))
        votes = np.where(unknown[:, None], rows.probs, rows.votes)
        weight = np.where(unknown, 1, rows.votes_weight).astype(np.float32)
        filled = replace(rows, human_dimensions=rows.dimensions, votes=votes, votes_weight=weight)
        return filled, True
    by_teacher = bool(np.isnan(rows.votes).any(1).all())
    if by_teacher:
        rows = replace(rows, votes=rows.probs, votes_weight=np.ones_like(rows.votes_weight))
    return rows, by_teacher
