"""Clips that a teacher has labelled, as arrays: what training reads."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import BadInput
from edgeemo.features import FeatureSpec
from edgeemo.types import CLASSES, DIMENSIONS
from edgeemo.vision.images import ImageSpec

from ..data.clips import NO_BYTES, Clip
from ..data.intervals import interval

Floats = NDArray[np.float32]

Progress = Callable[[str, int, int], None]
"""Called with (what, done, total), while rows are labelled or trained on."""


@dataclass(frozen=True)
class Ragged:
    """N arrays of different length and one width, in one block that selections share.

    Attributes:
        values: float16 [sum of lengths, K]; uint8 for pictures, whose rows are its rows.
        starts: int64 [N], first row of each array.
        lengths: int64 [N].
    """

    values: NDArray[Any]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, arrays: list[NDArray[Any]]) -> Ragged:
        """Put arrays [T_i, K] behind each other."""
        lengths = np.array([len(a) for a in arrays], np.int64)
        starts = np.concatenate([[0], lengths.cumsum()[:-1]]).astype(np.int64)
        return cls(np.concatenate(arrays), starts, lengths)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, i: int) -> NDArray[Any]:
        """Array i, [T_i, K], a view."""
        return self.values[self.starts[i] : self.starts[i] + self.lengths[i]]

    def take(self, rows: NDArray[Any]) -> Ragged:
        """The chosen arrays; the block is shared, not copied."""
        return Ragged(self.values, self.starts[rows], self.lengths[rows])


@dataclass(frozen=True)
class LabelledDataset:
    """N labelled rows; a row is one copy of a clip.

    Unknown numbers are NaN. Annotators' labels are NaN on mixtures of two clips: nobody has
    annotated these.

    Attributes:
        spec: of `features`.
        clips: object [N], the Clip of each row.
        copy: int [N], 0 is the clip as it is.
        partner: str [N], group of the second clip that is mixed into the row, or "". Such a row
            belongs to both groups wherever data is split by speaker.
        features: log-mel of each row, float16; or the face that `edgeemo.vision.images.crop_face`
            gives, uint8 [size, size * channels].
        level: float32 [N], mean of the row's logmel40: how loud it is, natural log; NaN for faces.
        dimensions: float32 [N, 3], the teacher's arousal, dominance and valence; what students are
            trained on. A teacher of faces gives no dominance: that column is NaN.
        probs: float32 [N, 8], the teacher's.
        embedding: float16 [N, E] or None, the teacher's.
        tokens: the teacher's, at `token_rate` a second, or None.
        human_dimensions: float32 [N, 3], means of annotators.
        votes: float32 [N, 8], shares of annotators.
        votes_weight: float32 [N], share of the annotators that `votes` speaks for.
        intervals: float32 [N, 3, 2], where annotators put the clip's category.
        skipped: clips that could not be read or were too short.
    """

    spec: FeatureSpec | ImageSpec
    clips: NDArray[np.object_]
    copy: NDArray[np.int64]
    partner: NDArray[np.str_]
    features: Ragged
    level: Floats
    dimensions: Floats
    probs: Floats
    embedding: NDArray[np.float16] | None
    tokens: Ragged | None
    token_rate: float
    human_dimensions: Floats
    votes: Floats
    votes_weight: Floats
    intervals: Floats
    skipped: int = field(default=0)

    def __len__(self) -> int:
        return len(self.clips)

    def column(self, name: str) -> NDArray[np.object_]:
        """An attribute of each row's clip, for example "speaker"; object [N]."""
        return np.array([getattr(clip, name) for clip in self.clips], dtype=object)

    def take(self, rows: NDArray[Any]) -> LabelledDataset:
        """Chosen rows: numbers, or a mask [N]. Features and tokens are shared, not copied."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        changed: dict[str, Any] = {
            name: getattr(self, name)[rows]
            for name in (
                "clips",
                "copy",
                "partner",
                "level",
                "dimensions",
                "probs",
                "human_dimensions",
                "votes",
                "votes_weight",
                "intervals",
            )
        }
        changed["features"] = self.features.take(rows)
        if self.embedding is not None:
            changed["embedding"] = self.embedding[rows]
        if self.tokens is not None:
            changed["tokens"] = self.tokens.take(rows)
        return replace(self, **changed)

    def of_groups(self, groups: Collection[str], *, augmented: bool = True) -> LabelledDataset:
        """Rows in which only people of `groups` speak or are seen.

        Args:
            groups: values of Clip.group.
            augmented: with the augmented copies; without, copy 0 alone (for valid and test).
        """
        chosen = set(groups)
        keep = np.array([g in chosen for g in self.column("group")], bool)
        keep &= np.array([p == "" or p in chosen for p in self.partner], bool)
        return self.take(keep if augmented else keep & (self.copy == 0))

    def with_sound(self) -> LabelledDataset:
        """Rows whose clip's sound is at hand: of packed labels some; pictures are all."""
        if isinstance(self.spec, ImageSpec):
            return self
        return self.take(np.array([c.span != NO_BYTES for c in self.clips], bool))

    def with_dimensions(self, dimensions: Floats) -> LabelledDataset:
        """The same rows with other dimensions, for example by a teacher of one fold.

        Args:
            dimensions: [N, 3].

        Raises:
            BadInput: another shape.
        """
        dimensions = np.asarray(dimensions, np.float32)
        if dimensions.shape != self.dimensions.shape:
            raise BadInput(
                f"dimensions of shape {list(dimensions.shape)}; "
                f"expected {list(self.dimensions.shape)}"
            )
        return replace(self, dimensions=dimensions)

    def with_probs(self, probs: Floats) -> LabelledDataset:
        """The same rows with other class probabilities.

        Args:
            probs: [N, 8].

        Raises:
            BadInput: another shape.
        """
        probs = np.asarray(probs, np.float32)
        if probs.shape != self.probs.shape:
            raise BadInput(f"probs of shape {list(probs.shape)}; expected {list(self.probs.shape)}")
        return replace(self, probs=probs)


def human_labels(clips: NDArray[np.object_], mixed: NDArray[np.bool_]) -> dict[str, Floats]:
    """Annotators' labels of each clip, as arrays by name of LabelledDataset's attributes.

    Args:
        clips: object [N].
        mixed: [N], rows into which a second clip is mixed; they get NaN.
    """
    n = len(clips)
    out = {
        "human_dimensions": np.full((n, len(DIMENSIONS)), np.nan, np.float32),
        "votes": np.full((n, len(CLASSES)), np.nan, np.float32),
        "votes_weight": np.ones(n, np.float32),
        "intervals": np.full((n, len(DIMENSIONS), 2), np.nan, np.float32),
    }
    for i, clip in enumerate(clips):
        if not mixed[i]:
            _fill(out, i, clip)
    return out


def _fill(out: dict[str, Floats], i: int, clip: Clip) -> None:
    if clip.dimensions is not None:
        out["human_dimensions"][i] = clip.dimensions
    if clip.votes is not None:
        out["votes"][i] = [clip.votes.get(name, 0.0) for name in CLASSES]
        out["votes_weight"][i] = 1 - clip.other
    bounds = interval(clip.emotion) if clip.emotion else None
    if bounds is not None:
        out["intervals"][i] = bounds
