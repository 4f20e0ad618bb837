"""Pseudo-labels: a teacher labels each copy of each clip once; the rest is reading.

A row's cache key is the sha256 of all it depends on, so rows are found again by any run (cache.py),
and an interrupted labelling goes on where it was.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import BadData
from edgeemo.features import FeatureSpec
from edgeemo.io import schema
from edgeemo.vision.images import ImageSpec

from .. import distributed
from ..data.clips import Clip
from ..recipes import Recipe
from ..teachers.base import Teacher, TeacherOutput, check_teacher, states_scale
from .cache import LabelCache, sha_of
from .dataset import LabelledDataset, Progress, Ragged, human_labels
from .rows import Job, RowMaker, digests


class Labeller:
    """Labels clips by one teacher for one spec and recipe, or finds them labelled.

    Args:
        teacher: labels the clips.
        spec: of the features that are kept beside the labels.
        recipe: augmentation, clip length, token rate, seed.
        cache: folder of the shards; made if it is missing.
        progress: told after each shard.
    """

    def __init__(
        self,
        teacher: Teacher,
        spec: FeatureSpec | ImageSpec,
        recipe: Recipe,
        cache: Path,
        progress: Progress | None = None,
    ) -> None:
        self.rows = RowMaker(teacher, spec, recipe)
        # A folder for each teacher and spec keeps the list of keys short.
        folder = sha_of([teacher.digest, schema.write(spec)])[:16]
        face = isinstance(spec, ImageSpec)
        self._width = spec.size * spec.channels if isinstance(spec, ImageSpec) else spec.bands
        self._dtype: type[Any] = np.uint8 if face else np.float16
        self.cache = LabelCache(cache / folder)
        self.progress = progress or (lambda what, done, total: None)

    def label(self, clips: Sequence[Clip], copies: int | Sequence[int] = 1) -> LabelledDataset:
        """Label clips, or find them labelled.

        Under torchrun the processes share the work by the rows' keys, so that it does not matter
        what each finds done when it looks; each returns all rows.

        Args:
            clips: any number, at least 2.
            copies: of each clip, one number or one for each; copy 0 is the clip as it is, the
                others are changed, and another of the clips may be mixed in.

        Returns:
            The rows in the order of clips, then copies. Clips that cannot be read, or are too
            short, are reported by the logger "edgeemo", left out and counted.

        Raises:
            BadData: the teacher is constant or not finite; no clip could be labelled; the
                processes find different rows.
            EdgeemoError: another process has ended.
        """
        counts = [copies] * len(clips) if isinstance(copies, int) else copies
        jobs = list(self.rows.jobs(digests(clips), counts))
        labelled_keys = self.cache.cache_keys()
        missing = [job for job in jobs if job.cache_key not in labelled_keys]
        self.rows.probe(missing)
        self._label_all([job for job in missing if distributed.is_mine(job.cache_key)])
        distributed.barrier()
        rows = self.cache.read({job.cache_key for job in jobs})
        self._check_rows(rows)
        dataset = self._dataset([job for job in jobs if job.cache_key in rows], rows, len(jobs))
        teacher = self.rows.teacher
        check_teacher(_as_output(dataset), teacher.name, scale_stated=states_scale(teacher))
        return dataset

    def _check_rows(self, rows: Collection[str]) -> None:
        """Refuse processes that would train on different rows."""
        found = distributed.gather((len(rows), sha_of(sorted(rows))))
        if len(set(found)) > 1:
            counts = ", ".join(str(count) for count, _ in found)
            raise BadData(
                f"the processes find different labels ({counts} rows in {self.cache.folder}); give "
                "all the same clips and, by --cache, one folder on a disk that all of them see"
            )

    def _label_all(self, jobs: Sequence[Job]) -> None:
        done = 0
        for shard in self.rows.shards(jobs):
            if shard.rows:
                self.cache.write(shard.columns)
            done += shard.asked
            self.progress("labelling", done, len(jobs))

    def _dataset(
        self, jobs: Sequence[Job], rows: dict[str, dict[str, Any]], asked: int
    ) -> LabelledDataset:
        if len(jobs) < 2:
            raise BadData(f"{len(jobs)} of {asked} clips could be labelled; see the warnings above")
        ordered = [rows[job.cache_key] for job in jobs]
        clips = np.empty(len(jobs), dtype=object)
        clips[:] = [job.clip for job in jobs]
        mixed = np.array([row["mixed"] for row in ordered], bool)
        tokens = [_halves(row["tokens"], row["width"]) for row in ordered if row["width"]]
        embedding = [np.frombuffer(row["embedding"], np.float16) for row in ordered]
        return LabelledDataset(
            spec=self.rows.spec,
            clips=clips,
            copy=np.array([job.copy for job in jobs], np.int64),
            partner=np.array([row["partner"] for row in ordered], dtype=str),
            features=Ragged.of(
                [_halves(row["features"], self._width, self._dtype) for row in ordered]
            ),
            level=np.array([row["level"] for row in ordered], np.float32),
            dimensions=np.array([row["adv"] for row in ordered], np.float32),
            probs=np.array([row["probs"] for row in ordered], np.float32),
            embedding=np.stack(embedding) if embedding[0].size else None,
            tokens=Ragged.of(tokens) if tokens else None,
            token_rate=float(ordered[0]["rate"]),
            skipped=asked - len(jobs),
            **human_labels(clips, mixed),
        )


def _as_output(labelled: LabelledDataset) -> TeacherOutput:
    dimensions, probs, embedding = labelled.dimensions, labelled.probs, labelled.embedding
    return TeacherOutput(
        dimensions=None if np.isnan(dimensions).all() else dimensions,
        probs=None if np.isnan(probs).all() else probs,
        embedding=None if embedding is None else embedding.astype(np.float32),
    )


def _halves(data: bytes, width: int, dtype: type[Any] = np.float16) -> NDArray[Any]:
    return np.frombuffer(data, dtype).reshape(-1, width)
