"""Heads on a frozen trunk: several small networks that share a batch and are averaged.

One vector a clip goes in (the mean of the trunk's tokens over time), arousal, dominance, valence
and class probabilities come out. Both are learned together: the emotion categories of all corpora
keep the hidden layers from learning the few speakers who were rated on the three dimensions.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeemo.errors import BadData
from edgeemo.types import CLASSES, DIMENSIONS

from ..data import Clip
from ..labels.dataset import LabelledDataset
from ..train import losses
from ..train.loop import cosine_warmup
from .whisper_trunk import Rounded


@dataclass(frozen=True)
class HeadsSettings:
    """Networks side by side and how they are trained.

    Attributes:
        members: networks, each with its own start, batches and dropout.
        hidden: width of each hidden layer.
        layers: hidden layers.
        steps: of AdamW.
        rated, others: rows of a batch with ratings of the dimensions, and with classes alone.
        lr, weight_decay: peak rate (warm-up, then a cosine) and decay.
        drop_input, drop_hidden: dropout.
        noise: standard deviation of noise on the standardized input.
        ccc, mse, classes: weights of the losses.
        smoothing: of the class targets.
    """

    members: int = 5
    hidden: int = 256
    layers: int = 2
    steps: int = 450
    rated: int = 64
    others: int = 128
    lr: float = 1e-3
    weight_decay: float = 0.05
    drop_input: float = 0.1
    drop_hidden: float = 0.5
    noise: float = 0.3
    ccc: float = 1.0
    mse: float = 2.0
    classes: float = 1.0
    smoothing: float = 0.1


class Heads(nn.Module):
    """`members` networks side by side: [N, width] to the mean of their outputs.

    Args:
        width: of the embedding.
        part: members, layers and hidden width; dropout.
    """

    mean: Tensor
    inverse_sd: Tensor

    def __init__(self, width: int, part: HeadsSettings) -> None:
        super().__init__()
        self.part = part
        sizes = (width, *[part.hidden] * part.layers, len(DIMENSIONS) + len(CLASSES))
        pairs = list(itertools.pairwise(sizes))
        self.weights = nn.ModuleList(
            _Weight(torch.empty(part.members, i, o).uniform_(-1, 1) * i**-0.5) for i, o in pairs
        )
        self.biases = nn.ParameterList(
            nn.Parameter(torch.zeros(part.members, 1, o)) for _, o in pairs
        )
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("inverse_sd", torch.ones(width))
        with torch.no_grad():
            self.biases[-1][:, :, : len(DIMENSIONS)] = 0.5

    def outputs(self, embedding: Tensor) -> Tensor:
        """Each member's raw outputs: [members, N, 3 + 8].

        Args:
            embedding: [members, N, width], a batch for each member.
        """
        part = self.part
        x = (embedding - self.mean) * self.inverse_sd
        if self.training:
            x = F.dropout(x + part.noise * torch.randn_like(x), part.drop_input)
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight() + bias
            if i < last:
                x = F.dropout(F.gelu(x), part.drop_hidden, self.training)
        return x

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Means over the members.

        Args:
            embedding: [N, width].

        Returns:
            A, D, V [N, 3], about 0..1; class probabilities [N, 8].
        """
        each = self.outputs(embedding[None].expand(self.part.members, -1, -1))
        dimensions, logits = each.split([len(DIMENSIONS), len(CLASSES)], dim=2)
        return dimensions.mean(0), logits.softmax(2).mean(0)

    def round(self) -> None:
        """Keep the weights as int8 from now on, one scale for each output of each member."""
        for i, weight in enumerate(self.weights):
            self.weights[i] = Rounded(weight().detach(), shared=(1,))

    @torch.no_grad()
    def apply_to(self, rows: LabelledDataset) -> LabelledDataset:
        """The same rows with these heads' A, D, V and classes as the teacher's."""
        dimensions, probs = self.eval()(torch.from_numpy(_embedding(rows).astype(np.float32)))
        return rows.with_dimensions(dimensions.numpy()).with_probs(probs.numpy())


