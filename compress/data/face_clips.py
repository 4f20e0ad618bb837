"""What all readers of faces share: one picture as a Clip, and which pictures are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edgeemo.vision.pictures import SUFFIXES

from .clips import Blob, Clip, Span
from .corpus_info import licence_of
from .emotions import share_votes
from .found import files_below
from .tables import Row


def pictures(folder: Path) -> Iterator[Path]:
    """Picture files in a folder and its subfolders, by name; hidden ones are left out."""
    return files_below(folder, SUFFIXES)


def face_clip(
    corpus: str,
    id: str,
    span: Span | Blob,
    *,
    word: str | None = None,
    counts: Sequence[tuple[str, float]] = (),
    person: str = "",
    split: str = "",
    group: str = "",
    box: tuple[float, float, float, float] | None = None,
    dimensions: tuple[float, float, float] | None = None,
    sex: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Clip:
    """The picture of one face as a Clip.

    Args:
        corpus: name of the corpus.
        id: of the picture.
        span: where its bytes are.
        word: its expression; without `counts` it is the one vote.
        counts: votes by word of `emotions.WORDS`.
        person: who is seen; default nobody else.
        split: where the makers of the corpus put it: "train", "valid", "test" or "".
        group: pictures that never lie in two splits; default the person.
        box: of the face: left, top, right, bottom in pixels.
        dimensions: arousal, dominance, valence, 0..1.
        sex: "F" or "M".
        tags: whatever else the labels say.
    """
    votes, other = share_votes(counts or ([(word, 1.0)] if word else []))
    if word is None and votes is not None:
        best = max(votes, key=votes.__getitem__)
        word = best if votes[best] * (1 - other) >= 0.5 else None
    return Clip(
        id=id,
        corpus=corpus,
        speaker=f"{corpus}/{person or id}",
        span=span,
        sex=sex,
        emotion=word,
        dimensions=dimensions,
        votes=votes,
        other=other,
        licence=licence_of(corpus),
        group=f"{corpus}/{group}" if group else "",
        tags=dict(tags or {}),
        task="face",
        box=box,
        split=split,
    )


def numbered_word(row: Row, column: str, words: Sequence[str], first: int) -> str:
    """The word that a whole number stands for.

    Args:
        row: of a label file.
        column: where the number is.
        words: in the order of the numbers.
        first: number of the first word.

    Raises:
        BadData: not a whole number, or one without a word.
    """
    number = row.number(column, first, first + len(words) - 1)
    if number is None or number != int(number):
        raise row.fault(f"{column} is {row.text(column)!r}; expected a whole number")
    return words[int(number) - first]


def duplicate_group(source: Span | Blob) -> str:
    """Name of the group of all pictures with the same bytes; a missing file is alone."""
    if isinstance(source, Span) and not source.path.is_file():
        return source.path.name
    return hashlib.sha256(source.read()).hexdigest()[:16]
