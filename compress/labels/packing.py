"""Labels of all units as few large files of shuffled rows, from which training reads a stream.

PACKED/index.json          settings, teacher, corpora; name, rows and bytes of each file
PACKED/part-00000.parquet  8,192 rows in row groups of 256; row groups of all units are shuffled,
                           and the rows of a file once more
PACKED/groups.parquet      clips of each group by published split; rows name a group by its number
PACKED/sound.parquet       encoded sound of some clips: what a run checks exported files with
"""

from __future__ import annotations

import heapq
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from edgeemo.errors import BadData, BadInput, BadRecipe, printable
from edgeemo.features import FeatureSpec
from edgeemo.io.files import confined, replacing
from edgeemo.vision.images import ImageSpec

from ..data.clips import Span
from ..recipes import Recipe
from .dataset import Progress
from .layout import (
    CHECKED,
    GROUP_ROWS,
    GROUPS,
    INDEX,
    SCHEMA,
    SETTINGS,
    SOUND,
    SPLITS,
    UNCOMPRESSED,
    Labels,
    Manifest,
    PackedCorpus,
    PackedFile,
    PackedIndex,
    read_json,
    write_json,
)

LOG = logging.getLogger("edgeemo")

FILE_ROWS = 8192

SOUNDS = 2000
"""Clips whose sound is packed. Some hundred of them are of people who are held out."""

_KEPT = (
    "address",
    "mixed",
    "level",
    "features",
    "adv",
    "probs",
    "embedding",
    "tokens",
    "width",
    "rate",
    "copy",
    "clip_hash",
    "annotated",
    "extra",
    "about",
    "human_dimensions",
    "votes",
    "votes_weight",
    "intervals",
)
"""Columns that are packed as they are."""


@dataclass(frozen=True)
class _Source:
    """A file of labels, and the corpus that its sound lies in."""

    path: Path
    root: Path


def pack(
    labels: Path,
    out: Path,
    recipe: Recipe | None = None,
    spec: FeatureSpec | ImageSpec | None = None,
    progress: Progress | None = None,
) -> PackedIndex:
    """Pack the labels of all parts.

    Args:
        labels: what `label_part` wrote to.
        out: new or empty folder, or one in which packing was interrupted.
        recipe: tells which labels, where there are some of several recipes.
        spec: of its student's features.
        progress: told after each file.

    Returns:
        The index, which is written last: a folder without it is not whole.

    Raises:
        BadData: no labels, a part is missing or overlaps with another, a file of labels is missing
            or damaged, the sound is gone, a file cannot be written.
        BadInput: `out` is packed already.
        BadRecipe: labels of several recipes, and none is named; or no labels of the one named.
    """
    if (out / INDEX).exists():
        raise BadInput(f"{out} is packed already; give a new folder")
    folder = _folder_of(labels, recipe, spec)
    known = read_json(folder / SETTINGS, Labels)
    manifests = _manifests(folder)
    sources = [
        _Source(folder / f"{unit.digest}.parquet", Path(manifest.data))
        for manifest in manifests
        for unit in manifest.units
    ]
    facts = _Facts.of(sources)
    try:
        _write_groups(out / GROUPS, facts)
        if known.settings.task == "speech":
            _write_sound(out / SOUND, facts.sounds)
        files = _write_files(out, sources, facts, known.settings.seed, progress)
    except pa.ArrowInvalid as error:
        raise _damaged(folder, str(error)) from None
    except OSError as error:
        raise BadData(
            f"{out} cannot be written ({error.strerror or error}); the labels are as they were: "
            "make room and pack again"
        ) from None
    corpora = sorted(facts.corpora.items())
    index = PackedIndex(
        schema=SCHEMA,
        name=Path(manifests[0].data).name,
        settings=known.settings,
        teacher=known.teacher,
        files=files,
        groups=len(facts.names),
        corpora=tuple(PackedCorpus(name, licence, n) for (name, licence), n in corpora),
        skipped=sum(unit.skipped for manifest in manifests for unit in manifest.units),
    )
    write_json(out / INDEX, index)
    return index


