"""Heads on a frozen backbone: several small networks that share a batch and are averaged.

One vector a clip goes in (the mean of the backbone's tokens over time), arousal, dominance, valence
and class probabilities come out. Both are learned together: the emotion categories of all corpora
keep the hidden layers from learning the few speakers whose dimensions were annotated.
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
from ..data.sounds import burst_class
from ..labels.dataset import LabelledDataset
from ..train import losses
from ..train.epoch import cosine_warmup

_WARMUP = 0.3
"""Share of the steps in which the rate climbs. A choice for short trainings; not tuned."""


@dataclass(frozen=True)
class HeadsSettings:
    """Networks side by side and how they are trained.

    Attributes:
        members: networks, each with its own start, batches and dropout.
        hidden: width of each hidden layer.
        layers: hidden layers.
        steps: of AdamW.
        annotated, others: rows of a batch with annotated dimensions, and with classes alone.
        lr, weight_decay: peak rate (warm-up, then a cosine) and decay.
        drop_input, drop_hidden: dropout.
        noise: standard deviation of noise on the standardized input.
        ccc, mse, classes: weights of the losses.
        smoothing: of the class targets.
        bursts: share of the others that are bursts of the voice, each of their classes as often as
            another; 0 draws each clip as often as another.
        clean: share of the annotated that are clips as they are; 0 draws each copy as often as
            another.
    """

    members: int = 5
    hidden: int = 256
    layers: int = 2
    steps: int = 450
    annotated: int = 64
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
    bursts: float = 0.0
    clean: float = 0.0


class Rounded(nn.Module):
    """A weight kept as int8 with one scale for each output: a quarter of float32 on disk.

    Runtimes fold the product into a float weight when they load the file, so it costs no time.

    Args:
        weight: of any shape.
        shared: axes that share a scale; default all but the first.
    """

    values: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor, shared: tuple[int, ...] | None = None) -> None:
        super().__init__()
        axes = shared or tuple(range(1, weight.ndim))
        scale = weight.abs().amax(axes, keepdim=True).clamp(min=1e-12) / 127
        self.register_buffer("values", (weight / scale).round().to(torch.int8))
        self.register_buffer("scale", scale)

    def forward(self) -> Tensor:
        """The weight in float32."""
        return self.values.float() * self.scale


class Heads(nn.Module):
    """`members` networks side by side: [N, width] to the mean of their outputs.

    Args:
        width: of the embedding.
        config: members, layers and hidden width; dropout.

    Attributes:
        gives_classes: whether votes taught the classes; without, they mean nothing.
    """

    mean: Tensor
    inverse_sd: Tensor
    gives_classes: bool = True

    def __init__(self, width: int, config: HeadsSettings) -> None:
        super().__init__()
        self.config = config
        sizes = (width, *[config.hidden] * config.layers, len(DIMENSIONS) + len(CLASSES))
        pairs = list(itertools.pairwise(sizes))
        self.weights = nn.ModuleList(
            _Weight(torch.empty(config.members, i, o).uniform_(-1, 1) * i**-0.5) for i, o in pairs
        )
        self.biases = nn.ParameterList(
            nn.Parameter(torch.zeros(config.members, 1, o)) for _, o in pairs
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
        config = self.config
        x = (embedding - self.mean) * self.inverse_sd
        if self.training:
            x = F.dropout(x + config.noise * torch.randn_like(x), config.drop_input)
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight() + bias
            if i < last:
                x = F.dropout(F.gelu(x), config.drop_hidden, self.training)
        return x

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Means over the members.

        Args:
            embedding: [N, width].

        Returns:
            A, D, V [N, 3], about 0..1; class probabilities [N, 8].
        """
        each = self.outputs(embedding[None].expand(self.config.members, -1, -1))
        dimensions, logits = each.split([len(DIMENSIONS), len(CLASSES)], dim=2)
        return dimensions.mean(0), logits.softmax(2).mean(0)

    def round(self) -> None:
        """Keep the weights as int8 from now on, one scale for each output of each member."""
        for i, weight in enumerate(self.weights):
            self.weights[i] = Rounded(weight().detach(), shared=(1,))

    @torch.no_grad()
    def rescale(self, factor: NDArray[np.float32], offset: NDArray[np.float32]) -> None:
        """Scale each dimension around 0.5 and move it, before round().

        Args:
            factor: one a dimension, [3].
            offset: added to each dimension then, [3].
        """
        weight, bias, count = self.weights[-1], self.biases[-1], len(DIMENSIONS)
        assert isinstance(weight, _Weight)
        scale = torch.from_numpy(factor)
        weight.values[..., :count] *= scale
        bias[..., :count] = 0.5 + (bias[..., :count] - 0.5) * scale + torch.from_numpy(offset)

    @torch.no_grad()
    def apply_to(self, rows: LabelledDataset) -> LabelledDataset:
        """The same rows with these heads' A, D, V and classes (NaN for none) as labels."""
        dimensions, probs = self.eval()(torch.from_numpy(_embedding(rows).astype(np.float32)))
        classes = probs.numpy() if self.gives_classes else np.full(probs.shape, np.nan, np.float32)
        return rows.with_dimensions(dimensions.numpy()).with_probs(classes)


