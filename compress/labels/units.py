"""Labels of a corpus unit by unit: a tar, or a slice of a folder, by itself.

What a unit's file holds depends on the unit and the settings alone, so it does not matter who makes
it, when, and beside whom: a loop, a cluster's array of jobs, Ray. Nobody waits for anybody.

OUT/KEY/settings.json             what all rows depend on; KEY is its digest
OUT/KEY/UNIT.parquet              rows of a unit, under the digest of its clips and their labels
OUT/KEY/part-00001-of-00004.json  which units part 1 of 4 made, and what it left out
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from edgeemo.artifacts.trained_on import clip_hash
from edgeemo.errors import BadData, BadInput, BadRecipe
from edgeemo.features import FeatureSpec
from edgeemo.io.files import replacing
from edgeemo.vision.images import ImageSpec

from ..data.clips import Clip, Span
from ..data.folders import open_dataset
from ..data.labels import UNIT as UNIT_SCALE
from ..data.labels import Scale
from ..data.shards import find_shards, read_shards
from ..exposure import is_alone
from ..recipes import Recipe
from ..stages.finetune import is_extra_copy, num_augmented_copies
from ..teachers.base import Teacher
from .cache import sha_of
from .clip_text import write_clip
from .dataset import Progress, human_labels
from .layout import (
    MANIFEST,
    SETTINGS,
    UNCOMPRESSED,
    LabelledBy,
    Labels,
    LabelSettings,
    LeftOut,
    MadeUnit,
    Manifest,
    write_json,
)
from .rows import Job, RowMaker, digests

LOG = logging.getLogger("edgeemo")

SLICE = 1024
"""Clips of a slice of a folder; a tar of an hour has as many."""


@dataclass(frozen=True)
class Unit:
    """What is labelled in one go.

    Attributes:
        name: for messages and manifests.
        read: gives its clips; the headers of a tar are read, no sound.
    """

    name: str
    read: Callable[[], Sequence[Clip]]


class UnusableUnit(BadData):
    """A unit that cannot be read, or of which nothing can be labelled; the others can."""


def find_units(path: str | Path, scale: Scale = UNIT_SCALE) -> list[Unit]:
    """The units of a corpus.

    Args:
        path: a tar, a folder of tars, or anything else that `open_dataset` reads: slices of its
            clips in the order of their ids.
        scale: lowest and highest rating in its labels.

    Raises:
        BadData: nothing there, or faulty labels of a folder. Tars are not looked into yet.
    """
    folder = Path(path)
    tars = find_shards(folder) if folder.exists() else []
    if tars:
        corpus = folder.stem if folder.is_file() else folder.resolve().name
        return [_tar_unit(tar, corpus, scale) for tar in tars]
    clips = open_dataset(folder, scale).clips
    return [
        Unit(f"{folder.name}[{i}:{i + SLICE}]", lambda i=i: clips[i : i + SLICE])  # type: ignore[misc]
        for i in range(0, len(clips), SLICE)
    ]


def _tar_unit(tar: Path, corpus: str, scale: Scale) -> Unit:
    return Unit(tar.name, lambda: list(read_shards([tar], corpus, scale)))


def part_of(units: Sequence[Unit], part: int, parts: int) -> Sequence[Unit]:
    """The units that one of several jobs makes: every `parts`-th.

    Args:
        units: of the whole corpus.
        part: number of the job, from 1.
        parts: how many there are.

    Raises:
        BadInput: no such part.
    """
    if not 1 <= part <= parts <= 99_999:
        raise BadInput(f"part {part}/{parts}; expected K/N with K of 1 to N, N of at most 99999")
    return units[part - 1 :: parts]


class UnitLabeller:
    """Labels units, or finds them labelled.

    Args:
        teacher: labels them.
        spec: of the student's features.
        recipe: says everything else.
        out: the folder of all labels.
        decoders: see RowMaker.
    """

    def __init__(
        self,
        teacher: Teacher,
        spec: FeatureSpec | ImageSpec,
        recipe: Recipe,
        out: Path,
        decoders: int = 0,
    ) -> None:
        self.rows = RowMaker(teacher, spec, recipe, decoders)
        self.labels = Labels(LabelSettings.of(recipe, spec), LabelledBy.of(teacher))
        self.folder = out / self.labels.key
        self._probed = False

    def label(self, unit: Unit, root: Path) -> MadeUnit:
        """Label one unit; nothing happens if its file is there.

        Args:
            unit: of `find_units`.
            root: the corpus: where its sound lies is kept relative to it.

        Raises:
            UnusableUnit: it cannot be read, or no row of it can be labelled.
            BadData: the teacher is constant; the file cannot be written.
            BadRecipe: sound for a recipe of faces, or the other way round.
        """
        try:
            clips = unit.read()
        except BadData as error:
            raise UnusableUnit(str(error)) from None
        for clip in clips[:1]:
            if clip.task != self.labels.settings.task:
                raise BadRecipe(
                    f"$.task: the recipe is for {self.labels.settings.task}, {unit.name} holds "
                    f"{clip.task}"
                )
        digested = digests(clips)
        digest = sha_of([[d, write_clip(c)] for d, c in digested])[:32]
        path = self.folder / f"{digest}.parquet"
        copies = num_augmented_copies(clips, self.rows.recipe)
        rows = _rows_of(path)
        if rows is None:
            jobs = list(self.rows.jobs(digested, copies))
            if jobs and not self._probed:
                self.rows.probe(jobs)
                self._probed = True
            rows = self._write(path, jobs, root)
        return MadeUnit(unit.name, digest, rows, sum(copies) - rows)

    def try_label(self, unit: Unit, root: Path) -> MadeUnit | LeftOut:
        """Label one unit, or say why it is left out, on the logger "edgeemo" too.

        Args:
            unit: of `find_units`.
            root: see `label`.

        Raises:
            BadData, BadRecipe: see `label`.
        """
        try:
            return self.label(unit, root)
        except UnusableUnit as error:
            LOG.warning("left out %s: %s", unit.name, error)
            return LeftOut(unit.name, str(error))

    def _write(self, path: Path, jobs: Sequence[Job], root: Path) -> int:
        """Rows written; a killed or failed job leaves no file."""
        try:
            write_json(self.folder / SETTINGS, self.labels)
            with replacing(path) as temporary:
                return self._write_rows(temporary, jobs, root)
        except OSError as error:
            raise BadData(
                f"{path} cannot be written ({error.strerror or error}); labels made so far are "
                "kept: make room and run again"
            ) from None

    def _write_rows(self, path: Path, jobs: Sequence[Job], root: Path) -> int:
        done, writer = 0, None
        try:
            for shard in self.rows.shards(jobs):
                if shard.rows:
                    table = pa.table(
                        shard.columns | _columns(shard.rows, shard.columns, root, self.rows.recipe)
                    )
                    writer = writer or pq.ParquetWriter(path, table.schema, **UNCOMPRESSED)
                    writer.write_table(table)
                    done += len(shard.rows)
        finally:
            if writer is not None:
                writer.close()
        if not done:
            raise UnusableUnit(f"none of its {len(jobs)} rows could be labelled")
        return done


def label_part(
    labeller: UnitLabeller,
    path: Path,
    part: tuple[int, int] = (1, 1),
    scale: Scale = UNIT_SCALE,
    progress: Progress | None = None,
) -> Manifest:
    """Label a corpus, or one part of it, and write the part's manifest.

    A unit that cannot be read is reported by the logger "edgeemo" and left out.

    Args:
        labeller: with teacher and recipe.
        path: of the corpus.
        part: (K, N): part K of N, from 1.
        scale: lowest and highest rating in labels.
        progress: told after each unit.

    Raises:
        BadData: nothing to label; the folder cannot be written.
        BadInput: no such part.
    """
    units = find_units(path, scale)
    mine = part_of(units, *part)
    root = root_of(path)
    outcomes: list[MadeUnit | LeftOut] = []
    for number, unit in enumerate(mine, start=1):
        outcomes.append(labeller.try_label(unit, root))
        if progress is not None:
            progress("labelling", number, len(mine))
    return write_manifest(labeller.folder, part, len(units), root, outcomes)


def root_of(path: str | Path) -> Path:
    """The folder that places of sound are relative to: the corpus, or where its one tar lies."""
    resolved = Path(path).resolve()
    return resolved if resolved.is_dir() else resolved.parent


def write_manifest(
    folder: Path,
    part: tuple[int, int],
    listed: int,
    root: Path,
    outcomes: Sequence[MadeUnit | LeftOut],
) -> Manifest:
    """Write what one part made; packing wants the manifests of all parts.

    Args:
        folder: of the labeller.
        part: (K, N): part K of N, from 1.
        listed: units of all parts together.
        root: of the corpus.
        outcomes: of this part's units, in their order.

    Raises:
        BadData: it cannot be written.
    """
    made = tuple(unit for unit in outcomes if isinstance(unit, MadeUnit))
    left_out = tuple(unit for unit in outcomes if isinstance(unit, LeftOut))
    manifest = Manifest(1, *part, listed, str(root), made, left_out)
    write_json(folder / MANIFEST.format(*part), manifest)
    return manifest


def _rows_of(path: Path) -> int | None:
    """Rows of a finished file; None where there is none, or a damaged one."""
    if not path.exists():
        return None
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError) as error:
        LOG.warning("%s is damaged and is made again (%s)", path, error)
        return None


def _columns(
    rows: Sequence[Job], columns: dict[str, Any], root: Path, recipe: Recipe
) -> dict[str, Any]:
    """What people said of the rows, whose they are, and where their sound lies."""
    clips = np.empty(len(rows), dtype=object)
    clips[:] = [job.clip for job in rows]
    people = human_labels(clips, np.array(columns["mixed"], bool))
    spans = [_place(clip, root) for clip in clips]
    return {
        "copy": pa.array([job.copy for job in rows], pa.int32()),
        "group": [clip.group for clip in clips],
        "speaker": ["" if is_alone(clip) else clip.speaker for clip in clips],
        "clip_hash": pa.array([clip_hash(job.digest) for job in rows], pa.int32()),
        "split": [clip.split for clip in clips],
        "corpus": [clip.corpus for clip in clips],
        "licence": [clip.licence for clip in clips],
        "annotated": [clip.dimensions is not None for clip in clips],
        "extra": is_extra_copy(clips, np.array([job.copy for job in rows]), recipe),
        "about": [write_clip(clip) for clip in clips],
        "path": [place[0] for place in spans],
        "offset": pa.array([place[1] for place in spans], pa.int64()),
        "size": pa.array([place[2] for place in spans], pa.int64()),
        "human_dimensions": fixed_list(people["human_dimensions"]),
        "votes": fixed_list(people["votes"]),
        "votes_weight": people["votes_weight"],
        "intervals": fixed_list(people["intervals"]),
    }


def fixed_list(values: np.ndarray[Any, Any]) -> Any:
    """Arrow's column of float32 rows [N, ...], each flat."""
    flat = np.ascontiguousarray(values, np.float32).reshape(len(values), -1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])


def _place(clip: Clip, root: Path) -> tuple[str, int, int]:
    """Path relative to the corpus, first byte, bytes (-1 is all); "" for a picture in memory."""
    span = clip.span
    if not isinstance(span, Span):
        return "", 0, 0
    path = span.path.resolve()
    inside = path.relative_to(root).as_posix() if path.is_relative_to(root) else ""
    return inside, span.offset, -1 if span.size is None else span.size
