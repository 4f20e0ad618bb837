"""A student as it was before its training, as a teacher: its own features, tokens and classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeemo.compress.labels.labeller import Labeller
from edgeemo.compress.pipeline import new_student
from edgeemo.compress.recipes import Recipe, load_recipe
from edgeemo.compress.students import make_student
from edgeemo.compress.teachers.own import OwnTeacher, TwoTeachers, teacher_of
from edgeemo.compress.train.loop import fit
from edgeemo.errors import BadRecipe
from edgeemo.features import log_mel

RECIPES = Path(__file__).resolve().parents[3] / "tools" / "recipes" / "wav2small-stream-noise"


@pytest.fixture(scope="module")
def own() -> Recipe:
    recipe = load_recipe(RECIPES / "own.toml")
    student = replace(recipe.student, init_from=str(RECIPES / "start.onnx"))
    return replace(recipe, student=student)


def test_it_says_what_the_student_says_of_each_clip_alone(own: Recipe, some_clips) -> None:
    clips = [clip.samples() for clip in some_clips[:3]] + [some_clips[3].samples()[:9000]]
    said = teacher_of(own).label(clips)
    student = new_student(own).eval()
    assert said.tokens is not None
    assert said.tokens_per_second == 25.0
    for i, samples in enumerate(clips):
        with torch.no_grad():
            alone = student(torch.from_numpy(log_mel(samples))[None])
        np.testing.assert_allclose(said.embedding[i], alone.embedding[0], atol=1e-4)
        np.testing.assert_allclose(said.probs[i], alone.logits.softmax(1)[0], atol=1e-4)
        np.testing.assert_allclose(said.dimensions[i], alone.dimensions[0].clamp(0, 1), atol=1e-4)
        assert len(said.tokens[i]) == alone.tokens.shape[1]
        np.testing.assert_allclose(said.tokens[i], alone.tokens[0], rtol=1e-3, atol=1e-2)


def test_labels_belong_to_the_weights(own: Recipe) -> None:
    student = new_student(own)
    before = OwnTeacher(student).digest
    assert before == OwnTeacher(new_student(own)).digest
    with torch.no_grad():
        student.hidden.weight[0, 0] += 1
    assert OwnTeacher(student).digest != before


def test_a_student_learns_to_say_of_soft_speech_what_it_said_before(
    own: Recipe, some_clips, tmp_path: Path
) -> None:
    distill = replace(own.distill, epochs=3, batch=16, ema_decay=0.5)
    soft = replace(own.augment, gain_db=(-30.0, -30.0), corpus_copies={}, copies=2)
    soft = replace(soft, **{f"{n}_p": 0.0 for n in ("noise", "reverb", "band", "microphone")})
    recipe = replace(own, distill=distill, augment=replace(soft, clip_p=0.0, telephone_p=0.0))
    student = new_student(recipe)
    rows = Labeller(teacher_of(recipe), student.spec, recipe, tmp_path).label(some_clips, copies=2)
    found = fit(student, rows, rows.take(rows.copy == 0), recipe, fresh=False).history
    first, last = (epoch["train"]["embedding"] for epoch in (found[0], found[-1]))
    assert last < 0.9 * first


def test_another_teachers_dimensions_stand_beside_its_features(
    own: Recipe, some_clips, ear
) -> None:
    clips = [clip.samples() for clip in some_clips[:4]]
    first, second = teacher_of(own), ear()
    both = TwoTeachers(first, second)
    said, features, labels = both.label(clips), first.label(clips), second.label(clips)
    np.testing.assert_array_equal(said.dimensions, labels.dimensions)
    np.testing.assert_array_equal(said.probs, labels.probs)
    np.testing.assert_array_equal(said.embedding, features.embedding)
    assert said.tokens is not None and said.tokens_per_second == features.tokens_per_second
    assert len({both.digest, first.digest, second.digest}) == 3


def test_the_recipe_names_the_other_teacher(own: Recipe) -> None:
    recipe = replace(own, teacher=replace(own.teacher, dimensions="builtin"))
    assert teacher_of(recipe).name.endswith("dimensions by builtin")
    face = replace(own, teacher=replace(own.teacher, dimensions="builtin-face"))
    with pytest.raises(BadRecipe, match=r"\$.teacher.dimensions: 'builtin-face' is for face"):
        teacher_of(face)
    with pytest.raises(BadRecipe, match=r"\$.teacher.dimensions: 'own' has its own"):
        replace(own.teacher, dimensions="own")
    with pytest.raises(BadRecipe, match=r"\$.teacher.dimensions: 'builtin' stands beside"):
        replace(own.teacher, name="builtin", dimensions="builtin")


def test_it_needs_weights_and_speech(own: Recipe) -> None:
    fresh = replace(own, student=replace(own.student, init_from=""))
    with pytest.raises(BadRecipe, match=r"\$.student.init_from"):
        teacher_of(fresh)
    with pytest.raises(BadRecipe, match="takes faces"):
        OwnTeacher(make_student("mobilenetv1-face"))
