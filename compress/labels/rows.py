"""Rows of labels: a clip or a changed copy of it, its features, and what a teacher says of it.

A row depends on clip, second clip, teacher, spec and recipe alone; its key is the sha256 of these.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from edgeemo.errors import BadInput
from edgeemo.features import SPECS, FeatureSpec, log_mel
from edgeemo.io import schema
from edgeemo.types import CLASSES, DIMENSIONS
from edgeemo.vision.images import ImageSpec, crop_face

from ..data import augment
from ..data.clips import Clip
from ..recipes import AugmentConfig, Recipe
from ..teachers.base import Teacher, TeacherOutput, check_teacher, concatenate, states_scale, take
from .cache import sha_of
from .dataset import Floats

LOG = logging.getLogger("edgeemo")

VERSION = 1
"""Part of every cache key. Raise it when the same settings would give other rows."""

SHARD = 256
"""Rows of a shard: what a killed process loses at most."""

_PROBE = 16
"""Clips on which a teacher is checked before all are labelled."""

MIN_FRAMES = 8
"""Frames that a clip must have: two tokens of the default student, so that there is a mean."""

_LATER: dict[str, Any] = {
    name: schema.write(AugmentConfig())[name]
    for name in ("targets", "babble_voices", "direct_db", "telephone_p", "clip_p", "clip_db")
}
"""Settings that the first caches of labels did not know, with the values that change nothing."""

Digested = tuple[str, Clip]
"""A clip behind its digest."""


@dataclass(frozen=True)
class Job:
    """One row to be labelled: a copy of a clip, with the second clip that may be mixed in."""

    clip: Clip
    digest: str
    copy: int
    partner: Clip | None
    cache_key: str


@dataclass(frozen=True)
class Prepared:
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


@dataclass(frozen=True)
class Shard:
    """Some labelled rows.

    Attributes:
        asked: jobs, those that could not be labelled too.
        rows: the jobs that could.
        columns: of the rows, as Parquet keeps them; empty without rows.
    """

    asked: int
    rows: tuple[Job, ...]
    columns: dict[str, Any]


@dataclass(frozen=True)
class Preparer:
    """Decodes and changes clips and computes their features; it may be sent to other processes.

    Attributes:
        recipe: augmentation, clip length, seed.
        spec: of the features.
    """

    recipe: Recipe
    spec: FeatureSpec | ImageSpec

    def __call__(self, jobs: Sequence[Job]) -> tuple[list[Prepared], list[str]]:
        """The rows that could be prepared, and a text for each that could not."""
        ready, faults = [], []
        for job in jobs:
            try:
                if isinstance(self.spec, ImageSpec):
                    ready.append(_prepare_image(job, self.spec))
                else:
                    ready.append(self._prepare_audio(job, self.spec))
            except BadInput as error:
                faults.append(_fault(job, error))
        return ready, faults

    def _prepare_audio(self, job: Job, spec: FeatureSpec) -> Prepared:
        given, samples, mixed_by = self._copy(job)
        features = log_mel(samples, spec)
        if len(features) < MIN_FRAMES:
            raise BadInput(f"{len(samples)} samples are too short")
        plain = features if spec == SPECS["logmel40"] else log_mel(samples)
        level = float(plain.mean()) if len(plain) else float("nan")
        return Prepared(job, given, features.astype(np.float16), level, mixed_by)

    def _copy(self, job: Job) -> tuple[Floats, Floats, str]:
        """What the teacher is given, what the student is, and how another clip was used."""
        seconds = self.recipe.data.clip_seconds
        samples = job.clip.samples()
        if np.ptp(samples) == 0:
            raise BadInput("all of it is silence, which would teach what the teacher makes of none")
        plain = augment.crop(samples, seconds, None)
        if job.copy == 0:
            return plain, plain, ""
        rng = np.random.default_rng(int(sha_of([self.recipe.seed, job.digest, job.copy, "x"]), 16))
        config, partner = self.recipe.augment, job.partner
        if partner is None:  # nobody else speaks in this data set
            config, partner = replace(config, mixup_p=0.0, babble_p=0.0), job.clip
        if config.targets == "clean":
            if config.speed_p and rng.random() < config.speed_p:  # another voice for both
                given = augment.change_speed(samples, rng.uniform(*config.speed))
                plain = augment.crop(given, seconds, None)
            config = replace(config, speed_p=0.0)
            return plain, *augment.augment(plain, rng, config, partner.samples)
        # Longer than needed first: playing faster shortens.
        samples = augment.crop(samples, seconds * config.speed[1], rng)
        changed, mixed_by = augment.augment(samples, rng, config, partner.samples)
        changed = augment.crop(changed, seconds, rng)
        return changed, changed, mixed_by


class RowMaker:
    """Makes rows by one teacher for one spec and recipe.

    Args:
        teacher: labels the clips.
        spec: of the features that are kept beside the labels.
        recipe: augmentation, clip length, token rate, seed.
        decoders: processes that decode and prepare while the teacher runs; 0 is a thread of this
            one, which is enough for a teacher that runs on a CPU.
    """

    def __init__(
        self, teacher: Teacher, spec: FeatureSpec | ImageSpec, recipe: Recipe, decoders: int = 0
    ) -> None:
        self.teacher, self.spec, self.recipe = teacher, spec, recipe
        self.decoders = decoders
        self._prepare = Preparer(recipe, spec)

    def jobs(self, clips: Sequence[Digested], copies: Sequence[int]) -> Iterator[Job]:
        """The rows of clips, in the order of clips, then copies.

        Args:
            clips: see `digests`.
            copies: of each clip; copy 0 is the clip as it is, the others are changed, and another
                of the clips may be mixed in.
        """
        config = self.recipe.augment
        mixes = max(copies, default=1) > 1 and (
            config.mixup_p > 0 or config.noise_p * config.babble_p > 0
        )
        ring = sorted(clips, key=lambda pair: pair[0]) if mixes else []
        for (digest, clip), count in zip(clips, copies, strict=True):
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
        self, digest: str, copy: int, clip: Clip, ring: Sequence[Digested]
    ) -> Digested | None:
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
            # Keys of labels that were made before these settings were stay as they were.
            settings = {k: v for k, v in settings.items() if v != _LATER.get(k)}
            parts += [self.recipe.seed, partner, settings]
        return sha_of(parts)

    def probe(self, jobs: Sequence[Job]) -> None:
        """Refuse a teacher that labels everything alike before hours are spent.

        Args:
            jobs: rows that are to be labelled; some of them are.

        Raises:
            BadData: the teacher is constant or not finite.
        """
        step = max(1, len(jobs) // _PROBE)
        ready, _ = self._prepare(jobs[::step][:_PROBE])
        if len(ready) > 1 and len({p.job.digest for p in ready}) > 1:
            output, _ = self._run_teacher(ready)
            if output is not None and len(output) > 1:
                check_teacher(output, self.teacher.name, scale_stated=states_scale(self.teacher))

    def shards(self, jobs: Sequence[Job]) -> Iterator[Shard]:
        """Label rows, some hundred at a time.

        While the teacher runs on one shard, the next are decoded, augmented and turned into
        features: decoder, FFTs and front end all leave the interpreter free.

        Args:
            jobs: the rows.

        Yields:
            The rows that could be labelled, in order. What could not is reported by the logger
            "edgeemo".
        """
        parts = [jobs[i : i + SHARD] for i in range(0, len(jobs), SHARD)]
        with self._executor() as pool:
            most = max(1, self.decoders)
            ahead = deque(pool.submit(self._prepare, part) for part in parts[:most])
            for number, part in enumerate(parts):
                ready, faults = ahead.popleft().result()
                ahead.extend(pool.submit(self._prepare, p) for p in parts[number + most :][:1])
                for fault in faults:
                    LOG.warning("%s", fault)
                output, ready = self._run_teacher(ready) if ready else (None, [])
                columns = {} if output is None else self._columns(ready, output)
                yield Shard(len(part), tuple(p.job for p in ready) if columns else (), columns)

    def _executor(self) -> Executor:
        if not self.decoders:
            return ThreadPoolExecutor(1)
        # Not forked: torch's threads do not survive it.
        return ProcessPoolExecutor(self.decoders, get_context("spawn"))

    def _run_teacher(self, ready: list[Prepared]) -> tuple[TeacherOutput | None, list[Prepared]]:
        """The teacher's output, and the rows that it is of."""
        try:
            return self._label(ready), ready
        except BadInput:
            # One clip that the teacher cannot take (too short) must not cost the shard.
            outputs, labelled = [], []
            for p in ready:
                try:
                    outputs.append(self.teacher.label([p.teacher_input]))
                    labelled.append(p)
                except BadInput as error:
                    LOG.warning("%s", _fault(p.job, error))
            return (concatenate(outputs) if outputs else None), labelled

    def _label(self, ready: list[Prepared]) -> TeacherOutput:
        """The teacher's output; of copies with clean targets once for each sound."""
        if self.recipe.augment.targets != "clean":
            return self.teacher.label([p.teacher_input for p in ready])
        names = [p.teacher_input.tobytes() for p in ready]
        first = sorted({name: i for i, name in reversed(list(enumerate(names)))}.values())
        output = self.teacher.label([ready[i].teacher_input for i in first])
        place = {names[i]: k for k, i in enumerate(first)}
        return take(output, [place[name] for name in names])

    def _columns(self, ready: list[Prepared], output: TeacherOutput) -> dict[str, Any]:
        n = len(ready)
        tokens = self._tokens(output)
        return {
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

    def _rate(self, output: TeacherOutput) -> float:
        wanted = self.recipe.teacher.tokens_per_second
        return min(wanted, output.tokens_per_second) if output.tokens is not None else 0.0

    def _tokens(self, output: TeacherOutput) -> list[NDArray[np.float16]] | None:
        rate = self._rate(output)
        if output.tokens is None or rate == 0:
            return None
        return [downsample_tokens(t, output.tokens_per_second / rate) for t in output.tokens]


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


def digests(clips: Sequence[Clip]) -> list[Digested]:
    """Clips behind their digests; to tell them, all sound is read.

    Args:
        clips: of speech or faces.
    """
    pairs = []
    for clip in clips:
        try:
            pairs.append((clip.digest(), clip))
        except BadInput:
            # It gets a key of its own, so that reading it is tried, reported once and counted.
            pairs.append((sha_of(["unreadable", clip.id]), clip))
    return pairs


def _fault(job: Job, error: BadInput) -> str:
    return f"skipped {job.clip.id}, copy {job.copy}: {error}"


def _floats(values: Floats | None, n: int, width: int) -> Any:
    flat = np.full((n, width), np.nan, np.float32) if values is None else values
    return pa.FixedSizeListArray.from_arrays(
        pa.array(np.ascontiguousarray(flat, np.float32).ravel()), width
    )


def _prepare_image(job: Job, spec: ImageSpec) -> Prepared:
    """A face as it is; changes of pictures are cheap and made anew at each step of training."""
    image = job.clip.image()
    face = crop_face(image, job.clip.box, spec)
    # The teacher sees the box alone, as sharp as it is.
    shown = image
    if job.clip.box is not None:
        left, top, right, bottom = (max(0, round(v)) for v in job.clip.box)
        shown = image[top:bottom, left:right]
    return Prepared(job, shown, face.reshape(spec.size, -1), float("nan"), "")
