"""Students that go on from exported files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import edgeemo
from edgeemo.compress.data import shipped_speech
from edgeemo.compress.labels.labeller import Labeller
from edgeemo.compress.recipes import load_recipe
from edgeemo.compress.students import make_student
from edgeemo.compress.teachers import load_teacher
from edgeemo.compress.train.batches import Batches
from edgeemo.compress.train.onnx_weights import recalibrate_batchnorm
from edgeemo.compress.train.pretrained import load_pretrained
from edgeemo.errors import BadArtifact, BadInput

SHIPPED = edgeemo.load("wav2small-stream", "onnx")
OPTIONS = {"pooled": 96, "hidden": 48}


@pytest.fixture(scope="module")
def clips():
    return shipped_speech().clips[:12]


@pytest.fixture(scope="module")
def rows(clips, tmp_path_factory):
    recipe = load_recipe("demo")
    labeller = Labeller(
        load_teacher("builtin"), SHIPPED.card.spec, recipe, tmp_path_factory.mktemp("labels")
    )
    return Batches(labeller.label(clips, 1))


def estimates(student, clips):
    heard = [torch.from_numpy(edgeemo.log_mel(c.samples(), student.spec))[None] for c in clips]
    with torch.no_grad():
        return np.concatenate([student(x).dimensions.numpy() for x in heard])


def test_a_student_computes_what_the_file_computes_and_can_be_trained(clips, rows):
    student = make_student("wav2small-stream", **OPTIONS).eval()
    load_pretrained(student, "wav2small-stream")
    before = estimates(student, clips)
    said = [SHIPPED.predict(clip.samples(), gate=None) for clip in clips]
    theirs = np.array([[s.arousal, s.dominance, s.valence] for s in said])
    # The file rounds what flows between its layers, and clips the result to 0..1.
    assert np.abs(before.clip(0, 1) - theirs).mean() < 0.02
    assert student.folded
    recalibrate_batchnorm(student, rows)
    assert not student.folded
    np.testing.assert_allclose(estimates(student, clips), before, atol=1e-4)
    # In training mode batches have their own mean and spread: near those that came back.
    student.train()
    batch = rows.batch(torch.arange(12))
    trained = student(batch.features, batch.lengths).embedding
    student.eval()
    kept = student(batch.features, batch.lengths).embedding
    assert torch.corrcoef(torch.stack([trained.flatten(), kept.flatten()]))[0, 1] > 0.9


def test_another_shape_a_damaged_file_and_an_unknown_name_are_refused(tmp_path):
    student = make_student("wav2small-stream")  # wider than what is shipped
    shapes = r"layer \S+\.weight has the shape \[.*\], that of wav2small-stream \["
    with pytest.raises(BadArtifact, match=shapes):
        load_pretrained(student, "wav2small-stream")
    with pytest.raises(BadArtifact, match=r"layer body\.convs\.0\.weight has the shape"):
        load_pretrained(make_student("wav2small"), "wav2small-stream")
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(SHIPPED.path.read_bytes()[:5000])
    with pytest.raises(BadArtifact, match=r"cut\.onnx"):
        load_pretrained(student, cut)
    with pytest.raises(BadInput):
        load_pretrained(student, "wav2smal")
