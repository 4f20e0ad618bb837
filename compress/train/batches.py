"""Labelled rows as batches of tensors: order, padding, and mild changes of the features."""

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
"""Rows from which mean and spread of features and tokens are taken."""


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
    """

    def __init__(self, rows: LabelledDataset, device: str = "cpu") -> None:
        self.device = device
        self.spec = rows.spec
        self.token_rate = rows.token_rate
        self._features = _Block(rows.features, device)
        self._tokens = None if rows.tokens is None else _Block(rows.tokens, device)
        self._plain = {
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
        self.mean, self.sd = self._features.moments()
        self._embedding: Tensor | None = None
        if rows.embedding is not None:
            held = torch.from_numpy(rows.embedding.astype(np.float32)).to(device)
            self._embedding = (held - held.mean(0)) / (held.std(0) + 1e-4)
        if self._tokens is not None:
            self._token_mean, self._token_sd = self._tokens.moments()

    def __len__(self) -> int:
        return len(self._features.lengths)

    @property
    def lengths(self) -> Tensor:
        """[N], int64, frames of each row."""
        return self._features.lengths

    @property
    def votes(self) -> Tensor:
        """[N, 8], all rows' votes."""
        return self._plain["votes"]

    def order(self, batch: int, generator: torch.Generator) -> list[Tensor]:
        """Row numbers of each batch of an epoch: every row once, sizes equal within one."""
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
        how: SpecAugmentConfig | ImageAugmentConfig | None = None,
        generator: torch.Generator | None = None,
    ) -> Batch:
        """Assemble rows; with `how` (for faces ImageAugmentConfig) and a generator, changed."""
        rows = rows.to(self.device)
        if isinstance(self.spec, ImageSpec):
            look = how if isinstance(how, ImageAugmentConfig) else None
            return self._faces(rows, self.spec, look, generator)
        regular = how if isinstance(how, SpecAugmentConfig) else None
        lengths = self._features.lengths[rows]
        start = torch.zeros_like(lengths)
        if regular is not None and generator is not None and regular.crop < 1:
            share = torch.rand(2, len(rows), generator=generator).to(self.device)
            kept = (lengths * (regular.crop + (1 - regular.crop) * share[0])).long().clamp(min=1)
            start, lengths = ((lengths - kept + 1) * share[1]).long(), kept
        features = self._features.gather(rows, start, lengths)
        if regular is not None and generator is not None:
            features = self._change(features, lengths, regular, generator)
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
            **{name: held[rows] for name, held in self._plain.items()},
        )

    def _faces(
        self,
        rows: Tensor,
        spec: ImageSpec,
        look: ImageAugmentConfig | None,
        generator: torch.Generator | None,
    ) -> Batch:
        lengths = self._features.lengths[rows]
        flat = self._features.gather(rows, torch.zeros_like(lengths), lengths)
        faces = flat.view(len(rows), spec.size, spec.size, spec.channels)
        if look is None or generator is None:
            faces = image_augment.normalize(faces, spec)
            return self._assemble(rows, faces, lengths, None, torch.zeros_like(lengths))
        faces = image_augment.change(faces, spec, look, generator)
        batch = self._assemble(rows, faces, lengths, None, torch.zeros_like(lengths))
        mixes = torch.rand(2, generator=generator)
        return _mixed(batch, float(mixes[1]) / 2) if float(mixes[0]) < look.mixup_p else batch

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
        return (tokens - self._token_mean) / self._token_sd, count

    def _change(
        self, x: Tensor, lengths: Tensor, regular: SpecAugmentConfig, generator: torch.Generator
    ) -> Tensor:
        mask = time_mask(lengths, x.shape[1])[..., None]
        assert isinstance(self.spec, FeatureSpec)
        if regular.gain_db > 0 and self.spec.prenorm == "none":
            shift = (2 * torch.rand(len(x), generator=generator) - 1) * regular.gain_db
            x = x + (shift * decibel(self.spec)).to(x.device)[:, None, None]
        for _ in range(regular.time_masks):
            hole = _holes(lengths, x.shape[1], regular.time_share, generator)
            x = torch.where(hole[:, :, None], self.mean, x)
        bands = torch.full_like(lengths, x.shape[2])
        for _ in range(regular.band_masks):
            hole = _holes(bands, x.shape[2], regular.band_share, generator)
            x = torch.where(hole[:, None, :], self.mean, x)
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
        found = self.values.index_select(0, torch.where(inside, index, 0).reshape(-1)).float()
        return found.view(len(rows), longest, -1) * inside[..., None]

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation [K] over rows spread evenly through the block."""
        step = max(1, len(self.starts) // _ENOUGH)
        picked = [
            self.values[s : s + n]
            for s, n in zip(
                self.starts[::step].tolist(), self.lengths[::step].tolist(), strict=True
            )
        ]
        held = torch.cat(picked).float()
        return held.mean(0), held.std(0).clamp(min=1e-3)


def _mixed(batch: Batch, share: float) -> Batch:
    """Each row with `share` of the row that stands opposite, and of what was said about it.

    Nobody has seen the mixture, but votes and probabilities of both are what a net should say.
    Where one of the two has no votes, the mixture has none.
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


def _holes(lengths: Tensor, size: int, share: float, generator: torch.Generator) -> Tensor:
    """[B, size] bool: one stretch of at most `share` of each length, at a random place."""
    draw = torch.rand(2, len(lengths), generator=generator).to(lengths.device)
    width = draw[0] * share * lengths
    first = draw[1] * (lengths - width)
    at = torch.arange(size, device=lengths.device)[None]
    return (at >= first[:, None]) & (at < (first + width).floor()[:, None])
