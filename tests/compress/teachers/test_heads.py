"""Heads of several networks: the mean of their members; which clips teach categories."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from edgeemo.compress.data import shipped_speech
from edgeemo.compress.data.sounds import burst_class
from edgeemo.compress.teachers.heads import Heads, HeadsSettings, chances, text_independent
from edgeemo.export.builtin_teacher import can_teach


def test_heads_are_the_mean_of_their_members() -> None:
    heads = Heads(6, HeadsSettings(members=3, hidden=8)).eval()
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    dimensions, probs = heads(x)
    each = heads.outputs(x[None].expand(3, -1, -1))
    assert torch.allclose(dimensions, each[:, :, :3].mean(0))
    assert torch.allclose(probs.sum(1), torch.ones(4))


def test_only_sentences_said_in_several_emotions_teach_categories() -> None:
    clips = list(shipped_speech().clips)
    free = text_independent(clips)
    by_corpus = {c.corpus: f for c, f in zip(clips, free, strict=True)}
    assert by_corpus["cremad"] and by_corpus["emodb_full"]
    # Every sentence of LibriSpeech is said once, without an emotion.
    assert not by_corpus["librispeech"]


def test_a_clip_teaches_by_ratings_or_by_a_category_that_its_words_do_not_tell() -> None:
    clips = list(shipped_speech().clips)
    rated = [replace(clips[0], dimensions=(0.5, 0.5, 0.5), votes=None, text_id=None)]
    teaches = can_teach([*clips, *rated])
    by_corpus = {c.corpus: t for c, t in zip(clips, teaches, strict=False)}
    assert by_corpus["emodb_full"] and not by_corpus["librispeech"] and teaches[-1]


def test_each_class_of_bursts_is_drawn_as_often_as_another() -> None:
    speech = [c for c in shipped_speech().clips if c.corpus == "cremad"][:4]
    words = ["anger", "anger", "anger", "fear", "elation", "contentment", "amusement", "relief"]
    bursts = [replace(speech[0], tags={"burst": word}) for word in words]
    kinds = [burst_class(clip) for clip in (*speech, *bursts)]
    drawn = chances(kinds, 0.6)
    # Of what people were asked for, relief is none of the classes.
    assert np.allclose(drawn[:4], 0.4 / 5) and np.isclose(drawn[-1], 0.4 / 5)
    assert np.allclose([drawn[4:7].sum(), drawn[7], drawn[8:11].sum()], 0.2)
    assert np.allclose(chances(kinds[:4], 0.6), 1 / 4)
    assert np.isclose(chances(kinds[4:7], 0.6)[0], 1 / 3)


def test_clips_as_they_are_are_the_share_that_is_asked_for() -> None:
    assert np.allclose(chances(["clean", "", "", ""], 0.4), [0.4, 0.2, 0.2, 0.2])
    assert np.allclose(chances(["clean"] * 4, 0.4), 0.25)