def _folder_of(labels: Path, recipe: Recipe | None, spec: FeatureSpec | ImageSpec | None) -> Path:
    """The folder of the labels of one recipe."""
    found = sorted(file.parent for file in labels.glob(f"*/{SETTINGS}"))
    if not found:
        raise BadData(f"{labels} holds no labels; make some with: edgeemo label --out {labels}")
    if recipe is not None and spec is not None:
        faults = []
        for folder in found:
            try:
                read_json(folder / SETTINGS, Labels).settings.check(recipe, spec, folder)
            except BadRecipe as error:
                faults.append(error)
        if len(faults) == len(found):
            raise faults[0]
        if len(faults) == len(found) - 1:
            return next(f for f in found if not any(str(f) in str(e) for e in faults))
    if len(found) > 1:
        raise BadRecipe(
            f"{labels} holds labels of {len(found)} recipes or teachers "
            f"({', '.join(f.name for f in found)}); name one with --recipe, or give one folder"
        )
    return found[0]


def _manifests(folder: Path) -> list[Manifest]:
    """Manifests of all parts; they must be those of one labelling."""
    found = [read_json(file, Manifest) for file in sorted(folder.glob("part-*.json"))]
    if not found:
        raise BadData(f"{folder}: no part is finished; run the labelling to its end")
    parts = {manifest.parts for manifest in found}
    if len(parts) > 1:
        raise BadData(
            f"{folder} holds parts of {' and of '.join(map(str, sorted(parts)))}; remove the "
            "part-*.json of one division (the labels may stay)"
        )
    (count,) = parts
    missing = sorted(set(range(1, count + 1)) - {manifest.part for manifest in found})
    if missing:
        raise BadData(
            f"{folder}: part {missing[0]} of {count} is missing; make it with: "
            f"edgeemo label --part {missing[0]}/{count}"
        )
    listed = {manifest.listed for manifest in found}
    made = [unit.digest for manifest in found for unit in manifest.units]
    total = len(made) + sum(len(manifest.left_out) for manifest in found)
    for manifest in found:
        if manifest.left_out:
            names = printable(", ".join(unit.name for unit in manifest.left_out))
            LOG.warning("%s: tars that could not be labelled are missing: %s", folder, names)
    double = [digest for digest, count in Counter(made).items() if count > 1]
    if len(listed) > 1 or total not in listed or double:
        raise BadData(
            f"{folder}: the parts are of different lists of tars "
            f"({total} units made, {' and '.join(map(str, sorted(listed)))} listed); "
            "run all parts again on the same data: what is labelled is not made twice"
        )
    return found


@dataclass
class _Facts:
    """What must be known of all rows before they are written.

    Attributes:
        names: of groups, sorted.
        clips: by group and number of the published split.
        speakers: names of each group's people.
        corpora: clips by corpus and licence.
        sounds: address, place in the corpus and corpus of the clips whose sound is packed.
        groups: row groups of each source.
        rows: of all sources.
    """

    names: list[str]
    clips: Counter[tuple[str, int]]
    speakers: dict[str, set[str]]
    corpora: Counter[tuple[str, str]]
    sounds: list[tuple[str, Path, str, int, int]]
    groups: list[tuple[int, int]]
    rows: int = 0

    @classmethod
    def of(cls, sources: Sequence[_Source]) -> _Facts:
        facts = cls([], Counter(), {}, Counter(), [], [])
        for number, source in enumerate(sources):
            facts._add(number, source)
        facts.names = sorted({group for group, _ in facts.clips})
        return facts

    def _add(self, number: int, source: _Source) -> None:
        columns = ["address", "copy", "group", "speaker", "split", "corpus", "licence"]
        columns += ["path", "offset", "size"]
        with _opened(source.path) as file:
            self.groups += [(number, i) for i in range(file.num_row_groups)]
            self.rows += file.metadata.num_rows
            rows = file.read(columns=columns).to_pydict()
        plain = [i for i, copy in enumerate(rows["copy"]) if copy == 0]
        for i in plain:
            if rows["split"][i] not in SPLITS:
                raise _damaged(source.path, f"split {rows['split'][i]!r:.40}")
            self.clips[rows["group"][i], SPLITS.index(rows["split"][i])] += 1
            speakers = self.speakers.setdefault(rows["group"][i], set())
            speakers |= {rows["speaker"][i]} - {""}
            self.corpora[rows["corpus"][i], rows["licence"][i]] += 1
        sounds = [
            (rows["address"][i], source.root, *(rows[c][i] for c in ("path", "offset", "size")))
            for i in plain
        ]
        # The smallest keys: as fair a draw as any, and the same every time.
        self.sounds = heapq.nsmallest(SOUNDS, self.sounds + sounds, key=lambda sound: sound[0])


