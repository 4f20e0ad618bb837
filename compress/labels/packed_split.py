"""Packed rows divided into train, valid and test, by group, without reading what they hold."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from edgeemo.artifacts.trained_on import MODEL, MOST_CLIPS, HashSet, TrainedOn, make, speaker_hash
from edgeemo.errors import BadData, BadInput, counted

from ..data.splits import assign_splits
from ..recipes import Recipe
from .dataset import LabelledDataset
from .layout import SPLITS
from .packed import Ints, Packed, RowGroup

HELD_OUT = 2000
"""Most rows of the valid split, and of the test split: more would say little more."""

SAMPLE_GROUPS = 8
"""Row groups, spread over all, whose rows stand for the training split where some are enough."""

STAGE_GROUPS = 32
"""The same where heads or fine-tuning follow, which are trained on these rows."""

ANNOTATED = 4096
"""Most annotated rows that fine-tuning is trained on."""


def split_packed(packed: Packed, recipe: Recipe) -> PackedRows:
    """Divide the rows into train, valid and test; nobody is in two of them.

    Args:
        packed: the folder.
        recipe: its seed and shares say how; the groups are those that `split_as_published`
            gives for the clips themselves.

    Raises:
        BadData: too few people, or files that are damaged.
    """
    table = packed.groups()
    names = table["name"].to_pylist()
    counts = np.stack([table[s or "none"].to_numpy() for s in SPLITS], axis=1)
    by_name = {
        name: {SPLITS[s]: int(row[s]) for s in range(len(SPLITS)) if row[s]}
        for name, row in zip(names, counts, strict=True)
    }
    try:
        places, once = assign_splits(by_name, recipe.seed, recipe.data.shares)
    except BadInput as error:
        people = counted(len(names), "person", "people")
        raise BadData(f"{packed.folder}: {people}: {error}") from None
    place = np.full(counts.shape, -1, np.int8)
    codes = {name: number for number, name in enumerate(names)}
    for (name, split), where in places.items():
        place[codes[name], SPLITS.index(split)] = where
    taught = np.isin(place, (0, 1)) & (counts > 0)
    people = pc.list_flatten(table["speakers"].filter(pa.array(taught.any(1)))).to_pylist()
    # As `splits.is_one_picture` has it.
    persons = zip(names, table["speakers"].to_pylist(), strict=True)
    alike = np.array([recipe.task == "face" and named != [name] for name, named in persons])
    return PackedRows(packed, recipe, _Scan.of(packed, place, counts, once, alike), people)


@dataclass(frozen=True)
class _Scan:
    """Where the rows of each split are.

    Attributes:
        train: rows of each row group that distillation is trained on.
        annotated: annotated ones, with the copies that are made for fine-tuning.
        valid, test: rows of copy 0, at most HELD_OUT.
        clips: of each split.
        hashes: of clips of the splits train and valid, those with the smallest numbers.
    """

    train: list[RowGroup]
    annotated: list[RowGroup]
    valid: list[RowGroup]
    test: list[RowGroup]
    clips: Mapping[str, int]
    hashes: set[int]

    @classmethod
    def of(
        cls, packed: Packed, place: Ints, counts: Ints, once: frozenset[int], alike: Ints
    ) -> _Scan:
        """Look at the rows of all files.

        Args:
            packed: the folder.
            place: [groups, splits], 0 (train), 1 (valid), 2 (test) or -1.
            counts: [groups, splits], clips.
            once: those of the three to which a group of equal pictures gives one.
            alike: [groups], bool, whether a group is of equal pictures.
        """
        clips = {
            name: int(counts[place == number].sum())
            for number, name in enumerate(("train", "valid", "test"))
        }
        scan = cls([], [], [], [], clips, set())
        # Of a second clip's group all clips must be in the row's split.
        low = np.where(counts > 0, place, 9).min(1)
        high = np.where(counts > 0, place, -9).max(1)
        partner_place = np.append(np.where(low == high, low, -1), [-1, -1])
        seen: set[int] = set()
        columns = ("copy", "clip_hash", "group", "partner", "split", "annotated", "extra")
        for number, table in packed.tables(columns):
            try:
                for at, chunk in enumerate(_by_row_group(packed, number, table)):
                    c = {name: chunk[name].to_numpy() for name in columns}
                    if min(c["group"].min(), c["split"].min(), c["partner"].min() + 2) < 0:
                        raise IndexError("a number of a group or split is below 0")
                    where = place[c["group"], c["split"]]
                    mixed = c["partner"] != -1
                    where = np.where(mixed & (partner_place[c["partner"]] != where), -1, where)
                    c["alike"] = alike[c["group"]]
                    scan._add(RowGroup(number, at, where), c, once, seen)
            except (pa.ArrowException, OSError, IndexError, TypeError, ValueError) as error:
                raise packed.damaged(packed.index.files[number].name, error) from None
        return scan

    def _add(
        self, group: RowGroup, columns: Mapping[str, Ints], once: frozenset[int], seen: set[int]
    ) -> None:
        where = group.rows
        train = where == 0
        taught = columns["clip_hash"][train | (where == 1)]
        self.hashes.update(np.unique(taught).tolist())
        # One more than a card keeps tells where the sample ends.
        self.hashes.intersection_update(heapq.nsmallest(MOST_CLIPS + 1, self.hashes))
        self.train.append(group._replace(rows=np.flatnonzero(train & ~columns["extra"])))
        if sum(len(g.rows) for g in self.annotated) < ANNOTATED:
            rows = np.flatnonzero(train & columns["annotated"].astype(bool))
            self.annotated.append(group._replace(rows=rows))
        for number, rows_of in ((1, self.valid), (2, self.test)):
            room = HELD_OUT - sum(len(g.rows) for g in rows_of)
            if room <= 0:
                continue
            rows = np.flatnonzero((where == number) & (columns["copy"] == 0))
            if number in once:
                group_of, alike = columns["group"], columns["alike"]
                kept = [i for i in rows if not alike[i] or _is_first(group_of[i], seen)]
                rows = np.array(kept, np.int64)
            rows_of.append(group._replace(rows=rows[:room]))


def _is_first(group: int, seen: set[int]) -> bool:
    new = group not in seen
    seen.add(group)
    return new


def _by_row_group(packed: Packed, number: int, table: Any) -> Iterator[Any]:
    """Parts of a table, as long as the file's row groups."""
    meta = pq.read_metadata(packed.folder / packed.index.files[number].name)
    at = 0
    for group in range(meta.num_row_groups):
        rows = meta.row_group(group).num_rows
        yield table.slice(at, rows).combine_chunks()
        at += rows


