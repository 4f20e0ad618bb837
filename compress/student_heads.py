"""Heads for a student whose trunk is held still.

A trunk that learned the teacher's features from everybody knows more voices than the few people
who were rated; training it on with their ratings makes it forget (measured: docs/design.md). So the
ratings teach only what lies behind the embedding, as they do in the built-in teacher.

They teach it by a detour. A small network soon knows few ratings by heart; an ensemble of wide
ones with much dropout does not, but no student has room for it. So the ensemble learns the
ratings and the student's heads learn the ensemble, not only at the clips but between and around
them, where there are as many examples as one likes (measured: docs/design.md).

The ensemble does not hear the student's channels but the teacher's embedding as they rebuild it.
The channels are about as loud as each other; in the teacher's embedding what most emotions share is
loud and the rest quiet, and heads that begin there need fewer ratings (measured: docs/design.md).
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeemo.compress.batches import Batches
from edgeemo.compress.labelled import Labelled
from edgeemo.compress.recipe import HeadsPart
from edgeemo.compress.students.base import Student
from edgeemo.compress.teachers.heads import HeadsSettings, fit_heads
from edgeemo.compress.training import rate_at
from edgeemo.errors import BadRecipe
from edgeemo.types import DIMENSIONS

WIDE = replace(HeadsSettings(), members=8, noise=0.6)
"""The ensemble: the teacher's own, which what a student hears needs more noise for."""


def narrowed(student: Student, rows: Labelled, part: HeadsPart) -> Student:
    """The student with `part.embedding` channels of its embedding; itself if that is 0.

    Channels go one at a time: each time the one whose loss costs least of the teacher's embedding,
    as a linear map of the channels that are left rebuilds it.

    Args:
        student: trained; it is not changed.
        rows: with the teacher's embedding.
        part: how many channels, and the width of the heads.

    Raises:
        BadRecipe: more channels than there are, or the student's embedding cannot be narrowed.
    """
    if not part.embedding:
        return student
    ours = embeddings(student, rows)
    if part.embedding > ours.shape[1]:
        raise BadRecipe(
            f"$.heads.embedding: {part.embedding}; {student.name} has {ours.shape[1]} channels"
        )
    gram, cross = _moments(ours, rows)
    kept = list(range(ours.shape[1]))
    while len(kept) > part.embedding:
        inverse = np.linalg.inv(gram[np.ix_(kept, kept)])
        # What a least-squares fit loses without channel i: |weights of i|^2 / inverse[i, i].
        cost = ((inverse @ cross[kept]) ** 2).sum(1) / np.diag(inverse)
        kept.pop(int(cost.argmin()))
    return student.with_channels(kept, part.hidden).eval()


def with_heads(
    student: Student, rows: Labelled, part: HeadsPart, seed: int, *,
    ours: NDArray[Any] | None = None, wide: HeadsSettings | None = None,
) -> Student:  # fmt: skip
    """The same trunk with new heads.

    Args:
        student: trained; it is not changed.
        rows: labelled by the teacher. Where nobody rated a clip, the teacher's dimensions take the
            place of ratings, and where nobody voted, its classes take the place of votes.
        part: how.
        seed: of every random choice.
        ours: what embeddings() gave for this student and these rows; None asks it.
        wide: the ensemble that learns the ratings; None is WIDE.

    Returns:
        A copy with its heads trained, in evaluation mode.
    """
    made = copy.deepcopy(student).eval()
    ours = embeddings(student, rows) if ours is None else ours
    taught, by_teacher = _taught(rows)
    rebuild = _rebuilding(ours, rows)
    x = torch.from_numpy(ours.astype(np.float32))
    ensemble = fit_heads(
        _heard(taught, rebuild(x).half().numpy()), wide or WIDE, seed, heard_words=by_teacher
    )

    def wanted(points: Tensor) -> tuple[Tensor, Tensor]:
        adv, probs = ensemble(rebuild(points))
        return adv, probs

    made.take_heads(*_learned(made, wanted, x, taught, part, seed))
    return made


def _heard(rows: Labelled, rebuilt: NDArray[np.float16]) -> Labelled:
    """Each row as the student hears it and, where there is such, as the teacher does.

    What the teacher hears is less blurred, and the ratings tell more of it.
    """
    if rows.embedding is None:
        return replace(rows, embedding=rebuilt)
    twice = rows.take(np.tile(np.arange(len(rows)), 2))
    theirs = _standardised(rows.embedding).astype(np.float16)
    return replace(twice, embedding=np.concatenate([rebuilt, theirs]))


