"""A clip of speech or the picture of a face with what is known about it, and a set of them."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeemo.audio import read_audio
from edgeemo.errors import BadData, BadInput
from edgeemo.types import CLASSES, SAMPLE_RATE
from edgeemo.vision.images import Pixels
from edgeemo.vision.pictures import read_picture

LOG = logging.getLogger("edgeemo")

_LONGEST_BYTES = 1 << 31  # of one encoded clip

T = TypeVar("T")


@dataclass(frozen=True)
class Span:
    """The bytes of one sound: a whole file, or a piece of one (a member of a tar shard).

    Attributes:
        path: the file.
        offset: first byte.
        size: bytes, or None for all to the end.
    """

    path: Path
    offset: int = 0
    size: int | None = None

    def read(self) -> bytes:
        """The bytes.

        Raises:
            BadInput: the file is gone, shorter than promised, or larger than 2 GiB.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read(_LONGEST_BYTES + 1 if self.size is None else self.size)
        except OSError as error:
            raise BadInput(f"{self.path}: cannot be read ({error.strerror})") from None
        if len(data) > _LONGEST_BYTES:
            raise BadInput(f"{self.path}: over {_LONGEST_BYTES} bytes; cut it into pieces")
        if self.size is not None and len(data) < self.size:
            raise BadInput(
                f"{self.path}: ends at byte {self.offset + len(data)}, "
                f"expected {self.offset + self.size}; copy the file again"
            )
        return data


@dataclass(frozen=True)
class Blob:
    """An encoded picture that lies inside its label file, and so in memory already."""

    data: bytes = field(repr=False)

    def read(self) -> bytes:
        """The bytes."""
        return self.data


NO_BYTES = Blob(b"")
"""In place of a sound or picture that is not at hand."""


class Encoded(Protocol):
    """The bytes of an encoded sound or picture, wherever they lie."""

    def read(self) -> bytes:
        """The bytes. BadInput if they cannot be had."""
        ...


@dataclass(frozen=True)
class Clip:
    """One clip of speech, or one picture of a face. Labels that nobody gave are None.

    Attributes:
        id: relative path with "/", unique in its data set.
        corpus: name of the corpus.
        speaker: "corpus/name" of who speaks, or whose face it is; the same person has the same name
            in every copy of a corpus. A picture of nobody known counts as a person of its own.
        span: where the encoded sound or picture lies.
        task: "speech" or "face".
        box: of the face: left, top, right, bottom in pixels; None if the picture is the face.
        split: where the makers of the corpus put it: "train", "valid", "test", or "" (nowhere).
        sex: "F" or "M".
        language: ISO 639-1 code.
        text_id: which sentence was spoken.
        emotion: the category given to the clip (in acted corpora: the one acted), one of CLASSES
            or a further word of `emotions.WORDS` such as "calm" or "boredom".
        dimensions: mean arousal, dominance, valence of annotators, each 0..1, or NaN for one that
            nobody annotated.
        dimensions_sd: population standard deviation between annotators, the same order and unit.
        votes: share of the votes by class name, summing to 1 over CLASSES, classes without a vote
            left out. Without single votes the category counts as one; None if none names a class.
        other: share 0..1 of the votes which name no class ("boredom", "other"); `votes` is what the
            rest of the annotators chose, so 1 - other is a fair weight for it.
        seconds: length as the labels say, not measured.
        licence: of the sound.
        group: clips of one group never lie in two splits; default the speaker.
        tags: whatever else the labels say, as text by column name.
    """

    id: str
    corpus: str
    speaker: str
    span: Encoded
    sex: str | None = None
    language: str | None = None
    text_id: str | None = None
    emotion: str | None = None
    dimensions: tuple[float, float, float] | None = None
    dimensions_sd: tuple[float, float, float] | None = None
    votes: Mapping[str, float] | None = field(default=None, hash=False)
    other: float = 0.0
    seconds: float | None = None
    licence: str = "not stated"
    group: str = ""
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    task: Literal["speech", "face"] = "speech"
    box: tuple[float, float, float, float] | None = None
    split: str = ""

    def __post_init__(self) -> None:
        """Fill `group`, and refuse votes that are no distribution over CLASSES."""
        if not self.group:
            object.__setattr__(self, "group", self.speaker)
        if self.votes is not None:
            wrong = [name for name in self.votes if name not in CLASSES]
            if wrong or abs(sum(self.votes.values()) - 1) > 1e-6:
                raise BadData(f"{self.id}: votes {dict(self.votes)} are no shares over CLASSES")

    def samples(self) -> NDArray[np.float32]:
        """Decode the sound: float32, shape [n], 16 kHz mono, about -1..1.

        Raises:
            BadInput: the sound is missing, broken, empty, too long or not finite.
        """
        if isinstance(self.span, Span) and self.span.size is None and self.span.offset == 0:
            return read_audio(self.span.path, SAMPLE_RATE)
        return read_audio(io.BytesIO(self.span.read()), SAMPLE_RATE, name=self.id)

    def image(self) -> Pixels:
        """Decode the picture: uint8 [height, width, 3], RGB, upright.

        Raises:
            BadInput: the picture is missing, broken or too large.
        """
        return read_picture(self.span.read(), self.id)

    def digest(self) -> str:
        """sha256 of the encoded bytes and the box, 64 hex digits: its name in caches of labels."""
        box = b"" if self.box is None else repr(tuple(map(float, self.box))).encode()
        return hashlib.sha256(self.span.read() + box).hexdigest()


