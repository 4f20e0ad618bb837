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
    READ,
    STRANGERS,
    dimension_targets,
    level_and_scale,
    open_speech,
    taught,
)
from edgeemo.features import SPECS
from edgeemo.types import CLASSES


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


def test_dimensions_come_from_acted_speech_and_classes_from_all(rows: LabelledDataset) -> None:
    found = taught(rows)
    corpus = found.column("corpus")
    assert set(corpus) == {ACTED, READ}
    assert (~np.isnan(found.human_dimensions).any(1) == (corpus == ACTED)).all()
    named = [c.corpus == READ or c.emotion in CLASSES for c in found.clips]
    assert (~np.isnan(found.votes).any(1) == named).all()


def test_listeners_votes_place_a_stranger(clips: list[Clip]) -> None:
    heard = replace(clips[0], corpus=STRANGERS[0], votes={"anger": 0.75, "neutral": 0.25})
    target = dimension_targets([heard, replace(heard, votes=None)])
    assert np.allclose(
        target[0], 0.75 * np.array(centre("anger")) + 0.25 * np.array(centre("neutral"))
    )
    assert np.isnan(target[1]).all()


def test_spread_and_mean_of_strangers_are_brought_to_those_of_ratings() -> None:
    rng = np.random.default_rng(0)
    corpus = np.repeat([*STRANGERS, READ], (300, 100, 100))
    said = (0.4 + 0.15 * rng.standard_normal((500, 3))).astype(np.float32)
    targets = np.where(corpus[:, None] == READ, 0.5, 0.6).repeat(3, 1).astype(np.float32)
    targets[::7] = np.nan
    factor, offset = level_and_scale(said, corpus, targets)
    after = 0.5 + factor * (said - 0.5) + offset
    assert np.allclose(after[corpus != READ].std(0), RATED_SPREAD, rtol=1e-5)
    # A corpus counts once, however many clips it has.
    wanted = (0.6 + 0.6 + 0.5) / 3
    assert np.allclose(
        np.mean([after[corpus == c].mean(0) for c in (*STRANGERS, READ)], 0), wanted, atol=0.02
    )
    assert (level_and_scale(said * 3, corpus, targets)[0] == 1).all()
    assert (level_and_scale(said / 100, corpus, targets)[0] == 2).all()


def test_heads_are_rescaled_and_their_classes_stay() -> None:
    heads = Heads(6, HeadsSettings(members=2, hidden=5)).eval()
    x = torch.randn(9, 6)
    before, classes = heads(x)
    factor, offset = np.array([1.2, 1, 1.5], np.float32), np.array([0.1, 0, -0.2], np.float32)
    heads.rescale(factor, offset)
    after, same = heads(x)
    wanted = 0.5 + torch.from_numpy(factor) * (before - 0.5) + torch.from_numpy(offset)
    assert torch.allclose(after, wanted, atol=1e-6)
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
