"""FER2013 and FER+: pictures of 48x48 with one expression each, or with ten annotators' votes.

Understood are FER+'s folders, `fer2013.csv` alone or with `fer2013new.csv`, and Parquet tables with
votes or an expression.

Source: E. Barsoum et al., Training deep networks for facial expression recognition with
crowd-sourced label distribution, ICMI 2016 (arXiv 1608.01041).
"""

from __future__ import annotations

import csv
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeemo.errors import BadData, nearest, require

from .clips import Blob, Clip, Span
from .emotions import SPELLED, read_word
from .face_clips import duplicate_group, face_clip, numbered_word
from .tables import Row, read_table, relative_path

VOTES = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
"""What FER+ lets annotators choose from, in the order of its columns; NF is "no face"."""

_FER2013 = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
_USAGE = {"Training": "train", "PublicTest": "valid", "PrivateTest": "test"}
_FERPLUS = {"FER2013Train": "train", "FER2013Valid": "valid", "FER2013Test": "test"}
_MOST = 1000  # votes for one picture: FER+ has ten
_SIDE = 48  # pixels


def _counts(votes: Sequence[float]) -> list[tuple[str, float]]:
    """FER+'s ten numbers by words of `emotions.WORDS`; "other" alone where most saw no face."""
    if votes[-1] > sum(votes[:-1]):
        return [("other", 1.0)]
    words = ["other" if name in ("unknown", "NF") else name for name in VOTES]
    return list(zip(words, votes, strict=True))


def is_ferplus(folder: Path) -> bool:
    """Whether one of FER+'s folders with a label.csv is there."""
    return any((folder / name / "label.csv").is_file() for name in _FERPLUS)


def read_ferplus(folder: Path) -> Iterator[Clip]:
    """FER2013Train, -Valid, -Test: pictures and label.csv (name, "(box)", ten votes; no head).

    Raises:
        BadData: a row of another length, or with what is no vote or no path in the folder.
    """
    for name in _FERPLUS:
        file = folder / name / "label.csv"
        if not file.is_file():
            continue
        with file.open(encoding="utf-8", newline="") as text:
            for number, cells in enumerate(csv.reader(text), start=1):
                row = Row(f"{file}:{number}", {"path": cells[0] if cells else ""})
                if len(cells) != 2 + len(VOTES):
                    raise row.fault(f"{len(cells)} cells; expected name, box and ten votes")
                votes = [
                    row.as_number(v, c, 0, _MOST) for v, c in zip(cells[2:], VOTES, strict=True)
                ]
                path = relative_path(row, cells[0], file.parent)
                span = Span(file.parent / path)
                yield face_clip(
                    "ferplus",
                    f"{name}/{path}",
                    span,
                    counts=_counts(votes),
                    split=_FERPLUS[name],
                    group=duplicate_group(span),
                )


def read_fer2013(folder: Path) -> Iterator[Clip]:
    """fer2013.csv (emotion, pixels, Usage), and fer2013new.csv with votes for the same rows.

    Raises:
        BadData: a number, a picture or a usage is wrong, or the two tables do not go together.
    """
    new = folder / "fer2013new.csv"
    ballots = list(read_table(new, ["Usage", "Image name", *VOTES])) if new.is_file() else None
    rows = read_table(folder / "fer2013.csv", ["emotion", "pixels", "Usage"])
    corpus, count = ("ferplus" if ballots else "fer2013"), 0
    for i, row in enumerate(rows):
        count = i + 1
        split = _USAGE.get(row.values["Usage"].strip())
        if split is None:
            raise row.fault(f"Usage is {row.text('Usage')!r}; expected {', '.join(_USAGE)}")
        if ballots is not None and i < len(ballots):
            ballot = ballots[i]
            if ballot.values["Usage"].strip() != row.values["Usage"].strip():
                raise ballot.fault(
                    f"Usage differs from {row.where}; the two do not belong together"
                )
            if ballot.text("Image name") is None:  # no face in it: FER+ left it out
                continue
            counts = _counts([ballot.number(v, 0, _MOST) or 0.0 for v in VOTES])
            word = None
        else:
            counts, word = [], numbered_word(row, "emotion", _FER2013, 0)
        blob = Blob(_png(_pixels(row)))
        yield face_clip(
            corpus,
            f"{split}/{i:07d}",
            blob,
            counts=counts,
            word=word,
            split=split,
            group=duplicate_group(blob),
        )
    if ballots is not None and count != len(ballots):
        raise BadData(
            f"{new}: {len(ballots)} rows for {count} of fer2013.csv; they belong row by row"
        )


