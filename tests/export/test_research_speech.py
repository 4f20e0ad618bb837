"""The clips that teach the models for research."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgeemo.artifacts.teachers_package import need
from edgeemo.compress.data import DataSet
from edgeemo.compress.data.folds import deal
from edgeemo.compress.teachers.heads import text_independent
from edgeemo.export.research_speech import research_speech

ASKED = ("amusement", "anger", "triumph", "fear")
COLUMNS = ("path", "speaker", "sex", "language", "text_id", "emotion", "seconds", "burst")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One corpus of speech, and four sounds under the columns of emogator."""
    shutil.copytree(need("speech/cremad"), tmp_path / "speech" / "cremad")
    folder = tmp_path / "voices" / "emogator"
    folder.mkdir(parents=True)
    sounds = sorted(need("speech/emodb_full").glob("*.flac"))[: len(ASKED)]
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for i, (sound, burst) in enumerate(zip(sounds, ASKED, strict=True)):
            shutil.copy(sound, folder)
            table.writerow([sound.name, f"p{i}", "", "", "", "", "1.0", burst])
    return tmp_path


def test_bursts_stand_beside_speech_with_the_class_that_was_asked_for(data: Path) -> None:
    found = research_speech(data)
    assert isinstance(found, DataSet)
    bursts = [c for c in found if c.corpus == "emogator"]
    assert [c.emotion for c in bursts] == ["happiness", "anger", None, "fear"]
    assert [c.votes for c in bursts] == [{"happiness": 1.0}, {"anger": 1.0}, None, {"fear": 1.0}]
    assert all(c.dimensions is None and np.isfinite(c.samples()).all() for c in bursts)
    assert {c.corpus for c in found} == {"cremad", "emogator"}
    assert len(deal(bursts, 2, 0)) == 2


def test_no_words_give_a_burst_away_so_each_teaches_the_heads(data: Path) -> None:
    bursts = [c for c in research_speech(data) if c.corpus == "emogator"]
    assert text_independent(bursts).all()