class PackedRows:
    """Packed rows, split.

    Args:
        packed: the folder.
        recipe: of the training.
        scan: where the rows are.
        people: speakers of the splits train and valid.

    Raises:
        BadData: fewer than two rows of a split.
    """

    def __init__(self, packed: Packed, recipe: Recipe, scan: _Scan, people: Sequence[str]) -> None:
        self.packed, self.recipe, self._scan, self._people = packed, recipe, scan, people
        self.spec = packed.index.settings.features
        self.train = scan.train
        self.clips = scan.clips
        for name in ("train", "valid", "test"):
            count = sum(len(group.rows) for group in getattr(scan, name))
            if count < 2 and (name != "test" or recipe.data.test or count):
                raise BadData(
                    f"{packed.folder}: the split {name!r} gets {counted(count, 'row')} and needs "
                    "2: give clips of more people"
                )

    @cached_property
    def valid(self) -> LabelledDataset:
        """Rows that choose the epoch."""
        return self.packed.rows(self._scan.valid, clips=True, sound=True)

    @cached_property
    def test(self) -> LabelledDataset:
        """Rows of people on whom nothing is chosen; none where the recipe holds nobody out."""
        if not any(len(group.rows) for group in self._scan.test):
            return self.valid.take(np.arange(0))
        return self.packed.rows(self._scan.test, clips=True, sound=True)

    @cached_property
    def sample(self) -> LabelledDataset:
        """Some rows of the training split, spread over all."""
        stages = self.recipe.heads or self.recipe.finetune
        return self.packed.rows(self._spread(STAGE_GROUPS if stages else SAMPLE_GROUPS), clips=True)

    @cached_property
    def finetune(self) -> LabelledDataset | None:
        """Annotated rows of the training split with all their copies, and others beside them."""
        if self.recipe.finetune is None:
            return None
        merged: dict[tuple[int, int], Ints] = {}
        for group in (*self._scan.annotated, *self._spread(STAGE_GROUPS)):
            before = merged.get(group[:2], np.empty(0, np.int64))
            merged[group[:2]] = np.union1d(before, group.rows)
        groups = (RowGroup(*place, rows) for place, rows in sorted(merged.items()))
        return self.packed.rows(groups, clips=True)

    @cached_property
    def exposure(self) -> TrainedOn:
        """Speakers and clips that a student is trained on, for its card."""
        return make(
            HashSet({speaker_hash(name): MODEL for name in self._people}),
            HashSet(dict.fromkeys(self._scan.hashes, MODEL)),
            (corpus.name for corpus in self.packed.index.corpora),
        )

    @property
    def identity(self) -> bytes:
        """What a checkpoint of a training on these rows belongs to."""
        return self.packed.digest.encode()

    def read(self, groups: Iterable[RowGroup]) -> LabelledDataset:
        """Rows to train on; what is known of their clips is not read."""
        return self.packed.rows(groups)

    def _spread(self, most: int) -> list[RowGroup]:
        filled = [group for group in self.train if len(group.rows)]
        at = np.linspace(0, len(filled) - 1, min(most, len(filled)))
        return [filled[i] for i in np.unique(at.astype(int))]