def _rebuilding(ours: NDArray[Any], rows: Labelled) -> Callable[[Tensor], Tensor]:
    """The linear map from the student's channels to the teacher's embedding, standardised.

    Where the teacher gives none, the channels stay as they are.
    """
    if rows.embedding is None:
        return lambda points: points
    gram, cross = _moments(ours, rows)
    weight = torch.from_numpy(np.linalg.solve(gram, cross).astype(np.float32))
    mean = torch.from_numpy(ours.mean(0, dtype=np.float64).astype(np.float32))
    return lambda points: (points - mean) @ weight


def _moments(ours: NDArray[Any], rows: Labelled) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums of products: of the student's channels [E, E], and of those and the teacher's [E, K].

    The means are taken off; a little ridge keeps channels that are alike from huge weights.
    """
    assert rows.embedding is not None
    x = ours.astype(np.float64)
    x -= x.mean(0)
    gram = x.T @ x
    ridge = 1e-6 * np.trace(gram) / len(gram) * np.eye(len(gram))
    return gram + ridge, x.T @ _standardised(rows.embedding)


def _standardised(embedding: NDArray[Any]) -> NDArray[np.float64]:
    values = embedding.astype(np.float64)
    return np.asarray((values - values.mean(0)) / (values.std(0) + 1e-4))


def _learned(
    student: Student, wanted: Callable[[Tensor], tuple[Tensor, Tensor]], x: Tensor,
    rows: Labelled, part: HeadsPart, seed: int,
) -> tuple[list[Tensor], list[Tensor]]:  # fmt: skip
    """Weights [out, in] and biases [out] of heads that say what is wanted at and around x."""
    rated = ~np.isnan(rows.human_adv).any(1)
    kinds = [k for k in (np.flatnonzero(rated), np.flatnonzero(~rated)) if len(k)]
    mean, sd = x.mean(0), x.std(0) + 1e-6
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        widths = [layer.in_features for layer in (*student.head_layers, student.adv)]
        outputs = student.adv.out_features + student.classes.out_features
        layers = [nn.Linear(i, o) for i, o in itertools.pairwise([*widths, outputs])]
        net = nn.Sequential(*(m for layer in layers for m in (layer, nn.ReLU())))[:-1]
        optimizer = torch.optim.AdamW(net.parameters(), lr=part.lr, weight_decay=0.0)
        for step in range(part.steps):
            optimizer.param_groups[0]["lr"] = part.lr * rate_at(step, part.steps, 0.1)
            points = _between_rows(x, kinds, part, rng)
            points += part.noise * sd * torch.randn_like(points)
            with torch.no_grad():
                targets = wanted(points)
            loss = _disagreement(net((points - mean) / sd), *targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    weights = [layer.weight.detach() for layer in layers]
    biases = [layer.bias.detach() for layer in layers]
    weights[0] = weights[0] / sd
    biases[0] = biases[0] - weights[0] @ mean
    return weights, biases


def _between_rows(
    x: Tensor, kinds: list[NDArray[np.int64]], part: HeadsPart, rng: np.random.Generator
) -> Tensor:
    """Points on the way from a row to another one; as many of each kind of row."""
    count = -(-part.batch // len(kinds))
    first = x[np.concatenate([rng.choice(kind, count) for kind in kinds])]
    other = x[rng.choice(len(x), len(first))]
    way = torch.rand(len(first), 1)
    return first + way * (other - first)


def _disagreement(outputs: Tensor, adv: Tensor, probs: Tensor) -> Tensor:
    """Squared error of the dimensions, and divergence of the classes, of comparable size."""
    ours, logits = outputs.split([len(DIMENSIONS), probs.shape[1]], dim=1)
    return 30 * F.mse_loss(ours, adv) + 0.3 * F.kl_div(
        logits.log_softmax(1), probs, reduction="batchmean"
    )


def embeddings(student: Student, rows: Labelled) -> NDArray[Any]:
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


def _taught(rows: Labelled) -> tuple[Labelled, bool]:
    """Rows whose labels are complete, and whether the classes are the teacher's."""
    if np.isnan(rows.human_adv).any(1).all():
        rows = replace(rows, human_adv=rows.adv)
    by_teacher = bool(np.isnan(rows.votes).any(1).all())
    if by_teacher:
        rows = replace(rows, votes=rows.probs, votes_weight=np.ones_like(rows.votes_weight))
    return rows, by_teacher
