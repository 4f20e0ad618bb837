"""Rows to train on, window by window: all of them in memory, or packed ones as a stream.

A window is what is shuffled together. Rows in memory are one window; packed rows are read by a
thread, some row groups at a time, in an order that the epoch draws. Training is one loop for both.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from edgeemo.errors import BadData

from .. import distributed
from ..labels.dataset import LabelledDataset
from ..labels.packed import RowGroup
from ..labels.packed_split import PackedRows
from .batches import Batches

WINDOW = 8
"""Row groups that are held and shuffled together: 2,048 rows of speech are some 60 MB."""

Windows = Generator[Batches, None, None]


class Epoch(Protocol):
    """One pass over the rows.

    Attributes:
        rows: of all processes.
        steps: of the optimizer, the same in all processes.
    """

    rows: int
    steps: int

    def windows(self, first: int) -> Windows:
        """What this process is trained on, from window number `first` on."""

    def order(self, window: Batches, generator: torch.Generator) -> list[Tensor]:
        """Row numbers of this process's share of each batch of a window.

        Args:
            window: from `windows`.
            generator: draws the order; the same state in all processes.
        """


class TrainingRows(Protocol):
    """Rows of one training split.

    Attributes:
        sample: some of them, or all: norms and projections begin with these.
    """

    sample: Batches

    def epoch(self, batch: int, seed: int) -> Epoch:
        """Plan one pass.

        Args:
            batch: rows of a batch, over all processes.
            seed: of the order of windows.
        """


def training_rows(rows: LabelledDataset | PackedRows, device: str) -> TrainingRows:
    """Rows for the training loop.

    Args:
        rows: in memory or packed.
        device: where the batches are wanted.
    """
    return PackedStream(rows, device) if isinstance(rows, PackedRows) else InMemory(rows, device)


class InMemory:
    """All rows as one window; the processes share each batch."""

    def __init__(self, rows: LabelledDataset, device: str) -> None:
        self.sample = Batches(rows, device)

    def epoch(self, batch: int, seed: int) -> Epoch:
        """See TrainingRows."""
        rows = len(self.sample)
        return _OneWindow(self.sample, batch, rows, max(1, round(rows / batch)))


@dataclass
class _OneWindow:
    window: Batches
    batch: int
    rows: int
    steps: int

    def windows(self, first: int) -> Windows:
        if first == 0:
            yield self.window

    def order(self, window: Batches, generator: torch.Generator) -> list[Tensor]:
        batches = window.order(self.batch, generator)
        return [rows[distributed.rank() :: distributed.world()] for rows in batches]


class PackedStream:
    """Packed rows; the processes share the row groups.

    Args:
        rows: of the training split.
        device: where the batches are wanted.
    """

    def __init__(self, rows: PackedRows, device: str) -> None:
        self._rows, self._device = rows, device
        self.sample = Batches(rows.sample, device)

    def epoch(self, batch: int, seed: int) -> Epoch:
        """See TrainingRows.

        Raises:
            BadData: there is not a row group for each process.
        """
        filled = [group for group in self._rows.train if len(group.rows)]
        order = np.random.default_rng(seed).permutation(len(filled))
        mine = [filled[i] for i in order[distributed.rank() :: distributed.world()]]
        cut = [mine[i : i + WINDOW] for i in range(0, len(mine), WINDOW)]
        # A window of one row has nothing to be compared with.
        cut = [groups for groups in cut if sum(len(group.rows) for group in groups) > 1]
        share = max(1, batch // distributed.world())
        steps = min(distributed.gather(sum(_batches(groups, share) for groups in cut)))
        if not steps:
            raise BadData(
                f"{len(filled)} row groups for {distributed.world()} processes; start fewer"
            )
        rows = sum(len(group.rows) for group in filled)
        return _StreamedEpoch(self._rows, self.sample, self._device, cut, share, rows, steps)


@dataclass
class _StreamedEpoch:
    packed: PackedRows
    sample: Batches
    device: str
    cut: list[list[RowGroup]]
    share: int
    rows: int
    steps: int

    def windows(self, first: int) -> Windows:
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self._read, first) if first < len(self.cut) else None
            for number in range(first, len(self.cut)):
                assert ahead is not None
                window = ahead.result()
                if number + 1 < len(self.cut):
                    ahead = pool.submit(self._read, number + 1)
                yield window

    def order(self, window: Batches, generator: torch.Generator) -> list[Tensor]:
        return window.order(self.share, generator)

    def _read(self, number: int) -> Batches:
        return Batches(self.packed.read(self.cut[number]), self.device, self.sample)


def _batches(groups: Sequence[RowGroup], share: int) -> int:
    """As many as Batches.order gives."""
    return max(1, round(sum(len(group.rows) for group in groups) / share))
