"""A small teacher that is real (it hears sound and differs by clip), and rows that it labelled."""

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from edgeemo.compress.data import shipped_speech
from edgeemo.compress.labels.labeller import Labeller
from edgeemo.compress.recipes import SCHEMA, DistillConfig, Recipe, StudentConfig
from edgeemo.compress.students import Student, StudentOutput, register_student, time_mask
from edgeemo.compress.teachers.base import TeacherOutput
from edgeemo.features import SPECS, log_mel
from tests.compress.faces import write_table
from tests.compress.tars import copies, label, labelled, tars  # noqa: F401


class Ear:
    """Statistics of the log-mel through a fixed random map: labels that a net can learn."""

    name, licence = "ear", "CC0-1.0"

    def __init__(self, scale=1.0):
        rng = np.random.default_rng(3)
        self.maps = [rng.normal(size=(80, n)) / 9 for n in (3, 8, 6)]
        self.scale = scale
        self.digest = hashlib.sha256(f"ear {scale}".encode()).hexdigest()
        self.heard = 0

    def label(self, clips):
        self.heard += len(clips)
        frames = [log_mel(clip) / 3 + 2 for clip in clips]
        x = np.stack([np.concatenate([f.mean(0), f.std(0)]) for f in frames])
        dimensions, logits, embedding = (x @ m for m in self.maps)
        probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        return TeacherOutput(
            dimensions=(0.5 + 0.2 * self.scale * dimensions).astype(np.float32),
            probs=probs.astype(np.float32),
            embedding=embedding.astype(np.float32),
            # Tokens at 25 a second: means of four frames.
            tokens=tuple(
                f[: len(f) // 4 * 4].reshape(-1, 4, 40).mean(1)[:, :5].astype(np.float16)
                for f in frames
            ),
            tokens_per_second=25.0,
        )


@pytest.fixture(scope="session")
def ear():
    return Ear


@pytest.fixture(scope="session")
def recipe():
    return Recipe(
        schema=SCHEMA,
        seed=7,
        student=StudentConfig("probe"),
        distill=DistillConfig(epochs=2, pretrain=1, batch=16, lr=5e-3, ema_decay=0.9),
    )


@pytest.fixture(scope="session")
def some_clips():
    """Some sixty clips of many people, of the speech that is shipped."""
    return shipped_speech().clips[::5]


@pytest.fixture(scope="session")
def rows(tmp_path_factory, recipe, some_clips):
    cache = tmp_path_factory.mktemp("labels")
    return Labeller(Ear(), SPECS["logmel40"], recipe, cache).label(some_clips, copies=2)


@register_student("probe")
class Probe(Student):
    """The smallest student that uses all that training offers: norms, dropout, tokens, masks."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.options, self.spec, self.stride, self.receptive = {}, SPECS["logmel40"], 4, 4
        self.conv = nn.Conv1d(40, width, 4, stride=4)
        self.norm = nn.BatchNorm1d(width)
        self.drop = nn.Dropout(0.1)
        self.adv, self.classes = nn.Linear(width, 3), nn.Linear(width, 8)

    def forward(self, features, lengths=None):
        if lengths is None:
            lengths = torch.full((len(features),), features.shape[1], device=features.device)
        x = self.norm(self.conv(features.transpose(1, 2) / 4 + 2)).relu()
        mask = time_mask(lengths // 4, x.shape[2])[:, None]
        pooled = self.drop((x * mask).sum(2) / mask.sum(2).clamp(min=1))
        return StudentOutput(
            self.adv(pooled), self.classes(pooled), pooled, x.transpose(1, 2), lengths // 4
        )


@pytest.fixture(scope="session")
def face_table(tmp_path_factory):
    """A folder of two Parquet tables of faces."""
    return write_table(tmp_path_factory.mktemp("faces"))
