"""benchmarks/languages.py tells a voice from a recording session, and refuses who was seen."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import edgeemo
from edgeemo import read_audio
from edgeemo.artifacts.teachers_package import need
from edgeemo.compress.data import open_dataset

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.append(str(ROOT / "benchmarks"))  # where benchmarks find what they share

from benchmarks import languages


def test_traces_are_those_of_the_recording_and_not_of_the_voice() -> None:
    file = sorted(need("speech/librispeech").glob("*.ogg"))[0]
    voice = read_audio(file)[:32_000]
    noise = 1e-3 * np.random.default_rng(0).standard_normal(800).astype(np.float32)
    seconds, first, last, quietest = languages.traces(np.concatenate([noise, voice, noise * 10]))
    assert seconds == pytest.approx(2.1)
    assert first == pytest.approx(-60, abs=0.5) and last == pytest.approx(-40, abs=0.5)
    assert quietest < -40


def test_a_session_that_tells_the_class_is_found_out() -> None:
    """Ten speakers whose angry takes are longer: right on those whom the forest has not heard."""
    chance = np.random.default_rng(0)
    truth = ["anger", "neutral"] * 100
    people = [f"{i // 20}" for i in range(200)]
    marks = chance.standard_normal((200, 4))
    assert languages.uar_of_traces(marks, truth, people) == pytest.approx(0.5, abs=0.12)
    marks[::2, 0] += 6
    found = languages.uar_of_traces(marks, truth, people)
    assert found is not None and found > 0.95
    assert languages.uar_of_traces(marks, truth, ["one"] * 200) is None


def test_an_area_counts_the_clips_that_are_high_or_low() -> None:
    high = [True, True, False, None, False]
    assert languages.area(high, [0.9, 0.4, 0.5, 9.0, 0.1]) == 0.75
    assert languages.area([True, None], [1.0, 0.0]) is None


def test_a_corpus_that_taught_the_model_is_refused() -> None:
    session = edgeemo.load(languages.MODEL)
    with pytest.raises(SystemExit, match="seen in training"):
        languages.row(session, open_dataset(need("speech/librispeech")))


def test_one_corpus_gives_its_row(corpora: Path) -> None:
    found = languages.row(
        edgeemo.load(languages.MODEL), open_dataset(corpora / "speech" / "selvas")
    )
    assert (found["corpus"], found["languages"], found["classes"]) == ("selvas", ["ko"], 4)
    assert found["arousal_auc"] > 0.6 and 0.2 < found["uar"] < 0.5
