"""Heads of several networks: the mean of their members; which clips teach categories."""

from __future__ import annotations

import torch

from edgeemo.compress.data import shipped_speech
from edgeemo.compress.teachers.heads import Heads, HeadsSettings, text_independent


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
