"""teacher-open: what its heads are taught, and what the shipped file gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeemo.compress.data import Clip, shipped_speech
from edgeemo.compress.data.word_ratings import RATED_SPREAD, centre
from edgeemo.compress.labels.dataset import LabelledDataset
from edgeemo.compress.labels.labeller import Labeller
from edgeemo.compress.licences import check_open
from edgeemo.compress.recipes import load_recipe
from edgeemo.compress.teachers import Teacher, load_teacher
from edgeemo.compress.teachers.heads import Heads, HeadsSettings
from edgeemo.export.open_teacher import (
    ACTED,
    FOLDERS,
    MOVED,
    READ,
    dimension_targets,
    open_speech,
    scale_of,
    taught,
)
from edgeemo.features import SPECS


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return load_teacher("teacher-open")


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    """Two actors' neutral and other sentences, and four readers."""
    speech = shipped_speech().clips
    acted = [c for c in speech if c.corpus == ACTED]
    people = [
        speaker
        for speaker in sorted({c.speaker for c in acted})
        if "neutral" in {c.emotion for c in acted if c.speaker == speaker}
    ][:2]
    shared = [replace(c, tags={"recognised": "0.8"}) for c in acted if c.speaker in people]
    return [*shared[:8], *[c for c in speech if c.corpus == READ][:4]]


@pytest.fixture(scope="module")
def rows(clips: list[Clip], teacher: Teacher, tmp_path_factory) -> LabelledDataset:
    cache = tmp_path_factory.mktemp("labels")
    recipe = load_recipe("wav2small-stream-open")
    return Labeller(teacher, SPECS["logmel40"], recipe, cache).label(clips)


def test_a_clip_stands_where_its_word_stands_as_far_as_listeners_agree(clips: list[Clip]) -> None:
    sure = [replace(c, tags={"recognised": "1"}) for c in clips]
    doubted = [replace(c, tags={"recognised": "0"}) for c in clips]
    for clip, target, middle in zip(
        clips, dimension_targets(sure), dimension_targets(doubted), strict=True
    ):
        assert np.allclose(target, centre(clip.emotion or "neutral"))
        if clip.corpus == ACTED:
            emotions = {c.emotion for c in clips if c.corpus == ACTED}
            assert np.allclose(middle, np.mean([centre(e or "") for e in emotions], axis=0))


def test_emotions_are_put_on_other_voices(rows: LabelledDataset) -> None:
    acted, read = (rows.take(rows.column("corpus") == name) for name in (ACTED, READ))
    found = taught(rows)
    n = len(acted)
    assert len(found) == (1 + MOVED) * n + len(read)
    assert found.embedding is not None and acted.embedding is not None
    assert read.embedding is not None
    own, moved = (found.embedding[k * n : (k + 1) * n].astype(np.float32) for k in (0, 1))
    assert np.array_equal(own, acted.embedding.astype(np.float32))
    assert np.array_equal(found.human_dimensions[:n], found.human_dimensions[n : 2 * n])
    # The neutral sentences of a speaker are, on average, the read speech they are put on.
    for speaker in set(acted.column("speaker")):
        calm = (acted.column("speaker") == speaker) & (acted.column("emotion") == "neutral")
        if calm.sum() == 1:
            distance = np.abs(moved[calm] - read.embedding.astype(np.float32)).max(1)
            assert distance.min() < 0.05


def test_the_scale_is_that_of_ratings_and_neutral_stays() -> None:
    said = 0.5 + 0.15 * np.random.default_rng(0).standard_normal((500, 3)).astype(np.float32)
    factor = scale_of(said)
    assert np.allclose(said.std(0) * factor, RATED_SPREAD, rtol=1e-5)
    assert (scale_of(said * 3) == 1).all() and (scale_of(said / 100) == 2).all()
    heads = Heads(6, HeadsSettings(members=2, hidden=5)).eval()
    x = torch.randn(9, 6)
    before, classes = heads(x)
    heads.stretch(factor)
    after, same = heads(x)
    assert torch.allclose(after, 0.5 + torch.from_numpy(factor) * (before - 0.5), atol=1e-6)
    assert torch.equal(classes, same)


def test_a_microphones_level_says_nothing(teacher: Teacher, clips: list[Clip]) -> None:
    sound = clips[0].samples()
    said = teacher.label([sound, sound * np.float32(0.03)])
    assert said.dimensions is not None and said.embedding is not None
    assert np.allclose(said.dimensions[0], said.dimensions[1], atol=0.01)
    assert np.allclose(said.embedding[0], said.embedding[1], atol=0.05)


def test_it_may_be_sold_and_so_may_what_it_teaches(teacher: Teacher) -> None:
    assert teacher.licence == "Apache-2.0"
    named = " ".join(teacher.attributions)  # type: ignore[attr-defined]
    for source in ("Whisper", "Emo-DB", "EmoGator", "LibriSpeech", "CREMA-D", "Thorsten"):
        assert source in named


def test_what_taught_it_is_free(corpora: Path, teacher: Teacher) -> None:
    speech = open_speech(corpora)
    assert set(speech.licences) == set(FOLDERS) and len(speech) == 5423
    check_open(load_recipe("wav2small-stream-open"), speech, teacher)
