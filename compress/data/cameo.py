"""CAMEO (amu-cai/CAMEO): thirteen corpora of emotional speech as Parquet files, one a split.

Columns: file_id, audio (bytes of a sound file, and its name), emotion, transcription, speaker_id,
gender, age, dataset, language, license. Each corpus keeps its own name, so that its people are the
same as in other copies. The collection has no parts for training and test.

Source: I. Christop and M. Czajka, CAMEO, arXiv 2505.11051, and the data set's page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from edgeemo.errors import BadData, BadInput, one_line, require

from .clips import LOG, Clip
from .corpus_info import licence_of, speaker_and_group
from .emotions import read_word, share_votes
from .tables import Row

COLUMNS = ("file_id", "emotion", "speaker_id", "gender", "age", "dataset", "language", "license")
"""What is read of a row before its sound."""

_LANGUAGES = {
    "bengali": "bn",
    "english": "en",
    "french": "fr",
    "german": "de",
    "italian": "it",
    "polish": "pl",
    "russian": "ru",
    "spanish": "es",
}
_SEX = {"female": "F", "male": "M"}
_LONGEST_BYTES = 1 << 28


@dataclass(frozen=True)
class Cell:
    """The sound in one row of a Parquet file, read when it is asked for.

    Attributes:
        path: the file.
        group: number of its row group.
        row: in the group.
    """

    path: Path
    group: int
    row: int

    def read(self) -> bytes:
        """The bytes.

        Raises:
            BadInput: the file is gone or damaged, or the row holds no sound.
        """
        try:
            value = _sounds(self.path, self.group)[self.row]
        except (OSError, ValueError, IndexError) as error:
            raise BadInput(f"{self.path}: cannot be read ({one_line(error)})") from None
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes) or not 0 < len(data) <= _LONGEST_BYTES:
            raise BadInput(f"{self.path}, row {self.row} of group {self.group}: holds no sound")
        return data


@lru_cache(maxsize=2)  # clips are read in order
def _sounds(path: Path, group: int) -> list[Any]:
    pq = require("pyarrow.parquet", "train")
    with pq.ParquetFile(path) as file:
        return list(file.read_row_group(group, columns=["audio"]).column(0).to_pylist())


def find_cameo(path: Path) -> list[Path]:
    """The Parquet files of a folder, or the one given, if they hold sound in CAMEO's columns."""
    files = [path] if path.suffix == ".parquet" else sorted(path.rglob("*.parquet"))
    if not files:
        return []
    pq = require("pyarrow.parquet", "train")
    try:
        names = set(pq.read_schema(files[0]).names)
    except (OSError, ValueError):
        return []
    return files if {"audio", "emotion", "speaker_id", "dataset"} <= names else []


def read_cameo(files: Sequence[Path]) -> Iterator[Clip]:
    """Clips of Parquet files; ids are "dataset/file_id".

    Args:
        files: of `find_cameo`.

    Raises:
        BadData: a file is damaged or lacks a column, or a row names no speaker.
    """
    foreign: dict[str, int] = {}
    for path in files:
        for cell, values in _rows(path):
            row = Row(f"{path}, row {cell.row} of group {cell.group}", values)
            yield _clip(row, cell, foreign)
    if foreign:
        words = ", ".join(f"{word} ({count})" for word, count in sorted(foreign.items()))
        LOG.warning("emotions that name no class count as other: %s", words[:400])


def _rows(path: Path) -> Iterator[tuple[Cell, dict[str, str]]]:
    pq = require("pyarrow.parquet", "train")
    try:
        with pq.ParquetFile(path) as file:
            missing = [name for name in COLUMNS if name not in file.schema_arrow.names]
            if missing:
                raise BadData(f"{path}: column {missing[0]!r} is missing; see amu-cai/CAMEO")
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group, columns=list(COLUMNS)).to_pylist()
                for number, row in enumerate(rows):
                    values = {k: str(v) for k, v in row.items() if v is not None}
                    yield Cell(path, group, number), values
    except (OSError, ValueError) as error:  # pyarrow's errors are among these
        raise BadData(f"{path}: not a Parquet table ({one_line(error)})") from None


def _corpus(dataset: str) -> str:
    """The name of a corpus in edgeemo: "CREMA-D" is "cremad"."""
    return re.sub(r"[^a-z0-9]", "", dataset.lower())


def _own_name(corpus: str, name: str) -> str:
    """A speaker's name in the corpus: that of "crema_d_1001" is "1001"."""
    for separator in re.finditer(r"[_-]", name):
        if _corpus(name[: separator.start()]) == corpus:
            return name[separator.end() :] or name
    return name


def _clip(row: Row, cell: Cell, foreign: dict[str, int]) -> Clip:
    corpus = _corpus(row.text("dataset") or "cameo")
    name = row.text("speaker_id")
    if name is None:
        raise row.fault("speaker_id is empty; expected a name")
    speaker, group = speaker_and_group(corpus, _own_name(corpus, name))
    text = row.text("emotion") or ""
    try:
        emotion = read_word(text) if text else None
    except KeyError:
        emotion = "other"
        foreign[text] = foreign.get(text, 0) + 1
    votes, other = share_votes([(emotion, 1.0)] if emotion else [])
    return Clip(
        id=f"{corpus}/{row.text('file_id') or f'{cell.path.stem}-{cell.group}-{cell.row}'}",
        corpus=corpus,
        speaker=speaker,
        span=cell,
        sex=_SEX.get((row.text("gender") or "").lower()),
        language=_LANGUAGES.get((row.text("language") or "").lower()),
        emotion=emotion,
        votes=votes,
        other=other,
        licence=row.text("license") or licence_of(corpus),
        group=group,
        tags={k: row.values[k] for k in ("age", "emotion") if row.text(k)},
    )