def _opened(path: Path) -> Any:
    try:
        return pq.ParquetFile(path, **CHECKED)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, why: str) -> BadData:
    return BadData(
        f"{path} is missing or damaged ({' '.join(why.split())[:100]}); remove it and label again"
    )


def _write_groups(path: Path, facts: _Facts) -> None:
    speakers = [sorted(facts.speakers[name]) for name in facts.names]
    columns: dict[str, Any] = {
        "name": facts.names,
        "speakers": pa.array(speakers, pa.list_(pa.string())),
    }
    for number, split in enumerate(SPLITS):
        columns[split or "none"] = [facts.clips[name, number] for name in facts.names]
    _write_table(path, pa.table(columns))


def _write_sound(path: Path, sounds: Sequence[tuple[str, Path, str, int, int]]) -> None:
    found: dict[str, bytes] = {}
    for address, root, name, offset, size in sounds:
        try:
            span = Span(confined(root, name), offset, None if size < 0 else size)
            found[address] = span.read()
        except (BadInput, ValueError) as error:
            raise BadData(
                f"sound of the corpus is gone ({error}); pack where it lay when it was labelled"
            ) from None
    table = {"address": list(found), "sound": pa.array(list(found.values()), pa.binary())}
    _write_table(path, pa.table(table))


def _write_files(
    out: Path, sources: Sequence[_Source], facts: _Facts, seed: int, progress: Progress | None
) -> tuple[PackedFile, ...]:
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(facts.groups))
    codes = {name: number for number, name in enumerate(facts.names)}
    files: list[PackedFile] = []
    for table in _tables(sources, [facts.groups[i] for i in order], codes):
        path = out / f"part-{len(files):05d}.parquet"
        _write_table(path, table.take(pa.array(rng.permutation(len(table)))))
        files.append(PackedFile(path.name, len(table), path.stat().st_size))
        if progress is not None:
            progress("packing", sum(file.rows for file in files), facts.rows)
    return tuple(files)


def _tables(
    sources: Sequence[_Source], groups: Sequence[tuple[int, int]], codes: Mapping[str, int]
) -> Iterator[Any]:
    """Tables of FILE_ROWS rows, the last with what is left."""
    waiting: list[Any] = []
    count = 0
    for source, group in groups:
        waiting.append(_packed(sources[source].path, group, codes))
        count += len(waiting[-1])
        if count >= FILE_ROWS:
            table = pa.concat_tables(waiting)
            yield table.slice(0, FILE_ROWS).combine_chunks()
            rest = table.slice(FILE_ROWS)
            waiting, count = [rest], len(rest)
    if count:
        yield pa.concat_tables(waiting).combine_chunks()


def _packed(path: Path, group: int, codes: Mapping[str, int]) -> Any:
    """One row group with numbers in place of names."""
    with _opened(path) as file:
        try:
            table = file.read_row_group(group, columns=[*_KEPT, "group", "partner", "split"])
            kept = table.select(_KEPT)
        except (pa.ArrowException, KeyError, OSError) as error:
            raise _damaged(path, str(error)) from None
    groups = [codes[name] for name in table["group"].to_pylist()]
    # A second clip is of the same unit, and has a row of its own unless it could not be read.
    partners = [codes.get(name, -2) if name else -1 for name in table["partner"].to_pylist()]
    splits = [SPLITS.index(split) for split in table["split"].to_pylist()]
    kept = kept.append_column("group", pa.array(groups, pa.int32()))
    kept = kept.append_column("partner", pa.array(partners, pa.int32()))
    return kept.append_column("split", pa.array(splits, pa.int8()))


def _write_table(path: Path, table: Any) -> None:
    with replacing(path) as temporary:
        pq.write_table(table, temporary, row_group_size=GROUP_ROWS, **UNCOMPRESSED)