def _pixels(row: Row) -> bytes:
    try:
        values = np.array(row.values["pixels"].split(), np.int64)
    except ValueError:
        values = np.zeros(0, np.int64)
    if len(values) != _SIDE**2 or values.min() < 0 or values.max() > 255:
        raise row.fault(f"pixels: {len(values)} numbers; expected {_SIDE**2} of 0 to 255")
    return values.astype(np.uint8).tobytes()


def _png(pixels: bytes) -> bytes:
    """A grey picture of 48x48 as a PNG file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    lines = b"".join(b"\0" + pixels[i : i + _SIDE] for i in range(0, len(pixels), _SIDE))
    head = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(lines, 1)), chunk(b"IEND", b""))
    )


def read_parquet_folder(folder: Path, corpus: str) -> Iterator[Clip]:
    """Faces of all Parquet tables of a folder.

    Args:
        folder: that holds them.
        corpus: name of the corpus.
    """
    for file in sorted(folder.glob("*.parquet")):
        yield from read_parquet(file, corpus)


def read_parquet(file: Path, corpus: str) -> Iterator[Clip]:
    """Faces of a Parquet table; its stem ("train", "valid", "test") is the split.

    Args:
        file: with the columns `name`, `image` (bytes of a picture file), and votes or `expression`.
        corpus: name of the corpus.

    Raises:
        BadData: not such a table, or a row of it is wrong.
    """
    columns = read_columns(file)
    voted = all(name in columns for name in VOTES)
    if not {"name", "image"} <= columns.keys() or not (voted or "expression" in columns):
        raise BadData(
            f"{file}: columns {', '.join(columns)}; expected name, image and votes or expression"
        )
    split = file.stem if file.stem in _USAGE.values() else ""
    for i, (name, image) in enumerate(zip(columns["name"], columns["image"], strict=True)):
        row = Row(f"{file}, row {i}", {n: str(v) for n, v in _plain(columns, i)})
        if not isinstance(image, bytes):
            raise row.fault("image is no string of bytes; expected those of a picture file")
        blob, person, sex = Blob(image), row.text("person") or "", row.text("sex") or ""
        counts = _counts([row.number(v, 0, _MOST) or 0.0 for v in VOTES]) if voted else []
        yield face_clip(
            corpus,
            f"{file.stem}/{i:05d}-{name}",
            blob,
            counts=counts,
            person=person,
            split=split,
            word=None if voted else _expression(row),
            group=person or duplicate_group(blob),
            box=_box(row),
            sex={"f": "F", "m": "M"}.get(sex[:1].lower()),
            tags={n: row.values[n] for n in ("ethnicity", "age") if n in row.values},
        )


def read_columns(file: Path) -> dict[str, list[Any]]:
    """Columns of a Parquet table by name.

    Args:
        file: any table; all of it is held in memory.

    Raises:
        BadData: no file, or no such table.
    """
    pq = require("pyarrow.parquet", "train")
    if not file.is_file():
        raise BadData(f"{file}: no such file; expected a Parquet table")
    try:
        return {n: c.to_pylist() for n, c in _columns(pq.read_table(file))}
    except (OSError, ValueError) as error:  # pyarrow's errors are among these
        raise BadData(f"{file}: not a Parquet table ({str(error)[:120]})") from None


def _columns(table: Any) -> Iterator[tuple[str, Any]]:
    return zip(table.column_names, table.columns, strict=True)


def _plain(columns: Mapping[str, Sequence[object]], i: int) -> Iterator[tuple[str, object]]:
    return ((n, c[i]) for n, c in columns.items() if n != "image" and c[i] is not None)


def _expression(row: Row) -> str | None:
    text = row.text("expression")
    try:
        return read_word("happiness" if text == "smiling" else text) if text else None
    except KeyError:
        raise row.fault(f"expression is {text!r}; {nearest(text, SPELLED)}") from None


def _box(row: Row) -> tuple[float, float, float, float] | None:
    values = [row.number(f"box_{side}", -1e5, 1e5) for side in ("x0", "y0", "x1", "y1")]
    found = [v for v in values if v is not None]
    return (found[0], found[1], found[2], found[3]) if len(found) == 4 else None
