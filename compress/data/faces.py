"""Pictures of faces as they are distributed, known by their label files.

Understood are FER+ (folders with votes; `fer2013.csv`, alone or with `fer2013new.csv`; Parquet
tables with votes or an expression), AffectNet (both releases), RAF-DB, and a folder whose
subfolders are called by expressions. Who is seen is told by none but the tables, so each picture
counts as a person of its own; pictures that are the same byte by byte stay together.
"""

from __future__ import annotations

import csv
import hashlib
import io
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeemo.errors import BadData, require
from edgeemo.vision.pictures import SUFFIXES

from .clips import Blob, Clip, Span
from .corpus_info import licence_of
from .emotions import WORDS, read_word, share_votes
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
"""What FER+ lets people choose from, in the order of its columns; NF is "no face"."""

_FER2013 = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
_AFFECTNET = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
_RAFDB = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")  # from 1 on
_USAGE = {"Training": "train", "PublicTest": "valid", "PrivateTest": "test"}
_FERPLUS = {"FER2013Train": "train", "FER2013Valid": "valid", "FER2013Test": "test"}
_MOST = 1000  # votes for one picture
_SIDE = 48


def read_faces(folder: Path, name: str) -> list[Clip] | None:
    """Faces of a folder that one of the readers knows, else None.

    Args:
        folder: of the corpus.
        name: of the corpus, for readers whose layout does not name it.

    Raises:
        BadData: labels are wrong; the message has file and line.
    """
    readers: tuple[tuple[Callable[[Path], bool], Callable[[Path, str], Iterator[Clip]]], ...] = (
        (_is_ferplus, _ferplus),
        (lambda f: (f / "fer2013.csv").is_file(), _fer2013),
        (lambda f: any(f.glob("*.parquet")), _tables),
        (lambda f: _affectnet_list(f, "training") is not None, _affectnet),
        (lambda f: any(f.rglob("annotations/*_exp.npy")), _affectnet_arrays),
        (lambda f: _rafdb_list(f) is not None, _rafdb),
        (_is_by_label, _by_label),
    )
    for knows, read in readers:
        if knows(folder):
            return list(read(folder, name))
    return None


def read_tables(files: Sequence[Path], corpus: str) -> list[Clip]:
    """Faces of Parquet tables: columns `image` (bytes of a file), votes or `expression`."""
    return [clip for file in files for clip in _table(file, corpus)]


def plain_faces(folder: Path, corpus: str) -> Iterator[Clip]:
    """Pictures of a folder and its subfolders, without labels."""
    for file in pictures(folder):
        yield _face(corpus, file.relative_to(folder).as_posix(), Span(file))


def pictures(folder: Path) -> Iterator[Path]:
    """Picture files in a folder and its subfolders, by name; hidden ones are left out."""
    for file in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if file.suffix.lower() in SUFFIXES and not hidden and file.is_file():
            yield file


def _face(
    corpus: str,
    id: str,
    span: Span | Blob,
    *,
    word: str | None = None,
    counts: Sequence[tuple[str, float]] = (),
    person: str = "",
    part: str = "",
    group: str = "",
    box: tuple[float, float, float, float] | None = None,
    dimensions: tuple[float, float, float] | None = None,
    sex: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Clip:
    """One face; `counts` are votes by word, and without them `word` is the one vote."""
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
        part=part,
    )


def _ballot(votes: Sequence[float]) -> list[tuple[str, float]]:
    """FER+'s ten numbers as words of `emotions.WORDS`; none where most saw no face."""
    if votes[-1] > sum(votes[:-1]):
        return [("other", 1.0)]
    words = ["other" if name in ("unknown", "NF") else name for name in VOTES]
    return list(zip(words, votes, strict=True))


def _is_ferplus(folder: Path) -> bool:
    return any((folder / part / "label.csv").is_file() for part in _FERPLUS)


def _ferplus(folder: Path, name: str) -> Iterator[Clip]:
    """FER2013Train, -Valid, -Test: pictures and label.csv (name, "(box)", ten votes; no head)."""
    for part in _FERPLUS:
        file = folder / part / "label.csv"
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
                yield _face(
                    "ferplus",
                    f"{part}/{path}",
                    span,
                    counts=_ballot(votes),
                    part=_FERPLUS[part],
                    group=_same(span),
                )


