"""`labels.csv`: the form in which edgeemo takes labels for a folder of sound, or of faces.

Columns: `path` and `speaker` must be there. Understood beside them are `sex`,
`language`, `text_id`, `emotion`, `seconds`, `licence`, `group`; `split` or `partition` (train,
valid, test, where the makers of the corpus put a clip); `arousal`, `dominance`, `valence`
(means of annotators, 0..1 or on another scale that the caller names; two of them are enough)
and `<dimension>_sd`; votes as numbers in `votes_<class>` (or `voice_<class>`), or as one word an
annotator in `r1_emotion`, `r2_emotion`, ...
Every other column is kept as text in `Clip.tags`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from edgeemo.errors import BadData
from edgeemo.types import DIMENSIONS
from edgeemo.vision.pictures import SUFFIXES as PICTURES

from .clips import Clip, Span
from .corpus_info import licence_of, speaker_and_group
from .emotions import WORDS, share_votes
from .tables import Row, read_table, relative_path

Scale = tuple[float, float]
Triple = tuple[float, float, float]

UNIT: Scale = (0.0, 1.0)
"""The scale of ratings unless another is named."""

REQUIRED = ("path", "speaker")
_DIMENSIONS_SD = tuple(f"{name}_sd" for name in DIMENSIONS)
_KNOWN = frozenset(
    {
        "sex",
        "language",
        "text_id",
        "emotion",
        "seconds",
        "licence",
        "group",
        "split",
        "partition",
    }.union(REQUIRED, DIMENSIONS, _DIMENSIONS_SD)
)
_SPLITS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "development": "valid",
    "test": "test",
}
"""Words for the splits, without numbers ("Test1" is a test)."""

_VOTES = re.compile(r"(?:votes|voice)_(.+)")
_RATER = re.compile(r"r\d+_emotion")
_MOST_VOTES = 1e6
_LONGEST = 1e6  # seconds


def read_labels(folder: Path, corpus: str, scale: Scale = UNIT) -> Iterator[Clip]:
    """Clips of a folder that has a `labels.csv`; ids are the paths in it.

    A sound file that is not there is no fault here: reading it is, and is reported then.

    Args:
        folder: where `labels.csv` lies.
        corpus: name of the corpus; some are known (`corpus_info.KNOWN`) and bring their licence.
        scale: lowest and highest rating of the dimensions.

    Raises:
        BadData: a column is missing or misspelt; a number, a word or a path is wrong; a path comes
            twice. The message has file and line.
    """
    check_scale(scale)
    file = folder / "labels.csv"
    seen: dict[str, str] = {}
    for row in read_table(file, REQUIRED):
        if not seen:
            _check_columns(file, row)
        path = relative_path(row, row.text("path") or "", folder)
        if path in seen:
            raise row.fault(f"path {path!r} stands in {seen[path]} already; remove one")
        seen[path] = row.where
        yield clip_of_row(row, path, corpus, Span(folder / path), scale)
    if not seen:
        raise BadData(f"{file}: holds no clip; expected one line for each")


def clip_of_row(row: Row, id: str, corpus: str, span: Span, scale: Scale = UNIT) -> Clip:
    """One row of labels as a clip (shards have the same columns as JSON).

    Args:
        row: columns of `labels.csv`.
        id: of the clip; one that ends as a picture does is a face.
        corpus: name of the corpus.
        span: where its sound or picture is.
        scale: lowest and highest rating of the dimensions.

    Raises:
        BadData: no speaker, or a value that is not understood; the message has file and line.
    """
    name = row.text("speaker")
    if name is None:
        raise row.fault("speaker is empty; expected a name, for people must not lie in two splits")
    speaker, group = speaker_and_group(corpus, name)
    sex = row.text("sex")
    if sex not in (None, "F", "M"):
        raise row.fault(f"sex is {sex!r:.40}; expected F, M or nothing")
    emotion = row.word("emotion")
    votes, other = share_votes(_votes(row, emotion))
    own_group = row.text("group")
    return Clip(
        id=id,
        corpus=corpus,
        speaker=speaker,
        span=span,
        sex=sex,
        language=row.text("language"),
        text_id=row.text("text_id"),
        emotion=emotion,
        dimensions=ratings_of_row(row, scale),
        dimensions_sd=_deviations(row, scale),
        votes=votes,
        other=other,
        seconds=row.number("seconds", 0, _LONGEST),
        licence=row.text("licence") or licence_of(corpus),
        task="face" if Path(id).suffix.lower() in PICTURES else "speech",
        group=f"{corpus}/{own_group}" if own_group else group,
        split=_split(row),
        tags={c: v for c, v in row.values.items() if v and c not in _KNOWN and not _is_vote(c)},
    )


def _votes(row: Row, emotion: str | None) -> list[tuple[str, float]]:
    """Pairs of word and number; the category itself where nobody voted."""
    found = []
    for column in row.values:
        match = _VOTES.fullmatch(column)
        if match and match[1] in WORDS:
            found.append((match[1], row.number(column, 0, _MOST_VOTES) or 0.0))
        elif _RATER.fullmatch(column):
            word = row.word(column)
            found += [(word, 1.0)] if word else []
    if any(number for _, number in found):
        return found
    return [(emotion, 1.0)] if emotion else []


def _split(row: Row) -> str:
    """train, valid or test, from the words that corpora use for them."""
    text = row.text("split") or row.text("partition")
    if text is None:
        return ""
    word = re.sub(r"[^a-z]", "", text.lower())
    if word not in _SPLITS:
        known = ", ".join(sorted(_SPLITS))
        raise row.fault(f"split is {text!r:.40}; expected one of {known}, or nothing")
    return _SPLITS[word]


def _is_vote(column: str) -> bool:
    match = _VOTES.fullmatch(column)
    return bool(match and match[1] in WORDS) or bool(_RATER.fullmatch(column))


def check_scale(scale: Scale) -> None:
    """Refuse a scale that has no extent.

    Raises:
        BadData: the highest rating is not above the lowest, or one is not finite.
    """
    low, high = scale
    if not -1e6 <= low < high <= 1e6:
        raise BadData(f"a scale of {low:g} to {high:g}; expected the lowest and a higher rating")


def ratings_of_row(row: Row, scale: Scale = UNIT) -> Triple | None:
    """Arousal, dominance, valence of a row, 0..1; NaN for one that nobody rated.

    Args:
        row: with columns of these names.
        scale: lowest and highest rating; (x - lowest) / (highest - lowest) is the label.

    Raises:
        BadData: a number outside the scale, or one dimension alone.
    """
    low, high = scale
    return _triple(row, DIMENSIONS, low, high, low)


def _deviations(row: Row, scale: Scale) -> Triple | None:
    low, high = scale
    return _triple(row, _DIMENSIONS_SD, 0.0, high - low, 0.0)


def _triple(
    row: Row, columns: tuple[str, ...], low: float, high: float, zero: float
) -> Triple | None:
    values = [_rating(row, column, low, high, zero) for column in columns]
    missing = [c for c, value in zip(columns, values, strict=True) if value is None]
    if len(missing) == len(columns):
        return None
    if len(missing) > 1:
        raise row.fault(f"{' and '.join(missing)} are missing; give two of the three, or none")
    a, d, v = (math.nan if value is None else value for value in values)
    return a, d, v


def _rating(row: Row, column: str, low: float, high: float, zero: float) -> float | None:
    try:
        value = row.number(column, low, high)
    except BadData as error:
        hint = "is that the scale of --label-scale?"
        if (low, high) == (0, 1):
            hint = (
                "ratings on another scale become (x - lowest) / (highest - lowest): name it, "
                "for example --label-scale 1 5"
            )
        raise BadData(f"{error}; {hint}") from None
    return None if value is None else (value - zero) / (high - low)


def _check_columns(file: Path, row: Row) -> None:
    """A misspelt column would be taken as a tag, and its labels silently lost."""
    for column in row.values:
        # r1_arousal, r2_arousal, ...: single annotators, kept as tags.
        if column in _KNOWN or _is_vote(column) or re.match(r"r\d+_", column):
            continue
        match = _VOTES.fullmatch(column)
        if column.startswith("votes_") and match:
            raise BadData(
                f"{file}:1: column {column!r}; expected votes_ and one of {', '.join(WORDS)}"
            )
        near = get_close_matches(column.lower(), _KNOWN, 1, cutoff=0.8)
        if near:
            raise BadData(f"{file}:1: unknown column {column!r}; did you mean {near[0]!r}?")
