"""What teaches the built-in teacher's heads, and that the folds of a benchmark judge strangers."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeemo.artifacts.onnx import read_onnx
from edgeemo.compress.data import DataSet, shipped_speech
from edgeemo.compress.labels.dataset import LabelledDataset
from edgeemo.compress.recipes import load_recipe
from edgeemo.compress.teachers import load_teacher
from edgeemo.compress.teachers.builtin import BuiltinTeacher
from edgeemo.compress.teachers.heads import Heads, HeadsSettings, fit_heads
from edgeemo.export import builtin_teacher
from edgeemo.export.whisper_encoder import WhisperEncoder
from edgeemo.features import WHISPER80, log_mel
from tests.compress.whisper import WIDTH, whisper

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "benchmarks"))  # where benchmarks find what they share

import teacher as benchmark

RATED, READ = "cremad", "librispeech"


@pytest.fixture(scope="module")
def data() -> DataSet:
    """Twelve rated clips, and readers who teach nothing."""
    speech = shipped_speech()
    rated = [c for c in speech if c.corpus == RATED][:12]
    rng = np.random.default_rng(0)
    return replace(speech, clips=(
        *(replace(c, dimensions=tuple(rng.random(3))) for c in rated),
        *(c for c in speech if c.corpus == READ),
    ))  # fmt: skip


@pytest.fixture(scope="module")
def rows(data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> LabelledDataset:
    """Labelled by the shipped file, whose backbone it is."""
    recipe = load_recipe(ROOT / "tools" / "recipes" / "teacher" / "recipe.toml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtin_teacher, "backbone_teacher", lambda _: load_teacher("builtin"))
        cache = tmp_path_factory.mktemp("labels")
        return builtin_teacher.builtin_rows(None, data, recipe, cache)  # type: ignore[arg-type]


def test_ratings_of_the_clip_stand_on_the_features_of_its_changed_copy(
    rows: LabelledDataset,
) -> None:
    clean, changed = rows.take(rows.copy == 0), rows.take(rows.copy == 1)
    assert set(rows.column("corpus")) == {RATED} and len(clean) == len(changed) == 12
    assert np.array_equal(clean.human_dimensions, changed.human_dimensions)
    assert np.array_equal(clean.votes, changed.votes) and np.isfinite(changed.votes).all()
    assert clean.embedding is not None and changed.embedding is not None
    apart = np.abs(clean.embedding.astype(float) - changed.embedding).mean(1)
    assert (apart > 0.005).all()
    # Readers teach nothing and speak behind the others.
    assert any(name.startswith(READ) for name in rows.partner)


def test_nobody_of_a_fold_teaches_its_heads(
    data: DataSet, rows: LabelledDataset, tmp_path: Path
) -> None:
    few = HeadsSettings(members=1, hidden=4, steps=3)
    bench = benchmark.Bench(None, data, rows, tmp_path)  # type: ignore[arg-type]
    unseen = {min(rows.column("group"))}
    others = rows.take(~np.isin(rows.column("group"), list(unseen)))
    others = others.take(~np.isin(others.partner, list(unseen)))
    # The mean of what teaches the heads is in them.
    want = fit_heads(others, few, 5).mean
    assert torch.equal(bench.heads(unseen, few, 5).mean, want)
    assert not torch.equal(bench.heads(set(), few, 5).mean, want)


def test_dimensions_and_classes_have_networks_of_their_own(
    rows: LabelledDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = HeadsSettings(members=1, hidden=4, steps=3)
    for name in ("DIMENSION_HEADS", "CLASS_HEADS"):
        monkeypatch.setattr(builtin_teacher, name, few)
    heads = builtin_teacher.builtin_heads(rows, 3)
    x = torch.ones(2, 384)
    dimensions, probs = heads(x)
    assert torch.equal(dimensions, heads.dimensions(x)[0]) and heads.gives_classes
    assert torch.equal(probs, heads.classes(x)[1])
    assert not torch.equal(probs, heads.dimensions(x)[1])


def test_a_file_says_what_its_heads_say_in_torch(data: DataSet, tmp_path: Path) -> None:
    torch.manual_seed(0)
    few = HeadsSettings(members=2, hidden=16)
    heads = builtin_teacher.SplitHeads(Heads(WIDTH, few), Heads(WIDTH, few)).eval()
    heads.round()
    base = builtin_teacher.BackboneModel(WhisperEncoder(whisper())).eval()
    path = tmp_path / "teacher.onnx"
    path.write_bytes(builtin_teacher.teacher_file(base, heads, data, ()))
    file = read_onnx(path)
    clips = [clip.samples() for clip in list(data)[:3]]
    said = BuiltinTeacher(file.data, "small", file.card.licence).label(clips)
    with torch.no_grad():
        features = [torch.from_numpy(log_mel(clip, WHISPER80))[None] for clip in clips]
        want = [heads(base(each)[0]) for each in features]
    assert said.dimensions is not None and said.probs is not None
    assert np.allclose(said.dimensions, np.concatenate([d for d, _ in want]), atol=1e-5)
    assert np.allclose(said.probs, np.concatenate([p for _, p in want]), atol=1e-5)
    # Each set of networks gives the file one output; the two could stand for each other.
    other = heads.classes(torch.from_numpy(said.embedding))[0].detach()
    assert not np.allclose(said.dimensions, other, atol=1e-2)