class _Weight(nn.Module):
    """A weight that is trained; Heads.round() puts a Rounded in its place."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.values = nn.Parameter(weight)

    def forward(self) -> Tensor:
        return self.values


def fit_heads(
    rows: LabelledDataset,
    config: HeadsSettings,
    seed: int = 1,
    *,
    labels_are_text_independent: bool = False,
) -> Heads:
    """Train heads.

    Args:
        rows: labelled by the backbone, so that they have embeddings; those with annotated
            dimensions teach these (nothing does where there are none), those with votes (see
            text_independent) the classes.
        config: all settings.
        seed: of first weights, batches, noise and dropout.
        labels_are_text_independent: the votes are by annotators whom words did not mislead, so
            each counts.

    Returns:
        The heads in evaluation mode.

    Raises:
        BadData: no row has annotated dimensions or votes.
    """
    annotated = np.flatnonzero(~np.isnan(rows.human_dimensions).any(1))
    free = (
        np.ones(len(rows), bool)
        if labels_are_text_independent
        else text_independent(list(rows.clips))
    )
    voted = np.flatnonzero(~np.isnan(rows.votes).any(1) & free)
    others = np.setdiff1d(voted, annotated)
    if not len(annotated) and not len(others):
        raise BadData("no clip has annotated dimensions or votes; heads need some")
    inputs = torch.from_numpy(_embedding(rows).astype(np.float32))
    targets = _Targets.of(rows, free)
    chance = (
        chances(np.where(rows.copy[annotated] == 0, "clean", ""), config.clean)
        if config.clean
        else None,
        chances([burst_class(clip) for clip in rows.clips[others]], config.bursts)
        if config.bursts
        else None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        heads = Heads(inputs.shape[1], config).train()
        heads.gives_classes = bool(len(voted))
        heads.mean.copy_(inputs.mean(0))
        heads.inverse_sd.copy_(1 / (inputs.std(0) + 1e-6))
        optimizer = torch.optim.AdamW(
            heads.parameters(), config.lr, weight_decay=config.weight_decay
        )
        rng = np.random.default_rng(seed)
        for step in range(config.steps):
            optimizer.param_groups[0]["lr"] = config.lr * cosine_warmup(step, config.steps, _WARMUP)
            picked = np.stack(
                [_pick(rng, annotated, others, config, chance) for _ in range(config.members)]
            )
            loss = _loss(heads.outputs(inputs[picked]), targets, picked, config)
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


def chances(kinds_of: Sequence[str] | NDArray[np.str_], share: float) -> NDArray[np.float64]:
    """How likely each row is drawn, [N]; within a kind one is as likely as another.

    Args:
        kinds_of: the kind of each row; "" is what the share is not of.
        share: of all named kinds together, each as often as another, above 0 and below 1; where
            there are rows with a name alone, or without alone, it says nothing.
    """
    kinds, of, counts = np.unique(np.array(kinds_of), return_inverse=True, return_counts=True)
    of_kind = np.where(kinds == "", 1 - share, share / max(1, (kinds != "").sum()))
    chance = np.asarray((of_kind / counts)[of], np.float64)
    return np.asarray(chance / chance.sum(), np.float64)


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
    annotated: NDArray[np.int64],
    others: NDArray[np.int64],
    config: HeadsSettings,
    chance: tuple[NDArray[np.float64] | None, NDArray[np.float64] | None],
) -> NDArray[np.int64]:
    if not len(annotated):
        return rng.choice(others, config.annotated + config.others, p=chance[1])
    again = len(annotated) < config.annotated
    first = rng.choice(annotated, config.annotated, replace=again, p=chance[0])
    if not len(others):
        return first
    return np.concatenate([first, rng.choice(others, config.others, p=chance[1])])


def _loss(
    outputs: Tensor, targets: _Targets, picked: NDArray[np.int64], config: HeadsSettings
) -> Tensor:
    total = outputs.new_zeros(())
    # CCC is a figure of a batch, so each member is judged on its own.
    for output, rows in zip(outputs, picked, strict=True):
        dimensions, logits = output.split([len(DIMENSIONS), len(CLASSES)], dim=1)
        human = targets.dimensions[rows[: config.annotated]]
        votes = targets.votes[rows] * (1 - config.smoothing) + config.smoothing / len(CLASSES)
        if not human.isnan().any():
            first = dimensions[: config.annotated]
            total = total + config.ccc * losses.ccc_loss(first, human)
            total = total + config.mse * F.mse_loss(first, human)
        total = total + config.classes * losses.votes_loss(logits, votes, targets.weight[rows])
    return total


def _embedding(rows: LabelledDataset) -> NDArray[np.float16]:
    if rows.embedding is None:
        raise BadData("these rows have no embedding; label them with the backbone")
    return rows.embedding