class _Weight(nn.Module):
    """A weight that is trained; Heads.round() puts a Rounded in its place."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.values = nn.Parameter(weight)

    def forward(self) -> Tensor:
        return self.values


def fit_heads(
    rows: LabelledDataset,
    part: HeadsSettings,
    seed: int = 1,
    *,
    labels_are_text_independent: bool = False,
) -> Heads:
    """Train heads.

    Args:
        rows: labelled by the trunk, so that they have embeddings; those with ratings teach the
            dimensions (nobody does where there are none), those with votes (see text_independent)
            the classes.
        part: all settings.
        seed: of first weights, batches, noise and dropout.
        labels_are_text_independent: the votes are of somebody whom words did not mislead, so
            each counts.

    Returns:
        The heads in evaluation mode.

    Raises:
        BadData: no row has ratings of the dimensions or votes.
    """
    rated = np.flatnonzero(~np.isnan(rows.human_dimensions).any(1))
    free = (
        np.ones(len(rows), bool)
        if labels_are_text_independent
        else text_independent(list(rows.clips))
    )
    voted = np.flatnonzero(~np.isnan(rows.votes).any(1) & free)
    others = np.setdiff1d(voted, rated)
    if not len(rated) and not len(others):
        raise BadData("no clip has ratings of the dimensions or votes; heads need some")
    inputs = torch.from_numpy(_embedding(rows).astype(np.float32))
    targets = _Targets.of(rows, free)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        heads = Heads(inputs.shape[1], part).train()
        heads.mean.copy_(inputs.mean(0))
        heads.inverse_sd.copy_(1 / (inputs.std(0) + 1e-6))
        optimizer = torch.optim.AdamW(heads.parameters(), part.lr, weight_decay=part.weight_decay)
        rng = np.random.default_rng(seed)
        for step in range(part.steps):
            optimizer.param_groups[0]["lr"] = part.lr * cosine_warmup(step, part.steps, 0.3)
            picked = np.stack([_pick(rng, rated, others, part) for _ in range(part.members)])
            loss = _loss(heads.outputs(inputs[picked]), targets, picked, part)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return heads.eval()


def text_independent(clips: Sequence[Clip]) -> NDArray[np.bool_]:
    """Clips whose words do not give the emotion away: [N].

    A text counts as free if its corpus has it in two categories or more. Clips without a text
    stay out: nothing is known of their words.
    """
    spoken: dict[tuple[str, str | None], set[str | None]] = {}
    for clip in clips:
        spoken.setdefault((clip.corpus, clip.text_id), set()).add(clip.emotion)
    return np.array([bool(c.text_id) and len(spoken[c.corpus, c.text_id]) > 1 for c in clips])


@dataclass(frozen=True)
class _Targets:
    dimensions: Tensor
    votes: Tensor
    weight: Tensor

    @classmethod
    def of(cls, rows: LabelledDataset, free: NDArray[np.bool_]) -> _Targets:
        votes = np.where(free[:, None], rows.votes, np.nan).astype(np.float32)
        arrays = (rows.human_dimensions, votes, rows.votes_weight)
        return cls(*(torch.from_numpy(a) for a in arrays))


def _pick(
    rng: np.random.Generator,
    rated: NDArray[np.int64],
    others: NDArray[np.int64],
    part: HeadsSettings,
) -> NDArray[np.int64]:
    if not len(rated):
        return rng.choice(others, part.rated + part.others)
    first = rng.choice(rated, part.rated, replace=len(rated) < part.rated)
    if not len(others):
        return first
    return np.concatenate([first, rng.choice(others, part.others)])


def _loss(
    outputs: Tensor, targets: _Targets, picked: NDArray[np.int64], part: HeadsSettings
) -> Tensor:
    total = outputs.new_zeros(())
    # CCC is a figure of a batch, so each member is judged on its own.
    for output, rows in zip(outputs, picked, strict=True):
        dimensions, logits = output.split([len(DIMENSIONS), len(CLASSES)], dim=1)
        human = targets.dimensions[rows[: part.rated]]
        votes = targets.votes[rows] * (1 - part.smoothing) + part.smoothing / len(CLASSES)
        if not human.isnan().any():
            first = dimensions[: part.rated]
            total = total + part.ccc * losses.ccc_loss(first, human)
            total = total + part.mse * F.mse_loss(first, human)
        total = total + part.classes * losses.votes_loss(logits, votes, targets.weight[rows])
    return total


def _embedding(rows: LabelledDataset) -> NDArray[np.float16]:
    if rows.embedding is None:
        raise BadData("these rows have no embedding; label them with the trunk")
    return rows.embedding
