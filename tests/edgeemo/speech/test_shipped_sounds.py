"""wav2small-stream-sounds, as it is shipped: who speaks, who laughs, and the same emotion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgeemo
from edgeemo import Session
from edgeemo.compress.data import open_dataset, shipped_speech
from edgeemo.compress.data.sounds import sound_of

NAME = "wav2small-stream-sounds"


@pytest.fixture(scope="module", params=("onnx", "tflite", "c"))
def session(request: pytest.FixtureRequest) -> Session:
    return edgeemo.load(NAME, request.param)


def test_it_hears_speech_and_says_of_it_what_the_default_says(session: Session) -> None:
    clips = shipped_speech().clips[::10]
    default = edgeemo.load("wav2small-stream", session.backend.name)
    said = [session.predict(clip.samples()) for clip in clips]
    assert np.mean([bool(e.speech) and e.sounds["speech"] > 0.5 for e in said]) > 0.9
    for each, clip in zip(said, clips, strict=True):
        want = default.predict(clip.samples())
        if each.speech and want.speech:
            assert each.arousal == pytest.approx(want.arousal, abs=0.1)
            assert each.valence == pytest.approx(want.valence, abs=0.15)


def test_laughs_are_no_speech(session: Session, corpora: Path) -> None:
    clips = open_dataset(corpora / "speech" / "vocal").clips
    laughs = [clip for clip in clips if sound_of(clip) == "laughter"][:12]
    assert laughs
    said = [session.predict(clip.samples()) for clip in laughs]
    assert not any(e.speech for e in said)
    likeliest = [max(e.sounds, key=e.sounds.__getitem__) for e in said if e.sounds]
    assert likeliest.count("laughter") > 0.8 * len(laughs)


def test_its_card_is_its_own_and_names_the_music(session: Session) -> None:
    card = session.card
    assert card.name == NAME and "research" in card.licence
    assert {source.name for source in card.data} >= {"emogator", "music"}
    assert any(text.startswith("music (CC BY-SA 3.0") for text in card.attributions)