@dataclass(frozen=True)
class DataSet:
    """Clips or faces under a name, all of one task. Iterable, with a length.

    Attributes:
        name: for reports, for example the folder's name.
        clips: in the order of their ids.
    """

    name: str
    clips: tuple[Clip, ...]

    def __post_init__(self) -> None:
        """Sort the clips; refuse two with one id, and sound beside faces."""
        clips = tuple(sorted(self.clips, key=lambda clip: clip.id))
        for before, clip in pairwise(clips):
            if before.id == clip.id:
                raise BadData(f"{self.name}: two clips are called {clip.id!r}; rename one")
        if len({clip.task for clip in clips}) > 1:
            raise BadData(f"{self.name}: holds sound and faces; open them by themselves")
        object.__setattr__(self, "clips", clips)

    @property
    def task(self) -> Literal["speech", "face"]:
        """What all clips are for."""
        return self.clips[0].task if self.clips else "speech"

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.clips)

    def __repr__(self) -> str:
        return (
            f"DataSet({self.name!r}, {len(self.clips)} clips, {len(self.speakers)} speakers, "
            f"corpora: {', '.join(self.corpora)})"
        )

    @property
    def corpora(self) -> tuple[str, ...]:
        """Names of the corpora, sorted."""
        return tuple(sorted({clip.corpus for clip in self.clips}))

    @property
    def speakers(self) -> tuple[str, ...]:
        """Names of the speakers, sorted."""
        return tuple(sorted({clip.speaker for clip in self.clips}))

    @property
    def licences(self) -> Mapping[str, str]:
        """Licence by corpus, for a model's card."""
        licences: dict[str, set[str]] = {}
        for clip in self.clips:
            licences.setdefault(clip.corpus, set()).add(clip.licence)
        return {corpus: "; ".join(sorted(licences[corpus])) for corpus in sorted(licences)}


def readable(clips: Iterable[Clip]) -> Iterator[tuple[Clip, NDArray[np.float32]]]:
    """Decode clips one after the other; report and skip those that cannot be read.

    Yields:
        The clip and its samples (float32, [n], 16 kHz). A clip that fails gives one warning on
        the logger "edgeemo", and the next one follows.
    """
    for clip in clips:
        try:
            samples = clip.samples()
        except BadInput as error:
            LOG.warning("skipped %s", error)
            continue
        yield clip, samples


def shard_of(items: Sequence[T], rank: int, world: int) -> Sequence[T]:
    """The shard of `items` that process `rank` of `world` (torchrun) takes.

    Every item is in exactly one shard; shards differ by at most one item in length.

    Args:
        items: of any kind.
        rank: number of the process, from 0.
        world: number of processes.

    Raises:
        BadInput: `rank` is not in 0..world-1.
    """
    if not 0 <= rank < world:
        raise BadInput(f"rank {rank} of {world} processes; expected 0 to {world - 1}")
    return items[rank::world]
