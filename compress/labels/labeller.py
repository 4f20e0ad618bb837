"""Pseudo-labels: a teacher labels each copy of each clip once; the rest is reading.

A row's cache key is the sha256 of all it depends on, so rows are found again by any run (cache.py),
and an interrupted labelling goes on where it was.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from edgeemo.errors import BadData, BadInput
from edgeemo.features import SPECS, FeatureSpec, log_mel
from edgeemo.io import schema
from edgeemo.types import CLASSES, DIMENSIONS
from edgeemo.vision.images import ImageSpec, crop_face

from .. import distributed
from ..data import augment
from ..data.clips import Clip
from ..recipes import Recipe
from ..teachers.base import Teacher, TeacherOutput, check_teacher, concatenate
from .cache import LabelCache, sha_of
from .dataset import Floats, LabelledDataset, Progress, Ragged, human_labels

LOG = logging.getLogger("edgeemo")

VERSION = 1
"""Part of every cache key. Raise it when the same settings would give other rows."""

SHARD = 256
"""Rows of a shard: what a killed process loses at most."""

_PROBE = 16
"""Clips on which a teacher is checked before all are labelled."""

MIN_FRAMES = 8
"""Frames that a clip must have: two tokens of the default student, so that there is a mean."""


@dataclass(frozen=True)
class Job:
    """One row to be labelled: a copy of a clip, with the second clip that may be mixed in."""

    clip: Clip
    digest: str
    copy: int
    partner: Clip | None
    cache_key: str


@dataclass(frozen=True)
class _Prepared:
    """Inputs of one row: the teacher's (samples, or the picture of a face) and the student's.

    Attributes:
        job: the row.
        teacher_input: float32 [n], or uint8 [height, width, 3].
        features: the student's.
        level: mean of the log-mel, NaN for faces.
        mixed_by: "", "babble" or "mixup"; see `augment`.
    """

    job: Job
    teacher_input: Any
    features: NDArray[Any]
    level: float
    mixed_by: str


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
        self.teacher, self.spec, self.recipe = teacher, spec, recipe
        # A folder for each teacher and spec keeps the list of keys short.
        folder = sha_of([teacher.digest, schema.write(spec)])[:16]
        face = isinstance(spec, ImageSpec)
        self._width = spec.size * spec.channels if isinstance(spec, ImageSpec) else spec.bands
        self._dtype: type[Any] = np.uint8 if face else np.float16
        self.cache = LabelCache(cache / folder)
        self.progress = progress or (lambda what, done, total: None)

    def label(
        self,
        clips: Sequence[Clip],
        copies: int | Sequence[int] = 1,
        partners: Sequence[Clip] | None = None,
    ) -> LabelledDataset:
        """Label clips, or find them labelled.

        Under torchrun the processes share the work by the rows' keys, so that it does not matter
        what each finds done when it looks; each returns all rows.

        Args:
            clips: any number, at least 2.
            copies: of each clip, one number or one for each; copy 0 is the clip as it is, the
                others are changed.
            partners: clips that may be mixed in; default `clips`.

        Returns:
            The rows in the order of clips, then copies. Clips that cannot be read, or are too
            short, are reported by the logger "edgeemo", left out and counted.

        Raises:
            BadData: the teacher is constant or not finite; no clip could be labelled; the
                processes find different rows.
            EdgeemoError: another process has ended.
        """
        counts = [copies] * len(clips) if isinstance(copies, int) else copies
        jobs = list(self._jobs(clips, counts, clips if partners is None else partners))
        labelled_keys = self.cache.cache_keys()
        missing = [job for job in jobs if job.cache_key not in labelled_keys]
        self._probe(missing)
        self._label_all([job for job in missing if distributed.is_mine(job.cache_key)])
        distributed.barrier()
        rows = self.cache.read({job.cache_key for job in jobs})
        self._check_rows(rows)
        dataset = self._dataset([job for job in jobs if job.cache_key in rows], rows, len(jobs))
        check_teacher(_as_output(dataset), self.teacher.name)
        return dataset

    def _jobs(
        self, clips: Sequence[Clip], copies: Sequence[int], partners: Sequence[Clip]
    ) -> Iterator[Job]:
        config = self.recipe.augment
        mixes = max(copies, default=1) > 1 and (
            config.mixup_p > 0 or config.noise_p * config.babble_p > 0
        )
        ring = sorted(_digests(partners)) if mixes else []
        for (digest, clip), count in zip(_digests(clips), copies, strict=True):
            for copy in range(count):
                partner = self._partner(digest, copy, clip, ring) if copy and mixes else None
                yield Job(
                    clip,
                    digest,
                    copy,
                    partner and partner[1],
                    self._cache_key(digest, copy, partner and partner[0]),
                )

    def _partner(
        self, digest: str, copy: int, clip: Clip, ring: Sequence[tuple[str, Clip]]
    ) -> tuple[str, Clip] | None:
        """The clip of another person that follows on the ring of digests.

        A clip that joins the data set changes the partners of few others, so most rows stay valid.
        """
        start = bisect_left(ring, sha_of([self.recipe.seed, digest, copy]), key=lambda r: r[0])
        for step in range(len(ring)):
            candidate = ring[(start + step) % len(ring)]
            if candidate[1].group != clip.group:
                return candidate
        return None

    def _cache_key(self, digest: str, copy: int, partner: str | None) -> str:
        parts: list[Any] = [VERSION, digest, self.recipe.data.clip_seconds, self.teacher.digest]
        parts += [self.recipe.teacher.tokens_per_second, schema.write(self.spec), copy]
        if copy:
            # How many copies are made says nothing about one of them.
            settings = schema.write(self.recipe.augment) | {"copies": 0, "corpus_copies": {}}
            parts += [self.recipe.seed, partner, settings]
        return sha_of(parts)

    def _probe(self, jobs: Sequence[Job]) -> None:
        """Refuse a teacher that labels everything alike before hours are spent."""
        step = max(1, len(jobs) // _PROBE)
        ready = [p for job in jobs[::step][:_PROBE] if (p := self._prepare(job)) is not None]
        if len(ready) > 1 and len({p.job.digest for p in ready}) > 1:
            output, _ = self._run_teacher(ready)
            if output is not None and len(output) > 1:
                check_teacher(output, self.teacher.name)

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
        mine = [jobs[i : i + SHARD] for i in range(0, len(jobs), SHARD)]
        # While the teacher runs on one shard, the next is decoded, augmented and turned into
        # features: decoder, FFTs and front end all leave the interpreter free.
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self._prepare_all, mine[0]) if mine else None
            for i in range(len(mine)):
                assert ahead is not None
                ready = ahead.result()
                if i + 1 < len(mine):
                    ahead = pool.submit(self._prepare_all, mine[i + 1])
                output, ready = self._run_teacher(ready) if ready else (None, ready)
                if output is not None:
                    self._write(ready, output)
                self.progress("labelling", sum(map(len, mine[: i + 1])), sum(map(len, mine)))

    def _prepare_all(self, jobs: Sequence[Job]) -> list[_Prepared]:
        return [p for job in jobs if (p := self._prepare(job)) is not None]

    def _prepare(self, job: Job) -> _Prepared | None:
        try:
            if isinstance(self.spec, ImageSpec):
                return _prepare_image(job, self.spec)
            return self._prepare_audio(job, self.spec)
        except BadInput as error:
            LOG.warning("skipped %s, copy %d: %s", job.clip.id, job.copy, error)
            return None

    def _prepare_audio(self, job: Job, spec: FeatureSpec) -> _Prepared:
        samples, mixed_by = self._copy(job)
        features = log_mel(samples, spec)
        if len(features) < MIN_FRAMES:
            raise BadInput(f"{len(samples)} samples are too short")
        plain = features if spec == SPECS["logmel40"] else log_mel(samples)
        level = float(plain.mean()) if len(plain) else float("nan")
        return _Prepared(job, samples, features.astype(np.float16), level, mixed_by)

    def _copy(self, job: Job) -> tuple[Floats, str]:
        seconds = self.recipe.data.clip_seconds
        samples = job.clip.samples()
        if job.copy == 0:
            return augment.crop(samples, seconds, None), ""
        rng = np.random.default_rng(int(sha_of([self.recipe.seed, job.digest, job.copy, "x"]), 16))
        config, partner = self.recipe.augment, job.partner
        if partner is None:  # nobody else speaks in this data set
            config, partner = replace(config, mixup_p=0.0, babble_p=0.0), job.clip
        # Longer than needed first: playing faster shortens.
        samples = augment.crop(samples, seconds * config.speed[1], rng)
        augmented, mixed_by = augment.augment(samples, rng, config, partner.samples)
        return augment.crop(augmented, seconds, rng), mixed_by

    def _run_teacher(self, ready: list[_Prepared]) -> tuple[TeacherOutput | None, list[_Prepared]]:
        """The teacher's output, and the rows that it is of."""
        try:
            return self.teacher.label([p.teacher_input for p in ready]), ready
        except BadInput:
            # One clip that the teacher cannot take (too short) must not cost the shard.
            outputs, labelled = [], []
            for p in ready:
                try:
                    outputs.append(self.teacher.label([p.teacher_input]))
                    labelled.append(p)
                except BadInput as error:
                    LOG.warning("skipped %s, copy %d: %s", p.job.clip.id, p.job.copy, error)
            return (concatenate(outputs) if outputs else None), labelled

    def _write(self, ready: list[_Prepared], output: TeacherOutput) -> None:
        n = len(ready)
        tokens = self._tokens(output)
        columns: dict[str, Any] = {
            "address": [p.job.cache_key for p in ready],
            "clip": [p.job.clip.id for p in ready],
            "partner": [p.job.partner.group if p.mixed_by and p.job.partner else "" for p in ready],
            "mixed": [p.mixed_by == "mixup" for p in ready],
            "level": np.array([p.level for p in ready], np.float32),
            "features": [p.features.tobytes() for p in ready],
            "adv": _floats(output.dimensions, n, len(DIMENSIONS)),
            "probs": _floats(output.probs, n, len(CLASSES)),
            "embedding": [
                b""
                if output.embedding is None
                else output.embedding[i].astype(np.float16).tobytes()
                for i in range(n)
            ],
            "tokens": [b""] * n if tokens is None else [t.tobytes() for t in tokens],
            "width": [0] * n if tokens is None else [t.shape[1] for t in tokens],
            "rate": [self._rate(output)] * n,
        }
        self.cache.write(columns)

    def _rate(self, output: TeacherOutput) -> float:
        wanted = self.recipe.teacher.tokens_per_second
        return min(wanted, output.tokens_per_second) if output.tokens is not None else 0.0

    def _tokens(self, output: TeacherOutput) -> list[NDArray[np.float16]] | None:
        rate = self._rate(output)
        if output.tokens is None or rate == 0:
            return None
        return [downsample_tokens(t, output.tokens_per_second / rate) for t in output.tokens]

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
            spec=self.spec,
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


