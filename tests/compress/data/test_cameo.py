"""CAMEO's Parquet files: made here with its columns, from speech that may be shipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgeemo.compress.data import open_dataset, shipped_speech
from edgeemo.errors import BadData, BadInput

CLIPS = shipped_speech().clips[:5]


def write(path: Path, **columns: object) -> Path:
    """Five rows in groups of two; `columns` replace CAMEO's own."""
    n = len(CLIPS)
    table = {
        "file_id": [f"{i}.flac" for i in range(n)],
        "audio": [{"bytes": c.span.read(), "path": f"{i}.flac"} for i, c in enumerate(CLIPS)],
        "emotion": ["anger", "neutral", "sarcasm", "calm", "happiness"],
        "transcription": ["a"] * n,
        "speaker_id": ["1001", "1001", "1002", "1002", "1003"],
        "gender": ["female", "female", "male", "male", "unknown"],
        "age": ["30"] * n,
        "dataset": ["CREMA-D"] * n,
        "language": ["English"] * n,
        "license": ["ODbL 1.0"] * n,
    } | columns
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), path, row_group_size=2)
    return path


def test_rows_are_clips_and_sound_is_read_when_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "data" / "crema_d-00000-of-00001.parquet")
    data = open_dataset(tmp_path)
    assert data.corpora == ("cremad",) and len(data) == 5
    first = data.clips[0]
    assert (first.id, first.speaker, first.sex, first.language) == (
        "cremad/0.flac",
        "cremad/1001",
        "F",
        "en",
    )
    assert [c.emotion for c in data] == ["anger", "neutral", "other", "calm", "happiness"]
    assert [c.votes for c in data][2:4] == [None, {"neutral": 1.0}]
    assert "sarcasm (1)" in caplog.text
    for clip, source in zip(data, CLIPS, strict=True):
        assert np.array_equal(clip.samples(), source.samples())
        assert clip.digest() == source.digest()


def test_one_file_is_a_data_set(tmp_path: Path) -> None:
    file = write(tmp_path / "nemo.parquet", dataset=["nEMO"] * 5)
    assert open_dataset(file).speakers == ("nemo/1001", "nemo/1002", "nemo/1003")


def test_a_speaker_named_with_the_corpus_is_the_same_person(tmp_path: Path) -> None:
    names = ["crema_d_1001", "CREMA-D-1001", "1001", "crema_1001", "cremad_"]
    file = write(tmp_path / "c.parquet", speaker_id=names)
    assert [c.speaker.removeprefix("cremad/") for c in open_dataset(file)] == [
        "1001",
        "1001",
        "1001",
        "crema_1001",
        "cremad_",
    ]


def test_faults_are_told(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", speaker_id=["1", None, "2", "3", "4"])
    with pytest.raises(BadData, match=r"row 1 of group 0: speaker_id is empty"):
        open_dataset(file)
    table = pq.read_table(write(tmp_path / "b.parquet")).drop(["license"])
    pq.write_table(table, tmp_path / "b.parquet")
    with pytest.raises(BadData, match="column 'license' is missing"):
        open_dataset(tmp_path / "b.parquet")
    file = write(tmp_path / "c.parquet", audio=[{"bytes": None, "path": "x"}] * 5)
    with pytest.raises(BadInput, match="row 0 of group 0: holds no sound"):
        open_dataset(file).clips[0].samples()
