"""Students for groups of speakers on one backbone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeemo.compress.evaluation import folds as folds_module
from edgeemo.compress.evaluation.evaluate import predict
from edgeemo.compress.evaluation.folds import Folds, label_for_folds
from edgeemo.compress.labels.labeller import Labeller
from edgeemo.compress.recipes import (
    AugmentConfig,
    DistillConfig,
    FinetuneConfig,
    HeadsConfig,
    StudentConfig,
    load_recipe,
)
from edgeemo.compress.stages.finetune import num_augmented_copies
from edgeemo.compress.students import save_student
from edgeemo.compress.teachers.heads import HeadsSettings, fit_heads
from edgeemo.features import SPECS

RECIPES = Path(__file__).resolve().parents[3] / "tools" / "recipes"
CORPUS = "dealt"
SMALL = HeadsSettings(members=2, hidden=32, steps=40)


@pytest.fixture(scope="module")
def folds(tmp_path_factory, recipe, some_clips, ear):
    """Half of the actors are annotated, and dealt out; others choose the epoch."""
    rng = np.random.default_rng(1)
    actors = sorted({c.speaker for c in some_clips if c.corpus == "emodb_full"})
    clips = [
        replace(c, corpus=CORPUS, dimensions=tuple(rng.uniform(0.2, 0.8, 3)))
        if c.speaker in actors[::2]
        else c
        for c in some_clips
    ]
    config = replace(
        recipe,
        student=StudentConfig(
            "wav2small-stream", options={"width": 16, "pooled": 16, "hidden": 16}
        ),
        distill=DistillConfig(epochs=1, batch=32, lr=1e-2, loss={"embedding": 1, "kl": 0.5}),
        augment=AugmentConfig(copies=2, mixup_p=0.3),
        finetune=FinetuneConfig(copies=3, epochs=1),
        heads=HeadsConfig(embedding=12, hidden=8, steps=40, batch=32),
    )
    out = tmp_path_factory.mktemp("folds")
    labeller = Labeller(ear(), SPECS["logmel40"], config, out / "labels")
    copies = labeller.label(clips, num_augmented_copies(clips, config))
    others = sorted({c.group for c in clips if c.corpus == "librispeech"})
    return Folds(copies, config, out, CORPUS, tuple(others[:2]))


def test_the_backbone_is_trained_on_nobody_who_is_annotated_or_chooses_the_epoch(
    folds, monkeypatch
):
    trained_on = []
    real = folds_module.run_stages

    def watched(student, data, training, names):
        trained_on.append((data, names))
        return real(student, data, training, names)

    monkeypatch.setattr(folds_module, "run_stages", watched)
    folds.backbone()
    ((data, names),) = trained_on
    groups = set(data.train.column("group")) | set(data.train.partner) - {""}
    assert groups and groups.isdisjoint([*folds.annotated, *folds.valid])
    assert set(data.valid.column("group")) == set(folds.valid) and set(data.valid.copy) == {0}
    assert names == folds_module.SHARED
    folds.backbone()
    assert len(trained_on) == 1  # kept


def test_a_folds_student_depends_on_its_own_speakers_alone(folds):
    """With labels of everybody else replaced by nonsense, the student stays the same."""
    held = set(folds.annotated[:2])
    groups = folds.groups - held - set(folds.valid)
    teacher = fit_heads(folds.examples.of_groups(groups), SMALL, 3)
    student = folds.student(groups, teacher, seed=3)
    wrong = folds.copies.column("group")
    wrong = np.array([g in held for g in wrong]) | np.isin(folds.copies.partner, list(held))
    spoiled = replace(
        folds.copies,
        human_dimensions=np.where(wrong[:, None], 0.9, folds.copies.human_dimensions).astype(
            np.float32
        ),
        embedding=np.where(wrong[:, None], 0, folds.copies.embedding).astype(np.float16),
    )
    again = replace(folds, copies=spoiled).student(groups, teacher, seed=3)
    state = again.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in student.state_dict().items())
    assert np.isfinite(predict(student, folds.examples).dimensions).all()
    assert student.options["pooled"] == 12
    other = folds.student(groups, teacher, seed=4).state_dict()
    assert not torch.equal(other["adv.weight"], state["adv.weight"])


def test_heads_that_came_with_first_weights_teach_no_fold(folds, tmp_path):
    """They may know those whom a fold holds out."""
    first = replace(folds.recipe.student, init_from="first.onnx")
    recipe = replace(folds.recipe, student=first)
    groups = folds.groups - set(folds.annotated[:2]) - set(folds.valid)
    teacher = fit_heads(folds.examples.of_groups(groups), SMALL, 3)
    made = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        backbone = folds.backbone()
        with torch.no_grad():
            for layer in (*backbone.head_layers, backbone.adv, backbone.classes):
                layer.weight.mul_(1 if name == "one" else -2)
        save_student(backbone, folder / "backbone.pt")
        made.append(replace(folds, recipe=recipe, folder=folder).student(groups, teacher, seed=3))
    one, two = (student.state_dict() for student in made)
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_another_teachers_dimensions_are_those_of_the_clip_as_it_is(folds):
    """Its heads never see the copies' own embedding."""
    rng = np.random.default_rng(5)
    plain = folds.examples.take(folds.examples.copy == 0)
    others = replace(plain, embedding=rng.normal(size=(len(plain), 24)).astype(np.float16))
    two = replace(folds, others=others)
    groups = folds.groups - set(folds.annotated[:2])
    heads = two.fit_teacher(groups, 3)
    assert heads.mean.shape == (24,)
    rows = folds.copies.of_groups(groups)
    said, expected = two.labelled(rows, heads), heads.apply_to(others)
    at = {clip.id: i for i, clip in enumerate(others.clips)}
    where = [at[clip.id] for clip in rows.clips]
    assert rows.copy.max() == 2
    np.testing.assert_allclose(said.dimensions, expected.dimensions[where], atol=1e-6)
    np.testing.assert_allclose(said.probs, expected.probs[where], atol=1e-6)
    np.testing.assert_array_equal(said.embedding, rows.embedding)
    assert two.student(groups - set(folds.valid), heads, 3).options["pooled"] == 12


def test_labels_of_two_teachers_are_made_for_folds(folds, tmp_path, some_clips, ear):
    """The student's own of all copies, the other's of the clips as they are."""
    first = RECIPES / "wav2small-stream-noise" / "start.onnx"
    own = load_recipe(RECIPES / "wav2small-stream-noise" / "own.toml")
    recipe = replace(
        own,
        teacher=replace(own.teacher, dimensions="builtin"),
        student=replace(own.student, init_from=str(first)),
    )
    clips = some_clips[:6]
    copies, others = label_for_folds(recipe, clips, tmp_path, ear())
    assert others is not None
    assert len(copies) == 2 * len(others) == 12
    assert set(copies.copy) == {0, 1} and set(others.copy) == {0}
    assert copies.embedding.shape[1] == 96 != others.embedding.shape[1]
    alone = replace(recipe, teacher=own.teacher)
    assert label_for_folds(alone, clips, tmp_path)[1] is None