def downsample_tokens(tokens: NDArray[np.float16], ratio: float) -> NDArray[np.float16]:
    """Tokens at a lower rate, each the mean of those that it stands for.

    Args:
        tokens: float16 [T, K].
        ratio: old tokens in a new one, any real number; at 1 or below nothing changes.

    Returns:
        float16 [max(1, T / ratio), K].
    """
    if ratio <= 1:
        return tokens
    n = max(1, int(len(tokens) / ratio + 1e-9))
    edges = np.floor(np.arange(n + 1) * ratio + 1e-9).astype(int)
    edges[-1] = min(max(edges[-1], 1), len(tokens))
    sums = np.add.reduceat(tokens[: edges[-1]].astype(np.float32), edges[:-1], axis=0)
    return np.asarray(sums / np.diff(edges)[:, None], np.float16)


def _digests(clips: Sequence[Clip]) -> list[tuple[str, Clip]]:
    """Digest and clip of those that can be read."""
    pairs = []
    for clip in clips:
        try:
            pairs.append((clip.digest(), clip))
        except BadInput:
            # It gets a key of its own, so that reading it is tried, reported once and counted.
            pairs.append((sha_of(["unreadable", clip.id]), clip))
    return pairs


def _as_output(labelled: LabelledDataset) -> TeacherOutput:
    dimensions, probs, embedding = labelled.dimensions, labelled.probs, labelled.embedding
    return TeacherOutput(
        dimensions=None if np.isnan(dimensions).all() else dimensions,
        probs=None if np.isnan(probs).all() else probs,
        embedding=None if embedding is None else embedding.astype(np.float32),
    )


def _floats(values: Floats | None, n: int, width: int) -> Any:
    flat = np.full((n, width), np.nan, np.float32) if values is None else values
    return pa.FixedSizeListArray.from_arrays(
        pa.array(np.ascontiguousarray(flat, np.float32).ravel()), width
    )


def _halves(data: bytes, width: int, dtype: type[Any] = np.float16) -> NDArray[Any]:
    return np.frombuffer(data, dtype).reshape(-1, width)


def _prepare_image(job: Job, spec: ImageSpec) -> _Prepared:
    """A face as it is; changes of pictures are cheap and made anew at each step of training."""
    image = job.clip.image()
    face = crop_face(image, job.clip.box, spec)
    # The teacher sees the box alone, as sharp as it is.
    shown = image
    if job.clip.box is not None:
        left, top, right, bottom = (max(0, round(v)) for v in job.clip.box)
        shown = image[top:bottom, left:right]
    return _Prepared(job, shown, face.reshape(spec.size, -1), float("nan"), "")
