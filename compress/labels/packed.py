"""Packed labels as training reads them: split by group from the index, row groups by number."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edgeemo.artifacts.trained_on import MODEL, MOST_CLIPS, HashSet, TrainedOn, make, speaker_hash
from edgeemo.errors import BadData, BadInput
from edgeemo.io.files import confined

from ..data.clips import NO_BYTES, Blob, Clip, DataSet
from ..data.splits import assign_splits
from ..recipes import Recipe
from ._arrow import dataset_of
from .clip_text import read_clip
from .dataset import LabelledDataset
from .layout import GROUPS, INDEX, SOUND, SPLITS, PackedIndex, read_json

HELD_OUT = 2000
"""Most rows of the valid split, and of the test split: more would say little more."""

SAMPLE_GROUPS = 8
"""Row groups, spread over all, whose rows stand for the training split where some are enough."""

STAGE_GROUPS = 32
"""The same where heads or fine-tuning follow, which are trained on these rows."""

ANNOTATED = 4096
"""Most annotated rows that fine-tuning is trained on."""

_TARGETS = (
    *("mixed", "level", "features", "adv", "probs", "embedding", "tokens", "width", "rate"),
    *("copy", "human_dimensions", "votes", "votes_weight", "intervals"),
)

Ints = NDArray[np.integer[Any]]


class RowGroup(NamedTuple):
    """Some rows of a row group.

    Attributes:
        file: number of the file.
        group: number in it.
        rows: of the row group that are meant.
    """

    file: int
    group: int
    rows: Ints


class Packed:
    """A folder that `edgeemo label --pack` made.

    Args:
        folder: with index.json. Its files are looked at, not read.

    Raises:
        BadData: no such folder, a damaged index, or files that are not those of the index.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / INDEX).is_file():
            raise BadData(
                f"{folder} holds no {INDEX}; make one with: edgeemo label --pack LABELS --out DIR"
            )
        self.index: PackedIndex = read_json(folder / INDEX, PackedIndex)
        self.digest = hashlib.sha256((folder / INDEX).read_bytes()).hexdigest()
        self._paths = [self._path(file.name) for file in self.index.files]
        for path, file in zip(self._paths, self.index.files, strict=True):
            size = path.stat().st_size if path.is_file() else None
            if size != file.bytes:
                there = "is missing" if size is None else f"has {size} bytes"
                raise BadData(
                    f"{path} {there}; {INDEX} says {file.bytes} bytes: copy the folder again, "
                    "or pack the labels again"
                )

    def __repr__(self) -> str:
        rows = sum(file.rows for file in self.index.files)
        return f"Packed({str(self.folder)!r}, {rows} rows, {self.index.groups} people)"

    def _path(self, name: str) -> Path:
        try:
            return confined(self.folder, name, plain=True)
        except ValueError as error:
            raise BadData(f"{self.folder / INDEX}: {error}") from None

    @property
    def data(self) -> DataSet:
        """Corpora and licences, with a clip that stands for each, as reports and cards ask."""
        task = self.index.settings.task
        clips = (
            Clip(f"{c.name}, {c.licence}", c.name, c.name, NO_BYTES, licence=c.licence, task=task)
            for c in self.index.corpora
        )
        return DataSet(self.index.name, tuple(clips))

    def split(self, recipe: Recipe) -> PackedRows:
        """Divide the rows into train, valid and test; nobody is in two of them.

        Args:
            recipe: its seed and shares say how; the groups are those that `split_as_published`
                gives for the clips themselves.

        Raises:
            BadData: too few people, or files that are damaged.
        """
        table = self._groups()
        names = table["name"].to_pylist()
        counts = np.stack([table[s or "none"].to_numpy() for s in SPLITS], axis=1)
        by_name = {
            name: {SPLITS[s]: int(row[s]) for s in range(len(SPLITS)) if row[s]}
            for name, row in zip(names, counts, strict=True)
        }
        try:
            places, once = assign_splits(by_name, recipe.seed, recipe.data.shares)
        except BadInput as error:
            raise BadData(f"{self.folder}: {len(names)} people: {error}") from None
        if recipe.task == "speech":  # a group is a person, whose clips all count
            once = frozenset()
        place = np.full(counts.shape, -1, np.int8)
        codes = {name: number for number, name in enumerate(names)}
        for (name, split), where in places.items():
            place[codes[name], SPLITS.index(split)] = where
        taught = np.isin(place, (0, 1)) & (counts > 0)
        people = pc.list_flatten(table["speakers"].filter(pa.array(taught.any(1)))).to_pylist()
        return PackedRows(self, recipe, _Scan.of(self, place, counts, once), people)

    def _groups(self) -> Any:
        try:
            table = pq.read_table(self.folder / GROUPS)
            table.select(["name", "speakers", *(s or "none" for s in SPLITS)])
        except (pa.ArrowException, OSError, KeyError) as error:
            raise self.damaged(GROUPS, error) from None
        if len(table) != self.index.groups:
            raise self.damaged(GROUPS, f"{len(table)} groups, {INDEX} says {self.index.groups}")
        return table

    def damaged(self, name: str, why: object) -> BadData:
        """The error to raise for a file that does not hold what it should.

        Args:
            name: of the file, inside the folder.
            why: what went wrong.
        """
        return BadData(
            f"{self.folder / name}: damaged ({' '.join(str(why).split())[:120]}); copy the folder "
            "again, or pack the labels again"
        )

    def tables(self, columns: Sequence[str]) -> Iterator[tuple[int, Any]]:
        """Number and some columns of each file, one chunk for a row group."""
        for number, file in enumerate(self.index.files):
            try:
                table = pq.read_table(self._paths[number], columns=list(columns))
                table.select(columns)
            except (pa.ArrowException, OSError, KeyError) as error:
                raise self.damaged(file.name, error) from None
            if len(table) != file.rows:
                raise self.damaged(file.name, f"{len(table)} rows, {INDEX} says {file.rows}")
            yield number, table

    def row_group(self, group: RowGroup, columns: Sequence[str]) -> Any:
        """The rows of a RowGroup as a table of Arrow.

        Args:
            group: file, number and wanted rows.
            columns: their names.

        Raises:
            BadData: the file does not hold what the index says.
        """
        name = self.index.files[group.file].name
        try:
            with pq.ParquetFile(self._paths[group.file]) as file:
                table = file.read_row_group(group.group, columns=list(columns)).select(columns)
            return table if len(table) == len(group.rows) else table.take(pa.array(group.rows))
        except (pa.ArrowException, OSError, KeyError, IndexError) as error:
            raise self.damaged(name, error) from None

    def rows(
        self, groups: Iterable[RowGroup], *, clips: bool = False, sound: bool = False
    ) -> LabelledDataset:
        """Read rows.

        Args:
            groups: at least one row in all.
            clips: also what is known of their clips.
            sound: and the sound of these, where it is packed.

        Raises:
            BadData: a file is damaged, or holds no rows of labels.
        """
        groups = [group for group in groups if len(group.rows)]
        columns = [*_TARGETS, *(("address", "about") if clips else ())]
        tables = [self.row_group(group, columns) for group in groups]
        try:
            table = pa.concat_tables(tables).combine_chunks()
            known = _no_clips(len(table))
            if clips:
                known[:] = self._clips(table, sound)
            return dataset_of(table, self.index.settings.features, known)
        except (pa.ArrowException, ValueError, TypeError, AttributeError) as error:
            raise self.damaged(self.index.files[groups[0].file].name, error) from None

    def _clips(self, table: Any, sound: bool) -> list[Clip]:
        addresses = table["address"].to_pylist()
        sounds = self._sounds(set(addresses)) if sound else {}
        return [
            read_clip(about, sounds.get(address, NO_BYTES))
            for address, about in zip(addresses, table["about"].to_pylist(), strict=True)
        ]

    def _sounds(self, addresses: Collection[str]) -> dict[str, Blob]:
        if self.index.settings.task == "face":
            return {}
        found: dict[str, Blob] = {}
        try:
            with pq.ParquetFile(self.folder / SOUND) as file:
                for batch in file.iter_batches(64, columns=["address", "sound"]):
                    pairs = zip(batch["address"].to_pylist(), batch["sound"], strict=True)
                    found |= {a: Blob(sound.as_py()) for a, sound in pairs if a in addresses}
        except (pa.ArrowException, OSError, KeyError) as error:
            raise self.damaged(SOUND, error) from None
        return found


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
    def of(cls, packed: Packed, place: Ints, counts: Ints, once: frozenset[int]) -> _Scan:
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
                rows = np.array([i for i in rows if _is_first(columns["group"][i], seen)], np.int64)
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
                    f"{packed.folder}: the split {name!r} gets {count} rows and needs 2: give "
                    "clips of more people"
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


def _no_clips(count: int) -> NDArray[np.object_]:
    return np.empty(count, dtype=object)
