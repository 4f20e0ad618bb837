"""Labelled rows as batches of tensors: order, padding, SpecAugment, augmentation of pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from edgeemo.features import FeatureSpec
from edgeemo.vision.images import ImageSpec

from ..data import image_augment
from ..labels.dataset import LabelledDataset, Ragged
from ..recipes import ImageAugmentConfig, SpecAugmentConfig
from ..students.base import time_mask

POOL = 4
"""Batches that are sorted by length together: less padding, and still mixed corpora."""

_ENOUGH = 2000
"""Rows from which mean and standard deviation of features and tokens are taken."""

_MIN_SD = 1e-4
"""Added to the standard deviations of the embedding: channels that hardly vary stay small."""


Moments = tuple[Tensor, Tensor]
"""Mean and standard deviation of each channel."""


@dataclass(frozen=True)
class Batch:
    """B rows. Targets that a row does not have are NaN; LabelledDataset tells what each means.

    Attributes:
        features: float32 [B, T, bands]; 0 on padding. Faces: [B, size, size, channels].
        lengths: int64 [B].
        embedding: float32 [B, E], zero mean and unit variance over the training rows, or None.
        tokens: float32 [B, T', K], likewise, or None.
        token_lengths: int64 [B].
    """

    features: Tensor
    lengths: Tensor
    dimensions: Tensor
    probs: Tensor
    human_dimensions: Tensor
    votes: Tensor
    votes_weight: Tensor
    intervals: Tensor
    embedding: Tensor | None
    tokens: Tensor | None
    token_lengths: Tensor


class Batches:
    """All rows of a LabelledDataset on one device.

    Args:
        rows: at least 2.
        device: where the batches are wanted.
        like: rows whose mean and spread these are normalized by; default their own.
    """

    def __init__(
        self, rows: LabelledDataset, device: str = "cpu", like: Batches | None = None
    ) -> None:
        self.device = device
        self.spec = rows.spec
        self.token_rate = rows.token_rate
        self._features = _Block(rows.features, device)
        self._tokens = None if rows.tokens is None else _Block(rows.tokens, device)
        self._targets = {
            name: torch.from_numpy(getattr(rows, name)).to(device)
            for name in (
                "dimensions",
                "probs",
                "human_dimensions",
                "votes",
                "votes_weight",
                "intervals",
            )
        }
        self._moments: Moments = self._features.moments() if like is None else like._moments
        self.mean, self.sd = self._moments
        self._embedding: Tensor | None = None
        self._embedding_moments: Moments | None = None if like is None else like._embedding_moments
        self._token_moments: Moments | None = None if like is None else like._token_moments
        if rows.embedding is not None:
            embedding = torch.from_numpy(rows.embedding.astype(np.float32)).to(device)
            if self._embedding_moments is None:
                self._embedding_moments = embedding.mean(0), embedding.std(0) + _MIN_SD
            mean, sd = self._embedding_moments
            self._embedding = (embedding - mean) / sd
        if self._tokens is not None and self._token_moments is None:
            self._token_moments = self._tokens.moments()

    def __len__(self) -> int:
        return len(self._features.lengths)

    @property
    def lengths(self) -> Tensor:
        """[N], int64, frames of each row."""
        return self._features.lengths

    @property
    def votes(self) -> Tensor:
        """[N, 8], all rows' votes."""
        return self._targets["votes"]

    def order(self, batch: int, generator: torch.Generator) -> list[Tensor]:
        """Row numbers of each batch of an epoch: every row once, sizes equal within one.

        Args:
            batch: rows of a batch.
            generator: of the random numbers, on the CPU.
        """
        shuffled = torch.randperm(len(self), generator=generator)
        lengths = self._features.lengths.cpu()
        sorted_pools = [
            pool[lengths[pool].argsort(stable=True)] for pool in torch.split(shuffled, batch * POOL)
        ]
        parts = torch.cat(sorted_pools).tensor_split(max(1, round(len(self) / batch)))
        return [parts[i] for i in torch.randperm(len(parts), generator=generator)]

    def batch(
        self,
        rows: Tensor,
        augmentation: SpecAugmentConfig | ImageAugmentConfig | None = None,
        generator: torch.Generator | None = None,
    ) -> Batch:
        """Assemble rows, augmented where a table and a generator are given.

        Args:
            rows: [B], numbers of rows.
            augmentation: ImageAugmentConfig for faces, SpecAugmentConfig for speech.
            generator: of the random numbers, on the CPU.
        """
        rows = rows.to(self.device)
        if isinstance(self.spec, ImageSpec):
            image_config = augmentation if isinstance(augmentation, ImageAugmentConfig) else None
            return self._faces(rows, self.spec, image_config, generator)
        config = augmentation if isinstance(augmentation, SpecAugmentConfig) else None
        lengths = self._features.lengths[rows]
        start = torch.zeros_like(lengths)
        if config is not None and generator is not None and config.crop < 1:
            share = torch.rand(2, len(rows), generator=generator).to(self.device)
            cropped = (lengths * (config.crop + (1 - config.crop) * share[0])).long().clamp(min=1)
            start, lengths = ((lengths - cropped + 1) * share[1]).long(), cropped
        features = self._features.gather(rows, start, lengths)
        if config is not None and generator is not None:
            features = self._spec_augment(features, lengths, config, generator)
        tokens, token_lengths = self._cut_tokens(rows, start, lengths)
        return self._assemble(rows, features, lengths, tokens, token_lengths)

    def _assemble(
        self,
        rows: Tensor,
        features: Tensor,
        lengths: Tensor,
        tokens: Tensor | None,
        token_lengths: Tensor,
    ) -> Batch:
        return Batch(
            features=features,
            lengths=lengths,
            embedding=None if self._embedding is None else self._embedding[rows],
            tokens=tokens,
            token_lengths=token_lengths,
            **{name: values[rows] for name, values in self._targets.items()},
        )

    def _faces(
        self,
        rows: Tensor,
        spec: ImageSpec,
        config: ImageAugmentConfig | None,
        generator: torch.Generator | None,
    ) -> Batch:
        lengths = self._features.lengths[rows]
        flat = self._features.gather(rows, torch.zeros_like(lengths), lengths)
        faces = flat.view(len(rows), spec.size, spec.size, spec.channels)
        if config is None or generator is None:
            faces = image_augment.normalize(faces, spec)
            return self._assemble(rows, faces, lengths, None, torch.zeros_like(lengths))
        faces = image_augment.augment_images(faces, spec, config, generator)
        batch = self._assemble(rows, faces, lengths, None, torch.zeros_like(lengths))
        mixes = torch.rand(2, generator=generator)
        return _mix_pairs(batch, float(mixes[1]) / 2) if float(mixes[0]) < config.mixup_p else batch

    def _cut_tokens(
        self, rows: Tensor, start: Tensor, lengths: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        if self._tokens is None:
            return None, torch.zeros_like(lengths)
        assert isinstance(self.spec, FeatureSpec)  # faces have no tokens
        ratio = self.spec.hop / self.spec.sample_rate * self.token_rate
        first = (start * ratio).round().long().minimum(self._tokens.lengths[rows] - 1)
        count = (lengths * ratio).round().long().clamp(min=1)
        count = count.minimum(self._tokens.lengths[rows] - first)
        tokens = self._tokens.gather(rows, first, count)
        assert self._token_moments is not None
        mean, sd = self._token_moments
        return (tokens - mean) / sd, count

    def _spec_augment(
        self, x: Tensor, lengths: Tensor, config: SpecAugmentConfig, generator: torch.Generator
    ) -> Tensor:
        mask = time_mask(lengths, x.shape[1])[..., None]
        assert isinstance(self.spec, FeatureSpec)
        if config.gain_db > 0 and self.spec.prenorm == "none":
            shift = (2 * torch.rand(len(x), generator=generator) - 1) * config.gain_db
            x = x + (shift * decibel(self.spec)).to(x.device)[:, None, None]
        for _ in range(config.time_masks):
            masked = _masks(lengths, x.shape[1], config.time_share, generator)
            x = torch.where(masked[:, :, None], self.mean, x)
        bands = torch.full_like(lengths, x.shape[2])
        for _ in range(config.band_masks):
            masked = _masks(bands, x.shape[2], config.band_share, generator)
            x = torch.where(masked[:, None, :], self.mean, x)
        return x * mask


class _Block:
    """A Ragged on a device."""

    def __init__(self, ragged: Ragged, device: str) -> None:
        # The block may be a read-only view of a file's bytes, shared by several selections.
        values = ragged.values if ragged.values.flags.writeable else ragged.values.copy()
        self.values = torch.from_numpy(values).to(device)
        self.starts = torch.from_numpy(ragged.starts.copy()).to(device)
        self.lengths = torch.from_numpy(ragged.lengths.copy()).to(device)

    def gather(self, rows: Tensor, start: Tensor, lengths: Tensor) -> Tensor:
        """[B, longest, K] float32, 0 on padding."""
        longest = int(lengths.max())
        step = torch.arange(longest, device=rows.device)[None]
        index = (self.starts[rows] + start)[:, None] + step
        inside = step < lengths[:, None]
        gathered = self.values.index_select(0, torch.where(inside, index, 0).reshape(-1)).float()
        return gathered.view(len(rows), longest, -1) * inside[..., None]

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation [K] over rows spread evenly through the block."""
        step = max(1, len(self.starts) // _ENOUGH)
        picked = [
            self.values[s : s + n]
            for s, n in zip(
                self.starts[::step].tolist(), self.lengths[::step].tolist(), strict=True
            )
        ]
        values = torch.cat(picked).float()
        return values.mean(0), values.std(0).clamp(min=1e-3)


def _mix_pairs(batch: Batch, share: float) -> Batch:
    """Mixup: each row with `share` of the row at the other end of the batch, and of its targets.

    Where one of the two has no votes, the mixture has none; annotated dimensions and intervals of
    a mixture are not known.

    Source: H. Zhang et al., mixup: Beyond empirical risk minimization, arXiv 1710.09412.
    """

    def mix(x: Tensor) -> Tensor:
        return torch.lerp(x, x.flip(0), share)

    return replace(
        batch,
        features=mix(batch.features),
        dimensions=mix(batch.dimensions),
        probs=mix(batch.probs),
        votes=mix(batch.votes),
        votes_weight=mix(batch.votes_weight),
        human_dimensions=torch.full_like(batch.human_dimensions, torch.nan),
        intervals=torch.full_like(batch.intervals, torch.nan),
        embedding=None if batch.embedding is None else mix(batch.embedding),
    )


def decibel(spec: FeatureSpec) -> float:
    """By how much one decibel of level shifts the features of `spec` (above the floor)."""
    unit = 1.0 if spec.log == "db" else math.log(10) / 10
    return unit if spec.spectrum == "power" else unit / 2


def _masks(lengths: Tensor, size: int, share: float, generator: torch.Generator) -> Tensor:
    """[B, size] bool: one stretch of at most `share` of each length, at a random place."""
    draw = torch.rand(2, len(lengths), generator=generator).to(lengths.device)
    width = draw[0] * share * lengths
    first = draw[1] * (lengths - width)
    at = torch.arange(size, device=lengths.device)[None]
    return (at >= first[:, None]) & (at < (first + width).floor()[:, None])
