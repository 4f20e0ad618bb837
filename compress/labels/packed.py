"""Packed labels as training reads them: row groups by number, groups from the index."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edgeemo.errors import BadData
from edgeemo.io.files import confined

from ..data.clips import NO_BYTES, Blob, Clip, DataSet
from ._arrow import dataset_of
from .clip_text import read_clip
from .dataset import LabelledDataset
from .layout import CHECKED, GROUPS, INDEX, SOUND, SPLITS, PackedIndex, read_json

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

    def groups(self) -> Any:
        """People, or pictures that are alike, with their rows in each published split.

        Raises:
            BadData: the table does not hold what the index says.
        """
        try:
            table = pq.read_table(self.folder / GROUPS, **CHECKED)
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
                table = pq.read_table(self._paths[number], columns=list(columns), **CHECKED)
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
            with pq.ParquetFile(self._paths[group.file], **CHECKED) as file:
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
            with pq.ParquetFile(self.folder / SOUND, **CHECKED) as file:
                for batch in file.iter_batches(64, columns=["address", "sound"]):
                    pairs = zip(batch["address"].to_pylist(), batch["sound"], strict=True)
                    found |= {a: Blob(sound.as_py()) for a, sound in pairs if a in addresses}
        except (pa.ArrowException, OSError, KeyError) as error:
            raise self.damaged(SOUND, error) from None
        return found


def _no_clips(count: int) -> NDArray[np.object_]:
    return np.empty(count, dtype=object)
