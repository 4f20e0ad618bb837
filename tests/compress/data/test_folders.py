"""What open_dataset takes a folder for."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeemo.compress.data import open_dataset
from edgeemo.errors import BadData


def test_plain_folder_takes_speakers_from_folders(
    tmp_path: Path, place, caplog: pytest.LogCaptureFixture
) -> None:
    place("ann/1.wav", "ann/2.flac", "bob/x/1.ogg", ".trash/1.wav")
    (tmp_path / "ann" / "notes.txt").write_text("no sound")
    data = open_dataset(tmp_path)
    name = tmp_path.name
    assert [(clip.id, clip.speaker) for clip in data] == [
        ("ann/1.wav", f"{name}/ann"),
        ("ann/2.flac", f"{name}/ann"),
        ("bob/x/1.ogg", f"{name}/bob/x"),
    ]
    assert all(clip.emotion is clip.votes is clip.dimensions is None for clip in data)
    assert not caplog.messages


def test_loose_files_are_speakers_of_their_own_with_a_warning(
    tmp_path: Path, place, caplog: pytest.LogCaptureFixture
) -> None:
    place("1.wav", "2.wav")
    assert len(open_dataset(tmp_path).speakers) == 2
    assert "2 files lie in no subfolder" in caplog.text


def test_union_prefixes_ids_and_keeps_people_together(
    tmp_path: Path, place, caplog: pytest.LogCaptureFixture
) -> None:
    for corpus, speakers in {
        "emodb": "03",
        "emodb_full": "03",
        "selvas": "nea",
        "tess": "YAF",
    }.items():
        place(f"{corpus}/a.wav")
        (tmp_path / corpus / "labels.csv").write_text(f"path,speaker\na.wav,{speakers}\n")
    place("ravdess/Actor_02/03-01-05-01-02-01-02.wav", "loose/a.wav")
    data = open_dataset(tmp_path)
    assert [(clip.id, clip.speaker, clip.group) for clip in data] == [
        ("emodb/a.wav", "emodb/03", "emodb/03"),
        ("emodb_full/a.wav", "emodb/03", "emodb/03"),
        ("ravdess/Actor_02/03-01-05-01-02-01-02.wav", "ravdess/02", "ravdess/02"),
        ("selvas/a.wav", "selvas/ema", "selvas/ema"),
        ("tess/a.wav", "tess/YAF", "tess"),
    ]
    assert data.licences["emodb_full"] == "CC0 1.0"
    assert "left out (loose)" in caplog.text


def test_nothing_to_open(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="no such file or folder"):
        open_dataset(tmp_path / "none")
    with pytest.raises(BadData, match="holds no sound"):
        open_dataset(tmp_path)
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(BadData, match="is a file; expected a folder"):
        open_dataset(tmp_path / "a.zip")


def test_research_corpora_open_as_their_page_says(corpora: Path) -> None:
    data = open_dataset(corpora / "speech")
    # From the page beside the data: clips, and speakers of whom four are counted twice there
    # (emodb_full's ten are emodb's, two of selvas may be two others).
    assert len(data) == 9957
    clips = {name: [c for c in data if c.corpus == name] for name in data.corpora}
    assert {name: len(c) for name, c in clips.items()} == {
        "ased": 2040,
        "cremad": 12,
        "emodb": 535,
        "emodb_full": 362,
        "emotale": 625,
        "kread": 433,
        "librispeech": 305,
        "nemo": 1572,
        "ravdess_full": 1200,
        "selvas": 260,
        "tess": 700,
        "thorsten": 8,
        "turev": 1407,
        "vocal": 498,
    }
    assert {c.speaker for c in clips["emodb"]} == {c.speaker for c in clips["emodb_full"]}
    assert len({c.speaker for c in clips["selvas"]}) == 11
    assert {c.group for c in clips["kread"]} == {"kread"}
    rated = clips["emotale"]
    assert sum(c.dimensions[0] for c in rated if c.dimensions) / 625 == pytest.approx(
        0.485, abs=5e-4
    )
    assert sum(c.dimensions[1] for c in rated if c.dimensions) / 625 == pytest.approx(
        0.448, abs=5e-4
    )
    assert sum(c.dimensions[2] for c in rated if c.dimensions) / 625 == pytest.approx(
        0.405, abs=5e-4
    )
    assert all(c.dimensions is None for c in data if c.corpus != "emotale")


def test_links_lead_nowhere_else(tmp_path: Path, place, caplog: pytest.LogCaptureFixture) -> None:
    place("in/ann/1.wav", "out/secret.wav")
    ann = tmp_path / "in" / "ann"
    (ann / "again.wav").symlink_to("1.wav")
    (ann / "secret.wav").symlink_to(tmp_path / "out" / "secret.wav")
    (ann / "gone.wav").symlink_to(tmp_path / "nothing.wav")
    (tmp_path / "in" / "more").symlink_to(tmp_path / "out")
    data = open_dataset(tmp_path / "in")
    assert [clip.id for clip in data] == ["ann/1.wav", "ann/again.wav"]
    (said,) = caplog.messages
    assert "not followed: 3 links to" in said


def test_a_corpus_behind_a_link_is_no_part_of_a_union(
    tmp_path: Path, place, caplog: pytest.LogCaptureFixture
) -> None:
    place("in/own/a.wav", "out/a.wav")
    for folder in ("in/own", "out"):
        (tmp_path / folder / "labels.csv").write_text("path,speaker,emotion\na.wav,1,fear\n")
    (tmp_path / "in" / "other").symlink_to(tmp_path / "out")
    assert [clip.id for clip in open_dataset(tmp_path / "in")] == ["own/a.wav"]
    (said,) = caplog.messages
    assert "not followed: 1 link to" in said


def test_a_folder_that_is_a_link_itself_is_read(tmp_path: Path, place) -> None:
    place("real/ann/1.wav")
    (tmp_path / "link").symlink_to("real")
    assert [clip.id for clip in open_dataset(tmp_path / "link")] == ["ann/1.wav"]
