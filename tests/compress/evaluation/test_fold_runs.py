"""Cross-validation of a recipe: nobody held out teaches, labels are made once, it goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeemo.compress.data import DataSet
from edgeemo.compress.evaluation import fold_runs
from edgeemo.compress.evaluation.fold_runs import CrossValidation, cross_validate
from edgeemo.compress.recipes import AugmentConfig, DistillConfig
from edgeemo.compress.run import Run
from edgeemo.compress.teachers.heads import HeadsSettings
from edgeemo.errors import BadArtifact, BadData, BadInput, BadRecipe


@pytest.fixture
def data(some_clips) -> DataSet:
    """Actors with ratings, so that only they are held out, and readers who only teach."""
    rng = np.random.default_rng(0)
    actors = [c for c in some_clips if c.corpus == "emodb_full"]
    rated = [replace(c, dimensions=tuple(rng.uniform(0.2, 0.8, 3))) for c in actors]
    return DataSet("some", (*rated, *(c for c in some_clips if c.corpus == "librispeech")))


@pytest.fixture
def plan(tmp_path, recipe, data, ear, monkeypatch) -> CrossValidation:
    few = HeadsSettings(members=1, hidden=16, steps=20)
    monkeypatch.setattr(fold_runs, "HeadsSettings", lambda: few)
    config = replace(
        recipe, distill=DistillConfig(epochs=1, batch=16, lr=1e-2), augment=AugmentConfig(copies=2)
    )
    run = Run.begin(tmp_path / "folds", config, {"folds": 2})
    return CrossValidation(run, data, ear(), 2, repeats=2)


def test_everybody_is_scored_once_a_repetition_by_strangers(plan, data, monkeypatch) -> None:
    taught: list[set[str]] = []
    real = fold_runs.run_stages

    def watched(student, splits, training):
        rows = (splits.train, splits.valid, splits.finetune)
        taught.append({g for r in rows for g in (*r.column("group"), *r.partner) if g})
        return real(student, splits, training)

    monkeypatch.setattr(fold_runs, "run_stages", watched)
    result = cross_validate(plan, jobs=1)
    held_out = [groups for repetition in plan.folds() for groups in repetition]
    assert len(taught) == len(held_out) == 4
    readers = {c.group for c in data if c.corpus == "librispeech"}
    for groups, known in zip(held_out, taught, strict=True):
        assert groups.isdisjoint(known | readers) and readers <= known
    assert set.union(*held_out) == {c.group for c in data} - readers
    assert result["speakers"] == len(set.union(*held_out))
    assert set(result["annotators"]) == {"arousal", "dominance", "valence"}
    # Nobody knows what taught the ear, so its heads are trained anew for each fold.
    assert "heads trained anew" in result["protocol"] and result["teacher_agreement"] == {}
    assert json.loads((plan.run.folder / "crossval.json").read_text()) == result
    with pytest.raises(BadArtifact, match="leaves figures and no student"):
        plan.run.facts()


def test_a_killed_one_goes_on_with_the_labels_it_has(plan, monkeypatch) -> None:
    first = cross_validate(plan, jobs=1)
    heard = plan.teacher.heard
    (plan.run.folder / "fold-1-0.npz").unlink()
    trained = []
    real = fold_runs._Fold.train
    monkeypatch.setattr(
        fold_runs._Fold, "train", lambda f: trained.append((f.repetition, f.number)) or real(f)
    )
    assert cross_validate(plan, jobs=1) == first
    assert trained == [(1, 0)] and plan.teacher.heard == heard
    fewer = DataSet("some", plan.data.clips[1:])
    with pytest.raises(BadData, match=r"fold-0-\d.npz is of other clips than the data now hold"):
        cross_validate(replace(plan, data=fewer), jobs=1)
    recipe = plan.run.folder / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("lr = 0.01", "lr = 0.02"))
    with pytest.raises(BadData, match="trained by another recipe than"):
        cross_validate(plan, jobs=1)


def test_what_cannot_be_is_refused_before_labels_are_made(plan, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="99 folds"):
        cross_validate(replace(plan, count=99), jobs=1)
    with pytest.raises(BadInput, match="2 repetitions of the column 'speaker'"):
        cross_validate(replace(plan, column="speaker"), jobs=1)
    recipe = plan.run.recipe
    two = replace(recipe, teacher=replace(recipe.teacher, name="own", dimensions="builtin"))
    run = Run.begin(tmp_path / "two", two, {"folds": 2})
    with pytest.raises(BadRecipe, match=r"a second teacher .'builtin'"):
        cross_validate(replace(plan, run=run), jobs=1)
    assert plan.teacher.heard == 0
