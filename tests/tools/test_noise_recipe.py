"""A student in training: its recipe begins from its file, and its weights can be gone on from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeemo.compress.data import shipped_speech
from edgeemo.compress.pipeline import new_student
from edgeemo.compress.recipes import load_recipe
from edgeemo.compress.students import load_student
from edgeemo.compress.teachers.own import OwnTeacher, teacher_of

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tools" / "recipes" / "wav2small-stream-noise"


def test_start_and_weights_are_of_the_recipes_student(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    recipe = load_recipe(str(FOLDER / "recipe.toml"))
    on = replace(recipe.student, init_from=str(FOLDER / "student.pt"))
    start, trained = (new_student(r).eval() for r in (recipe, replace(recipe, student=on)))
    clip = torch.randn(1, 200, 40)
    outputs = [s(clip, None).embedding for s in (start, trained)]
    assert all(torch.isfinite(x).all() for x in outputs)
    assert not torch.allclose(*outputs, atol=0.1)
    epochs = (FOLDER / "metrics.jsonl").read_text().splitlines()
    assert len(epochs) == recipe.distill.epochs
    losses = [json.loads(epoch)["train"]["embedding"] for epoch in epochs]
    assert losses[1] < losses[0]


def test_new_heads_stand_on_the_backbone_that_they_began_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    recipe = load_recipe(str(FOLDER / "heads.toml"))
    on = replace(recipe.student, init_from=str(FOLDER / "heads.onnx"))
    start, made = (new_student(r).eval() for r in (recipe, replace(recipe, student=on)))
    assert recipe.distill.epochs == 0 and recipe.heads is not None
    clip = torch.randn(1, 200, 40)
    before, after = start(clip, None), made(clip, None)
    tuned = load_recipe(str(FOLDER / "tuned.toml"))
    assert tuned.augment == recipe.augment and tuned.finetune is not None
    speed = load_recipe(str(FOLDER / "speed.toml"))
    assert speed.augment == replace(tuned.augment, speed_p=0.5, speed=(0.88, 1.12))
    assert speed.finetune == tuned.finetune
    assert torch.allclose(before.embedding, after.embedding, atol=0.05)
    assert not torch.allclose(before.dimensions, after.dimensions, atol=1e-3)


def test_what_it_taught_itself_stays_near_to_what_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    recipe, tuned = (load_recipe(str(FOLDER / f"{name}.toml")) for name in ("own", "own-tuned"))
    assert tuned.finetune is not None
    assert tuned == replace(recipe, name=tuned.name, finetune=tuned.finetune)
    assert not {"ccc", "mse", "annotator_ccc"} & set(tuned.finetune.loss)
    epochs = [json.loads(line) for line in (FOLDER / "own.jsonl").read_text().splitlines()]
    assert len(epochs) == recipe.distill.epochs
    assert epochs[-1]["train"]["embedding"] < 0.7 * epochs[0]["train"]["embedding"]
    trained = load_student(FOLDER / "own.pt")
    clips = [clip.samples() for clip in shipped_speech().clips[:20]]
    before = teacher_of(recipe).label(clips).embedding
    after = OwnTeacher(trained).label(clips).embedding
    assert before is not None and after is not None
    together = [np.corrcoef(before[:, i], after[:, i])[0, 1] for i in range(before.shape[1])]
    assert np.median(together) > 0.9
