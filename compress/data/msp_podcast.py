"""MSP-Podcast as it is distributed: `Labels/labels_consensus.csv`, single ratings, `Audios/`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import pstdev

from edgeemo.errors import BadData
from edgeemo.io.loading import load_json

from .clips import LOG, Clip, Span
from .corpus_info import licence_of
from .emotions import share_votes
from .tables import Row, read_table, relative_path

CORPUS = "msp_podcast"

# The releases before 1.9 write it with a c.
_CONSENSUS = ("labels_consensus.csv", "labels_concensus.csv")
_ATTRIBUTES = ("EmoAct", "EmoDom", "EmoVal")
_COLUMNS = ("FileName", "EmoClass", *_ATTRIBUTES, "SpkrID", "Gender", "Split_Set")
# Test3 has no labels.
_SPLITS = {"Train": "train", "Development": "valid", "Test1": "test", "Test2": "test"}
_CLASSES = {
    "A": "anger",
    "S": "sadness",
    "H": "happiness",
    "U": "surprise",
    "F": "fear",
    "D": "disgust",
    "C": "contempt",
    "N": "neutral",
    "O": "other",
    "X": "no agreement",
}
_SEX = {"Female": "F", "Male": "M"}
_PODCAST = re.compile(r"MSP-PODCAST_(\d+)_")

Ratings = dict[str, list[Row]]
"""Single ratings by file name: rows with EmoClass_Major and the attributes."""

_MOST_BYTES = 1 << 29


def find_consensus(folder: Path) -> Path | None:
    """The consensus labels, if `folder` is a copy of MSP-Podcast."""
    paths = (folder / "Labels" / name for name in _CONSENSUS)
    return next((path for path in paths if path.is_file()), None)


def read_msp_podcast(folder: Path) -> Iterator[Clip]:
    """Clips of all partitions; the partition is the tag "Split_Set".

    Attributes go from 1..7 to 0..1 as (x - 1) / 6. Primary emotions of all annotators become
    votes; clips without agreement (X) and of other emotions (O) are kept. Where the speaker is
    unknown, the podcast takes his place.

    Raises:
        BadData: faulty labels; the message has file and line, or file and clip.
    """
    consensus = find_consensus(folder)
    if consensus is None:
        raise BadData(f"{folder}: no Labels/{_CONSENSUS[0]}; give the folder that holds Labels")
    ratings = _ratings(folder / "Labels")
    for row in read_table(consensus, _COLUMNS):
        name = row.values["FileName"]
        id = relative_path(row, f"Audios/{name}", folder)
        yield _clip(row, id, Span(folder / id), ratings.get(name, []))


def _clip(row: Row, id: str, span: Span, ratings: list[Row]) -> Clip:
    code = row.text("EmoClass")
    if code not in _CLASSES:
        raise row.fault(f"EmoClass is {code!r:.40}; expected one of {', '.join(_CLASSES)}")
    emotion = _CLASSES[code]
    name = row.text("SpkrID")
    if name in (None, "Unknown"):
        podcast = _PODCAST.match(row.values["FileName"])
        name = f"podcast-{podcast[1] if podcast else row.values['FileName']}"
    words = [word for word in (rating.word("EmoClass_Major") for rating in ratings) if word]
    votes, other = share_votes((word, 1.0) for word in words or [emotion])
    a, d, v = (row.number(column, 1, 7) for column in _ATTRIBUTES)
    given = a is not None and d is not None and v is not None
    return Clip(
        id=id,
        corpus=CORPUS,
        speaker=f"{CORPUS}/{name}",
        span=span,
        sex=_SEX.get(row.values["Gender"]),
        language="en",
        emotion=emotion,
        dimensions=(_unit(a), _unit(d), _unit(v)) if given else None,
        dimensions_sd=_spread(ratings),
        votes=votes,
        other=other,
        licence=licence_of(CORPUS),
        split=_SPLITS.get(row.values["Split_Set"], ""),
        tags={"Split_Set": row.values["Split_Set"]},
    )


def _unit(value: float | None) -> float:
    assert value is not None  # the caller has looked
    return (value - 1) / 6


def _spread(ratings: list[Row]) -> tuple[float, float, float] | None:
    values = [
        [x for x in (rating.number(column, 1, 7) for rating in ratings) if x is not None]
        for column in _ATTRIBUTES
    ]
    if min(map(len, values)) < 2:  # one rating has no spread
        return None
    a, d, v = (pstdev(x) / 6 for x in values)
    return a, d, v


def _ratings(labels: Path) -> Ratings:
    """Single ratings from labels_detailed.json, or .csv as the later releases have it."""
    found: Ratings = {}
    if (labels / "labels_detailed.json").is_file():
        for name, row in _json_ratings(labels / "labels_detailed.json"):
            found.setdefault(name, []).append(row)
    elif (labels / "labels_detailed.csv").is_file():
        columns = ("FileName", "EmoClass_Major", *_ATTRIBUTES)
        for row in read_table(labels / "labels_detailed.csv", columns):
            found.setdefault(row.values["FileName"], []).append(row)
    else:
        LOG.warning("%s: no labels_detailed.json, so the consensus is the only vote", labels)
    return found


def _json_ratings(path: Path) -> Iterator[tuple[str, Row]]:
    """{file: {worker: {"EmoClass_Major": ..., "EmoAct": ..., ...}}} as rows."""
    table = load_json(path, BadData, _MOST_BYTES)
    if not isinstance(table, Mapping):
        raise BadData(f"{path}: expected an object with one entry for each file")
    for name, workers in table.items():
        if not isinstance(workers, Mapping):
            raise BadData(f"{path}: {name}: expected an object with one entry for each worker")
        for worker, rating in workers.items():
            if not isinstance(rating, Mapping) or "EmoClass_Major" not in rating:
                raise BadData(f"{path}: {name}: {worker}: EmoClass_Major is missing")
            yield name, Row(f"{path}: {name}: {worker}", {k: str(v) for k, v in rating.items()})
