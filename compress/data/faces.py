"""Pictures of faces as they are distributed, known by their label files.

Understood are FER+ (folders with votes; `fer2013.csv`, alone or with `fer2013new.csv`; Parquet
tables with votes or an expression), AffectNet (both releases), RAF-DB, and a folder whose
subfolders are called by expressions. Only the tables say who is in a picture; elsewhere each
picture counts as a person of its own. Pictures that are the same byte by byte stay together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from edgeemo.errors import BadData, nearest

from .affectnet import find_list, read_affectnet, read_affectnet_arrays
from .clips import Clip, Span
from .emotions import SPELLED, WORDS, read_word
from .face_clips import duplicate_group, face_clip, numbered_word, pictures
from .fer import is_ferplus, read_fer2013, read_ferplus, read_parquet, read_parquet_folder
from .tables import Row, relative_path

_RAFDB = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")  # from 1 on

_MISSPELLED = 0.85
"""Likeness of a folder's name to an expression from which on it is no name of a person or place."""


def read_faces(folder: Path, name: str) -> list[Clip] | None:
    """Faces of a folder that one of the readers knows, else None.

    Args:
        folder: of the corpus.
        name: of the corpus, for readers whose layout does not name it.

    Raises:
        BadData: labels are wrong; the message has file and line.
    """
    readers: tuple[tuple[Callable[[Path], bool], Callable[[Path, str], Iterator[Clip]]], ...] = (
        (is_ferplus, lambda f, _: read_ferplus(f)),
        (lambda f: (f / "fer2013.csv").is_file(), lambda f, _: read_fer2013(f)),
        (lambda f: any(f.glob("*.parquet")), read_parquet_folder),
        (lambda f: find_list(f, "training") is not None, lambda f, _: read_affectnet(f)),
        (lambda f: any(f.rglob("annotations/*_exp.npy")), lambda f, _: read_affectnet_arrays(f)),
        (lambda f: _rafdb_list(f) is not None, lambda f, _: _rafdb(f)),
        (_is_by_label, _by_label),
    )
    for knows, read in readers:
        if knows(folder):
            return list(read(folder, name))
    return None


def read_tables(files: Sequence[Path], corpus: str) -> list[Clip]:
    """Faces of Parquet tables, see `fer.read_parquet`.

    Args:
        files: the tables.
        corpus: name of the corpus.

    Raises:
        BadData: a file is no such table.
    """
    return [clip for file in files for clip in read_parquet(file, corpus)]


def plain_faces(folder: Path, corpus: str) -> Iterator[Clip]:
    """Pictures of a folder and its subfolders, without labels.

    Args:
        folder: of the pictures.
        corpus: name of the corpus.
    """
    for file in pictures(folder):
        yield face_clip(corpus, file.relative_to(folder).as_posix(), Span(file))


def _rafdb_list(folder: Path) -> Path | None:
    # Spelt so in the release.
    found = [*folder.rglob("list_patition_label.txt"), *folder.rglob("list_partition_label.txt")]
    return found[0] if found else None


def _rafdb(folder: Path) -> Iterator[Clip]:
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
        yield face_clip(
            "rafdb",
            cells[0],
            Span(image),
            word=numbered_word(row, "label", _RAFDB, 1),
            split="train" if stem.startswith("train") else "test",
        )


def _word(name: str) -> str:
    """A folder's name without its number: "3_fear" and "fear" are both fear."""
    return name.lstrip("0123456789").lstrip("_-. ")


def _label(name: str) -> str | None:
    """The expression that a folder is called by, or None."""
    try:
        return read_word(_word(name))
    except KeyError:
        return None


def _is_by_label(folder: Path) -> bool:
    """Whether a subfolder is called by an expression, or by what can only be one misspelled."""
    names = {file.parent.name for file in pictures(folder)}
    return any(
        _label(name) or get_close_matches(_word(name).lower()[:100], SPELLED, 1, _MISSPELLED)
        for name in names
    )


def _by_label(folder: Path, name: str) -> Iterator[Clip]:
    """angry/1.jpg, or train/angry/1.jpg: the last folder is the expression.

    Raises:
        BadData: a folder of pictures is called by no expression.
    """
    for file in pictures(folder):
        if _label(file.parent.name) is None:
            hint = nearest(_word(file.parent.name).lower(), SPELLED, "expressions")
            raise BadData(
                f"{file.parent}: {file.parent.name!r} is no expression, as each folder of pictures "
                f"here must be; {hint}"
            )
    splits = {"train": "train", "valid": "valid", "val": "valid", "test": "test"}
    for file in pictures(folder):
        id = file.relative_to(folder).as_posix()
        word = _label(file.parent.name)
        assert word in WORDS
        yield face_clip(
            name,
            id,
            Span(file),
            word=word,
            split=splits.get(id.split("/")[0].lower(), ""),
            group=duplicate_group(Span(file)),
        )