def _fer2013(folder: Path, name: str) -> Iterator[Clip]:
    """fer2013.csv (emotion, pixels, Usage), and fer2013new.csv with votes for the same rows."""
    new = folder / "fer2013new.csv"
    ballots = list(read_table(new, ["Usage", "Image name", *VOTES])) if new.is_file() else None
    rows = read_table(folder / "fer2013.csv", ["emotion", "pixels", "Usage"])
    corpus, count = ("ferplus" if ballots else "fer2013"), 0
    for i, row in enumerate(rows):
        count = i + 1
        part = _USAGE.get(row.values["Usage"].strip())
        if part is None:
            raise row.fault(f"Usage is {row.text('Usage')!r}; expected {', '.join(_USAGE)}")
        if ballots is not None and i < len(ballots):
            ballot = ballots[i]
            if ballot.values["Usage"].strip() != row.values["Usage"].strip():
                raise ballot.fault(
                    f"Usage differs from {row.where}; the two do not belong together"
                )
            if ballot.text("Image name") is None:  # no face in it: FER+ left it out
                continue
            counts = _ballot([ballot.number(v, 0, _MOST) or 0.0 for v in VOTES])
            word = None
        else:
            counts, word = [], _pick(row, "emotion", _FER2013, 0)
        blob = Blob(_png(_pixels(row)))
        yield _face(
            corpus, f"{part}/{i:07d}", blob, counts=counts, word=word, part=part, group=_same(blob)
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


def _tables(folder: Path, name: str) -> Iterator[Clip]:
    for file in sorted(folder.glob("*.parquet")):
        yield from _table(file, name)


def _table(file: Path, corpus: str) -> Iterator[Clip]:
    """A Parquet table; its stem ("train", "valid", "test") is the part."""
    pq = require("pyarrow.parquet", "train")
    try:
        columns = {n: c.to_pylist() for n, c in _columns(pq.read_table(file))}
    except (OSError, ValueError) as error:  # pyarrow's errors are among these
        raise BadData(f"{file}: not a Parquet table ({str(error)[:120]})") from None
    voted = all(name in columns for name in VOTES)
    if not {"name", "image"} <= columns.keys() or not (voted or "expression" in columns):
        raise BadData(
            f"{file}: columns {', '.join(columns)}; expected name, image and votes or expression"
        )
    part = file.stem if file.stem in _USAGE.values() else ""
    for i, (name, image) in enumerate(zip(columns["name"], columns["image"], strict=True)):
        row = Row(f"{file}, row {i}", {n: str(v) for n, v in _plain(columns, i)})
        if not isinstance(image, bytes):
            raise row.fault("image is no string of bytes; expected those of a picture file")
        blob, person, sex = Blob(image), row.text("person") or "", row.text("sex") or ""
        counts = _ballot([row.number(v, 0, _MOST) or 0.0 for v in VOTES]) if voted else []
        yield _face(
            corpus,
            f"{file.stem}/{i:05d}-{name}",
            blob,
            counts=counts,
            person=person,
            part=part,
            word=None if voted else _expression(row),
            group=person or _same(blob),
            box=_box(row),
            sex={"f": "F", "m": "M"}.get(sex[:1].lower()),
            tags={n: row.values[n] for n in ("ethnicity", "age") if n in row.values},
        )


def _columns(table: Any) -> Iterator[tuple[str, Any]]:
    return zip(table.column_names, table.columns, strict=True)


def _plain(columns: Mapping[str, Sequence[object]], i: int) -> Iterator[tuple[str, object]]:
    return ((n, c[i]) for n, c in columns.items() if n != "image" and c[i] is not None)


def _expression(row: Row) -> str | None:
    text = row.text("expression")
    return read_word("happiness" if text == "smiling" else text) if text else None


def _box(row: Row) -> tuple[float, float, float, float] | None:
    values = [row.number(f"box_{side}", -1e5, 1e5) for side in ("x0", "y0", "x1", "y1")]
    found = [v for v in values if v is not None]
    return (found[0], found[1], found[2], found[3]) if len(found) == 4 else None


def _affectnet_list(folder: Path, part: str) -> Path | None:
    found = sorted(folder.rglob(f"{part}.csv"))
    return next((f for f in found if "subDirectory_filePath" in _head(f)), None)


def _head(file: Path) -> str:
    with file.open(encoding="utf-8", errors="replace") as text:
        return text.readline(4096)


def _affectnet(folder: Path, name: str) -> Iterator[Clip]:
    """training.csv and validation.csv over whole photographs with face boxes."""
    need = [
        "subDirectory_filePath",
        "face_x",
        "face_y",
        "face_width",
        "face_height",
        "expression",
        "valence",
        "arousal",
    ]
    for stem, part in (("training", "train"), ("validation", "valid")):
        file = _affectnet_list(folder, stem)
        if file is None:
            continue
        roots = [d for d in sorted(file.parent.rglob("Manually_Annotated_Images")) if d.is_dir()]
        root = roots[0] if roots else file.parent
        for row in read_table(file, need):
            number = int(row.number("expression", 0, 10) or 0)
            if number >= len(_AFFECTNET):  # none, uncertain, no face
                continue
            path = relative_path(row, row.values[need[0]], root)
            left, top, width, height = (row.number(c, -1e5, 1e5) or 0.0 for c in need[1:5])
            yield _face(
                "affectnet",
                path,
                Span(root / path),
                word=_AFFECTNET[number],
                part=part,
                box=(left, top, left + width, top + height),
                dimensions=_circumplex(row.number("valence", -2, 1), row.number("arousal", -2, 1)),
            )


def _affectnet_arrays(folder: Path, name: str) -> Iterator[Clip]:
    """train_set/ and val_set/ with images/N.jpg and annotations/N_exp.npy, N_val.npy, N_aro.npy."""
    for part_folder in sorted({f.parent.parent for f in folder.rglob("annotations/*_exp.npy")}):
        part = "train" if part_folder.name.startswith("train") else "valid"
        for file in sorted((part_folder / "annotations").glob("*_exp.npy")):
            stem = file.name.removesuffix("_exp.npy")
            label, valence, arousal = (
                _number_in(file.with_name(f"{stem}_{kind}.npy")) for kind in ("exp", "val", "aro")
            )
            if label is None or not 0 <= label < len(_AFFECTNET):
                continue
            image = part_folder / "images" / f"{stem}.jpg"
            yield _face(
                "affectnet",
                image.relative_to(folder).as_posix(),
                Span(image),
                part=part,
                word=_AFFECTNET[int(label)],
                dimensions=_circumplex(valence, arousal),
            )


def _number_in(file: Path) -> float | None:
    """The one number of a .npy file, which AffectNet writes as text."""
    if not file.is_file():
        return None
    try:
        # From bytes, so that a file which promises too much is refused by its own length.
        value = np.load(io.BytesIO(file.read_bytes()), allow_pickle=False)
        return float(value.reshape(-1)[0])
    except (OSError, ValueError, IndexError, EOFError) as error:
        raise BadData(f"{file}: holds no number ({str(error)[:80]})") from None


def _circumplex(valence: float | None, arousal: float | None) -> tuple[float, float, float] | None:
    """-1..1 to 0..1, dominance unknown; AffectNet writes -2 where nobody said."""
    if valence is None or arousal is None or min(valence, arousal) < -1:
        return None
    return (arousal + 1) / 2, float("nan"), (valence + 1) / 2


def _rafdb_list(folder: Path) -> Path | None:
    # Spelt so in the release.
    found = [*folder.rglob("list_patition_label.txt"), *folder.rglob("list_partition_label.txt")]
    return found[0] if found else None


def _rafdb(folder: Path, name: str) -> Iterator[Clip]:
    """EmoLabel/list_patition_label.txt ("train_00001.jpg 5"), Image/aligned or Image/original."""
    file = _rafdb_list(folder)
    assert file is not None
    images = file.parent.parent / "Image"
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        cells = line.split()
        row = Row(f"{file}:{number}", dict(zip(("path", "label"), cells, strict=False)))
        if len(cells) != 2:
            raise row.fault(f"{len(cells)} words; expected a file's name and a number")
        stem = Path(cells[0]).stem
        aligned = images / "aligned" / f"{stem}_aligned.jpg"
        image = aligned if aligned.parent.is_dir() else images / "original" / cells[0]
        relative_path(row, cells[0], image.parent)
        yield _face(
            "rafdb",
            cells[0],
            Span(image),
            word=_pick(row, "label", _RAFDB, 1),
            part="train" if stem.startswith("train") else "test",
        )


def _pick(row: Row, column: str, words: Sequence[str], first: int) -> str:
    """The word that a whole number stands for."""
    number = row.number(column, first, first + len(words) - 1)
    if number is None or number != int(number):
        raise row.fault(f"{column} is {row.text(column)!r}; expected a whole number")
    return words[int(number) - first]


def _label(name: str) -> str | None:
    """The expression that a folder is called by, or None; "3_fear" and "fear" are both fear."""
    try:
        return read_word(name.lstrip("0123456789").lstrip("_-. "))
    except KeyError:
        return None


def _is_by_label(folder: Path) -> bool:
    labels = {_label(file.parent.name) for file in pictures(folder)}
    return bool(labels - {None}) and None not in labels


def _by_label(folder: Path, name: str) -> Iterator[Clip]:
    """angry/1.jpg, or train/angry/1.jpg: the last folder is the expression."""
    parts = {"train": "train", "valid": "valid", "val": "valid", "test": "test"}
    for file in pictures(folder):
        id = file.relative_to(folder).as_posix()
        word = _label(file.parent.name)
        assert word in WORDS
        yield _face(
            name,
            id,
            Span(file),
            word=word,
            part=parts.get(id.split("/")[0].lower(), ""),
            group=_same(Span(file)),
        )


def _same(source: Span | Blob) -> str:
    """Name of the group of all pictures with the same bytes; a missing file is alone."""
    if isinstance(source, Span) and not source.path.is_file():
        return source.path.name
    return hashlib.sha256(source.read()).hexdigest()[:16]
