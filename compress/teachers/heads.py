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

from edgeemo.compress import losses
from edgeemo.compress.data import Clip
from edgeemo.compress.labelled import Labelled
from edgeemo.compress.recipe import HeadsPart
from edgeemo.compress.teachers.whisper_trunk import Rounded
from edgeemo.compress.training import rate_at
from edgeemo.errors import BadData
from edgeemo.types import CLASSES, DIMENSIONS


class Heads(nn.Module):
    """`members` networks side by side: [N, width] to the mean of their outputs.

    Args:
        width: of the embedding.
        recipe: members and hidden width; dropout.
    """

    mean: Tensor
    inverse_sd: Tensor

    def __init__(self, width: int, recipe: HeadsPart) -> None:
        super().__init__()
        self.recipe = recipe
        sizes = (width, *[recipe.hidden] * recipe.layers, len(DIMENSIONS) + len(CLASSES))
        pairs = list(itertools.pairwise(sizes))
        self.weights = nn.ModuleList(
            _Weight(torch.empty(recipe.members, i, o).uniform_(-1, 1) * i**-0.5) for i, o in pairs
        )
        self.biases = nn.ParameterList(
            nn.Parameter(torch.zeros(recipe.members, 1, o)) for _, o in pairs
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
        part = self.recipe
        x = (embedding - self.mean) * self.inverse_sd
        if self.training:
            x = F.dropout(x + part.noise * torch.randn_like(x), part.drop_input)
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight() + bias
            if i < last:
                x = F.dropout(
                    F.relu(x) if part.relu else F.gelu(x), part.drop_hidden, self.training
                )
        return x

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Means over the members.

        Args:
            embedding: [N, width].

        Returns:
            A, D, V [N, 3], about 0..1; class probabilities [N, 8].
        """
        each = self.outputs(embedding[None].expand(self.recipe.members, -1, -1))
        adv, logits = each.split([len(DIMENSIONS), len(CLASSES)], dim=2)
        return adv.mean(0), logits.softmax(2).mean(0)

    @torch.no_grad()
    def plain(self) -> tuple[list[Tensor], list[Tensor]]:
        """Weights [in, out] and biases [out] of the first member, for an unscaled embedding."""
        weights = [weight()[0] for weight in self.weights]
        biases = [bias[0, 0] for bias in self.biases]
        weights[0] = weights[0] * self.inverse_sd[:, None]
        biases[0] = biases[0] - self.mean @ weights[0]
        return weights, biases

    def round(self) -> None:
        """Keep the weights as int8 from now on, one scale for each output of each member."""
        for i, weight in enumerate(self.weights):
            self.weights[i] = Rounded(weight().detach(), shared=(1,))

    @torch.no_grad()
    def apply_to(self, rows: Labelled) -> Labelled:
        """The same rows with these heads' A, D, V and classes as the teacher's."""
        adv, probs = self.eval()(torch.from_numpy(_embedding(rows).astype(np.float32)))
        return rows.with_adv(adv.numpy()).with_probs(probs.numpy())


class _Weight(nn.Module):
    """A weight that is trained; Heads.round() puts a Rounded in its place."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.values = nn.Parameter(weight)

    def forward(self) -> Tensor:
        return self.values


def fit_heads(
    rows: Labelled, recipe: HeadsPart, seed: int = 1, *, heard_words: bool = False
) -> Heads:
    """Train heads.

    Args:
        rows: labelled by the trunk, so that they have embeddings; those with ratings teach the
            dimensions (nobody does where there are none), those with votes (see free_of_words)
            the classes.
        recipe: all settings.
        seed: of first weights, batches, noise and dropout.
        heard_words: the votes are of somebody whom words did not mislead, so each counts.

    Returns:
        The heads in evaluation mode.

    Raises:
        BadData: no row has ratings of the dimensions or votes.
    """
    rated = np.flatnonzero(~np.isnan(rows.human_adv).any(1))
    free = np.ones(len(rows), bool) if heard_words else free_of_words(list(rows.clips))
    voted = np.flatnonzero(~np.isnan(rows.votes).any(1) & free)
    others = np.setdiff1d(voted, rated)
    if not len(rated) and not len(others):
        raise BadData("no clip has ratings of the dimensions or votes; heads need some")
    inputs = torch.from_numpy(_embedding(rows).astype(np.float32))
    targets = _Targets.of(rows, free)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        heads = Heads(inputs.shape[1], recipe).train()
        heads.mean.copy_(inputs.mean(0))
        heads.inverse_sd.copy_(1 / (inputs.std(0) + 1e-6))
        optimizer = torch.optim.AdamW(
            heads.parameters(), recipe.lr, weight_decay=recipe.weight_decay
        )
        rng = np.random.default_rng(seed)
        for step in range(recipe.steps):
            optimizer.param_groups[0]["lr"] = recipe.lr * rate_at(step, recipe.steps, 0.3)
            picked = np.stack([_pick(rng, rated, others, recipe) for _ in range(recipe.members)])
            loss = _loss(heads.outputs(inputs[picked]), targets, picked, recipe)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return heads.eval()


def free_of_words(clips: Sequence[Clip]) -> NDArray[np.bool_]:
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
    adv: Tensor
    votes: Tensor
    weight: Tensor

    @classmethod
    def of(cls, rows: Labelled, free: NDArray[np.bool_]) -> _Targets:
        votes = np.where(free[:, None], rows.votes, np.nan).astype(np.float32)
        arrays = (rows.human_adv, votes, rows.votes_weight)
        return cls(*(torch.from_numpy(a) for a in arrays))


def _pick(
    rng: np.random.Generator, rated: NDArray[np.int64], others: NDArray[np.int64],
    recipe: HeadsPart,
) -> NDArray[np.int64]:  # fmt: skip
    if not len(rated):
        return rng.choice(others, recipe.rated + recipe.others)
    first = rng.choice(rated, recipe.rated, replace=len(rated) < recipe.rated)
    if not len(others):
        return first
    return np.concatenate([first, rng.choice(others, recipe.others)])


def _loss(
    outputs: Tensor, targets: _Targets, picked: NDArray[np.int64], recipe: HeadsPart
) -> Tensor:
    total = outputs.new_zeros(())
    # CCC is a figure of a batch, so each member is judged on its own.
    for output, rows in zip(outputs, picked, strict=True):
        adv, logits = output.split([len(DIMENSIONS), len(CLASSES)], dim=1)
        human = targets.adv[rows[: recipe.rated]]
        votes = targets.votes[rows] * (1 - recipe.smoothing) + recipe.smoothing / len(CLASSES)
        if not human.isnan().any():
            first = adv[: recipe.rated]
            total = total + recipe.ccc * losses.ccc_loss(first, human)
            total = total + recipe.mse * F.mse_loss(first, human)
        total = total + recipe.classes * losses.votes_loss(logits, votes, targets.weight[rows])
    return total


def _embedding(rows: Labelled) -> NDArray[np.float16]:
    if rows.embedding is None:
        raise BadData("these rows have no embedding; label them with the trunk")
    return rows.embedding
