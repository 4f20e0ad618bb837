"""The shipped speech is whole, readable, labelled, and free to pass on."""

from __future__ import annotations

from collections import Counter

import numpy as np

from edgeemo.artifacts.teachers_package import need
from edgeemo.compress.data import open_dataset, shipped_speech
from edgeemo.types import CLASSES

SPEECH = need("speech")


def test_it_is_what_its_page_says() -> None:
    data = shipped_speech()
    assert (len(data), len(data.speakers)) == (285, 73)
    assert dict(data.licences) == {
        "cremad": "ODbL 1.0 and DbCL 1.0",
        "emodb_full": "CC0 1.0",
        "librispeech": "CC BY 4.0",
        "thorsten": "CC0 1.0",
    }
    page = (SPEECH / "README.md").read_text()
    for corpus, clips in Counter(clip.corpus for clip in data).items():
        assert f"| `{corpus}` | {clips} |" in page
    files = {p for p in SPEECH.rglob("*") if p.suffix in (".flac", ".ogg")}
    assert files == {clip.span.path for clip in data}
    assert sum(p.stat().st_size for p in SPEECH.rglob("*") if p.is_file()) < 7_000_000


def test_every_clip_is_sound_of_the_stated_length() -> None:
    for clip in shipped_speech():
        samples = clip.samples()
        assert clip.seconds is not None
        assert abs(len(samples) / 16000 - clip.seconds) < 0.02, clip.id
        assert 0.02 < np.max(np.abs(samples)) <= 1.3, clip.id


def test_emotions_and_speakers_are_covered() -> None:
    data = shipped_speech()
    found = {clip.emotion for clip in data}
    assert set(CLASSES) - found == {"contempt"}
    spoken = Counter((clip.speaker, clip.emotion) for clip in data if clip.corpus == "emodb_full")
    for emotion in ("anger", "happiness", "neutral", "sadness"):
        assert sum(1 for who, what in spoken if what == emotion) == 10


def test_the_copies_are_those_of_the_research_corpora(corpora) -> None:
    """Labels cached for one copy of a clip hold for the other."""
    theirs = {clip.id: clip for clip in open_dataset(corpora / "speech")}
    for clip in shipped_speech().clips[::20]:
        assert theirs[clip.id].digest() == clip.digest()
        assert theirs[clip.id].speaker == clip.speaker
