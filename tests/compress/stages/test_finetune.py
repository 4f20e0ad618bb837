"""The stage in which a student is fine-tuned on annotated clips."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgeemo.compress.data import DataSet
from edgeemo.compress.evaluation.evaluate import predict
from edgeemo.compress.labels.labeller import Labeller
from edgeemo.compress.pipeline import distill
from edgeemo.compress.recipes import AugmentConfig, DataConfig, FinetuneConfig
from edgeemo.compress.run import Run
from edgeemo.compress.stages import base, finetune
from edgeemo.compress.stages.base import Splits, Training
from edgeemo.compress.stages.finetune import drop_extra_copies, num_augmented_copies
from edgeemo.compress.students import make_student
from edgeemo.compress.train.loop import fit
from edgeemo.features import SPECS

PART = FinetuneConfig(copies=5, epochs=3, lr=2e-2)


@pytest.fixture(scope="module")
def clips(some_clips):
    """A third of the speakers are annotated."""
    people = sorted({clip.speaker for clip in some_clips})[::3]
    return [
        replace(c, dimensions=(0.4, 0.5, 0.6)) if c.speaker in people else c for c in some_clips
    ]


@pytest.fixture(scope="module")
def how(recipe):
    return replace(recipe, augment=AugmentConfig(copies=2, mixup_p=0.0), finetune=PART)


@pytest.fixture(scope="module")
def rows(tmp_path_factory, how, clips, ear):
    cache = tmp_path_factory.mktemp("labels")
    return Labeller(ear(), SPECS["logmel40"], how, cache).label(
        clips, num_augmented_copies(clips, how)
    )


def tuned(student, rows, how):
    return finetune.run(student, Splits(rows, rows, rows), how.finetune, Training(how))


def test_annotated_clips_have_more_copies(rows, how, clips):
    counts = {clip.id: int((rows.column("id") == clip.id).sum()) for clip in clips}
    assert counts == {clip.id: 2 if clip.dimensions is None else 5 for clip in clips}
    usual = drop_extra_copies(rows, how)
    assert len(usual) == 2 * len(clips) and set(usual.copy) == {0, 1}
    assert num_augmented_copies(clips, replace(how, finetune=None)) == [2] * len(clips)


def test_a_corpus_may_have_copies_of_its_own(how, clips):
    augment = replace(how.augment, corpus_copies={"cremad": 4})
    own = replace(how, augment=augment)
    for recipe, annotated in ((own, 5), (replace(own, finetune=None), None)):
        for clip, count in zip(clips, num_augmented_copies(clips, recipe), strict=True):
            usual = 4 if clip.corpus == "cremad" else 2
            expected = annotated if annotated and clip.dimensions is not None else usual
            assert count == expected


def test_a_student_learns_the_teachers_dimensions_of_annotated_clips(rows, how):
    student = make_student("probe")
    before = {name: value.clone() for name, value in student.state_dict().items()}
    made = tuned(student, rows, how)
    assert all(torch.equal(v, before[k]) for k, v in student.state_dict().items())
    known = np.array([clip.dimensions is not None for clip in rows.clips])

    def error(net):
        return float(((predict(net, rows).dimensions - rows.dimensions)[known] ** 2).mean())

    assert error(made) < 0.5 * error(student)


def test_as_many_examples_of_others_are_trained_on(rows, how, monkeypatch):
    heard = []

    def watched(student, train, *args, **settings):
        heard.append(train)
        return fit(student, train, *args, **settings)

    monkeypatch.setattr(base, "fit", watched)
    tuned(make_student("probe"), rows, how)
    known = np.array([clip.dimensions is not None for clip in heard[0].clips])
    assert known.sum() == sum(clip.dimensions is not None for clip in rows.clips)
    assert (~known).sum() == min(known.sum(), len(rows) - known.sum())


def test_nothing_is_done_without_annotations(rows, how):
    student = make_student("probe")
    none = rows.take(np.array([clip.dimensions is None for clip in rows.clips]))
    assert tuned(student, none, how) is student


def test_a_run_that_was_cut_in_this_stage_goes_on(tmp_path, how, clips, ear):
    data = DataSet("some", clips)
    small = replace(how, data=DataConfig(valid=0.4, test=0.2))
    whole, cut = (Run.begin(tmp_path / name, small, {}) for name in ("whole", "cut"))
    distill(whole, data, ear())
    ends = 0

    def stop(what, done, total):
        nonlocal ends
        ends += what == "training" and done == total
        if ends == 2:  # the last step of the second training
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(cut, data, ear(), progress=stop)
    assert (cut.folder / "finetune" / "checkpoints" / "last.pt").exists()
    distill(cut, data, ear())
    ours, theirs = cut.student().state_dict(), whole.student().state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
