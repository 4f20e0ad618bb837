"""What a training may claim: computed from its corpora, teacher and first weights."""

from dataclasses import replace

import pytest

from edgeemo.artifacts.licences import weights_licence
from edgeemo.compress.data import DataSet
from edgeemo.compress.licences import check_open, sources_of
from edgeemo.compress.pipeline import distill
from edgeemo.compress.run import Run
from edgeemo.errors import BadRecipe


@pytest.fixture
def open_recipe(recipe):
    return replace(recipe, open=True)


def test_free_sources_may_claim_an_open_result(open_recipe, some_clips, ear):
    data = DataSet("some", some_clips)
    check_open(open_recipe, data, ear())
    found = sources_of(open_recipe, data, ear())
    assert weights_licence((*found.data, *found.teachers)) == "Apache-2.0"
    assert any("LibriSpeech" in text for text in found.attributions)


def test_a_corpus_of_unknown_licence_is_refused_before_training(
    tmp_path, open_recipe, some_clips, ear
):
    strange = [replace(c, corpus="mine", licence="not stated") for c in some_clips[:3]]
    data = DataSet("some", (*some_clips[3:], *strange))
    teacher = ear()
    run = Run.begin(tmp_path / "run", open_recipe, {})
    with pytest.raises(BadRecipe, match=r"\$\.open: .* mine \(not stated\); .* labels\.csv"):
        distill(run, data, teacher)
    assert teacher.heard == 0
    check_open(replace(open_recipe, open=False), data, teacher)


def test_teacher_and_first_weights_bind_too(open_recipe, some_clips, ear):
    data = DataSet("some", some_clips)
    teacher = ear()
    teacher.licence = "CC BY-NC-SA 4.0"
    with pytest.raises(BadRecipe, match=r"ear \(CC BY-NC-SA 4.0\)"):
        check_open(open_recipe, data, teacher)
    student = replace(open_recipe.student, init_from="wav2small-stream")
    with pytest.raises(BadRecipe, match=r"first weights wav2small-stream \(research"):
        check_open(replace(open_recipe, student=student), data, ear())


def test_first_weights_of_an_unknown_file_are_not_free(tmp_path, open_recipe, some_clips, ear):
    student = replace(open_recipe.student, init_from=str(tmp_path / "student.pt"))
    with pytest.raises(BadRecipe, match=r"first weights student \(not stated\)"):
        check_open(replace(open_recipe, student=student), DataSet("some", some_clips), ear())


def test_published_first_weights_are_named_with_their_licence(open_recipe, some_clips, ear):
    student = replace(open_recipe.student, init_from="faceres.json")
    recipe = replace(open_recipe, student=student)
    start = sources_of(recipe, DataSet("some", some_clips), ear()).teachers[-1]
    assert "HSE-FaceRes" in start.name and start.licence == "Apache-2.0"
