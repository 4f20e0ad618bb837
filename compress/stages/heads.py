"""Heads for a student whose trunk is held still.

A trunk that learned the teacher's features from everybody knows more voices than the few people
who were rated; training it on with their ratings makes it forget (measured: docs/design.md). So the
ratings teach only what lies behind the embedding, as they do in the built-in teacher.

They teach it by a detour. A small network soon knows few ratings by heart; an ensemble of wide
ones with much dropout does not, but no student has room for it. So the ensemble learns the
ratings and the student's heads learn the ensemble, not only at the clips but between and around
them, where there are as many examples as one likes (measured: docs/design.md).
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeemo.errors import BadRecipe
from edgeemo.types import DIMENSIONS

from ..labels.dataset import LabelledDataset
from ..recipes import HeadsConfig
from ..students.base import Student
from ..teachers.heads import Heads, HeadsSettings, fit_heads
from ..train.batches import Batches
from ..train.loop import cosine_warmup


def select_embedding_channels(
    student: Student, rows: LabelledDataset, part: HeadsConfig
) -> Student:
    """The student with `part.embedding` channels of its embedding; itself if that is 0.

    Channels go one at a time: each time the one whose loss costs least of the teacher's embedding,
    as a linear map of the channels that are left rebuilds it.

    Args:
        student: trained; it is not changed.
        rows: with the teacher's embedding.
        part: how many channels, and the width of the heads.

    Raises:
        BadRecipe: more channels than there are, or its embedding has no channels
            that could be taken out.
    """
    if not part.embedding:
        return student
    ours = embeddings(student, rows).astype(np.float64)
    if part.embedding > ours.shape[1]:
        raise BadRecipe(
            f"$.heads.embedding: {part.embedding}; {student.name} has {ours.shape[1]} channels"
        )
    assert rows.embedding is not None
    theirs = rows.embedding.astype(np.float64)
    x = ours - ours.mean(0)
    y = (theirs - theirs.mean(0)) / (theirs.std(0) + 1e-4)
    gram = x.T @ x + 1e-6 * np.trace(x.T @ x) / x.shape[1] * np.eye(x.shape[1])
    cross = x.T @ y
    kept = list(range(x.shape[1]))
    while len(kept) > part.embedding:
        inverse = np.linalg.inv(gram[np.ix_(kept, kept)])
        # What a least-squares fit loses without channel i: |weights of i|^2 / inverse[i, i].
        cost = ((inverse @ cross[kept]) ** 2).sum(1) / np.diag(inverse)
        kept.pop(int(cost.argmin()))
    return student.with_channels(kept, part.hidden).eval()


def with_heads(
    student: Student,
    rows: LabelledDataset,
    part: HeadsConfig,
    seed: int,
    *,
    wide: HeadsSettings | None = None,
) -> Student:
    """The same trunk with new heads.

    Args:
        student: trained; it is not changed.
        rows: what embedded() gave for this student. Where nobody rated a clip, the teacher's
            dimensions take the place of ratings, and where nobody voted, its classes take the
            place of votes.
        part: how.
        seed: of every random choice.
        wide: the ensemble that learns the ratings; None has the settings of the teacher's heads.

    Returns:
        A copy with its heads trained, in evaluation mode.
    """
    made = copy.deepcopy(student).eval()
    taught, by_teacher = _taught(rows)
    ensemble = fit_heads(
        taught, wide or HeadsSettings(), seed, labels_are_text_independent=by_teacher
    )
    made.take_heads(*_learned(made, ensemble, taught, part, seed))
    return made


def _learned(
    student: Student, ensemble: Heads, rows: LabelledDataset, part: HeadsConfig, seed: int
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
        net = nn.Sequential(*(m for layer in layers for m in (layer, nn.ReLU())))[:-1]
        optimizer = torch.optim.AdamW(net.parameters(), lr=part.lr, weight_decay=0.0)
        for step in range(part.steps):
            optimizer.param_groups[0]["lr"] = part.lr * cosine_warmup(step, part.steps, 0.1)
            points = _mixup_points(x, kinds, part, rng)
            points += part.noise / ensemble.inverse_sd * torch.randn_like(points)
            with torch.no_grad():
                wanted = ensemble(points)
            said = net((points - ensemble.mean) * ensemble.inverse_sd)
            loss = _disagreement(said, *wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    weights = [layer.weight.detach() for layer in layers]
    biases = [layer.bias.detach() for layer in layers]
    weights[0] = weights[0] * ensemble.inverse_sd
    biases[0] = biases[0] - weights[0] @ ensemble.mean
    return weights, biases


def _mixup_points(
    x: Tensor, kinds: list[NDArray[np.int64]], part: HeadsConfig, rng: np.random.Generator
) -> Tensor:
    """Points on the way from a row to another one; as many of each kind of row."""
    count = -(-part.batch // len(kinds))
    first = x[np.concatenate([rng.choice(kind, count) for kind in kinds])]
    other = x[rng.choice(len(x), len(first))]
    way = torch.rand(len(first), 1)
    return first + way * (other - first)


def _disagreement(outputs: Tensor, dimensions: Tensor, probs: Tensor) -> Tensor:
    """Squared error of the dimensions, and divergence of the classes, of comparable size."""
    ours, logits = outputs.split([len(DIMENSIONS), probs.shape[1]], dim=1)
    return 30 * F.mse_loss(ours, dimensions) + 0.3 * F.kl_div(
        logits.log_softmax(1), probs, reduction="batchmean"
    )


def embedded(student: Student, rows: LabelledDataset) -> LabelledDataset:
    """The rows with the student's own embedding in place of the teacher's."""
    return replace(rows, embedding=embeddings(student, rows))


def embeddings(student: Student, rows: LabelledDataset) -> NDArray[Any]:
    """The student's own embedding of each row, float16 [N, E]."""
    batches = Batches(rows)
    found: list[NDArray[Any]] = []
    order = batches.lengths.argsort(stable=True)
    with torch.inference_mode():
        for part in order.split(128):
            batch = batches.batch(part)
            found.append(student(batch.features, batch.lengths).embedding.half().numpy())
    out = np.concatenate(found)
    out[order.numpy()] = out.copy()
    return out


def _taught(rows: LabelledDataset) -> tuple[LabelledDataset, bool]:
    """Rows whose labels are complete, and whether the classes are the teacher's."""
    if np.isnan(rows.human_dimensions).any(1).all():
        rows = replace(rows, human_dimensions=rows.dimensions)
    by_teacher = bool(np.isnan(rows.votes).any(1).all())
    if by_teacher:
        rows = replace(rows, votes=rows.probs, votes_weight=np.ones_like(rows.votes_weight))
    return rows, by_teacher
