"""Batches change no label, bfloat16 does and is another teacher; on tiny checkpoints."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from edgeemo.compress.teachers import load_teacher
from edgeemo.compress.teachers.ensemble import Ensemble
from edgeemo.compress.teachers.tuning import tuned
from edgeemo.errors import BadInput
from tests.compress.teachers.test_audeering import save


@pytest.fixture(scope="module")
def teacher(tiny, tmp_path_factory):
    config = transformers.Wav2Vec2Config(**tiny.SHAPE, **tiny.LARGE, conv_bias=True)
    head = {
        "classifier.dense.weight": tiny.tensor(1, 32, 32),
        "classifier.dense.bias": tiny.tensor(2, 32),
        "classifier.out_proj.weight": tiny.tensor(3, 3, 32, scale=0.05),
        "classifier.out_proj.bias": torch.tensor([0.9, 0.5, 0.1]),
    }
    model = tiny.shaken(transformers.Wav2Vec2Model(config))
    return load_teacher(save(tmp_path_factory.mktemp("tiny"), tiny, model, head))


def test_a_budget_of_seconds_cuts_batches_sorted_by_length(teacher, clips, monkeypatch):
    sizes = []
    run = type(teacher)._run

    def watch(self, batch):
        sizes.append([len(clip) for clip in batch])
        return run(self, batch)

    monkeypatch.setattr(type(teacher), "_run", watch)
    whole = teacher.label(clips)
    longest = max(map(len, clips)) / 16_000
    few = tuned(teacher, batch_seconds=longest)
    assert few.digest == teacher.digest and few.name == teacher.name
    sizes.clear()
    parts = few.label(clips)
    assert np.allclose(parts.dimensions, whole.dimensions, atol=1e-5)
    assert len(sizes) > 1 and all(len(s) * max(s) <= longest * 16_000 for s in sizes)
    flat = [n for size in sizes for n in size]
    assert flat == sorted(flat)


def test_bfloat16_is_another_teacher_with_nearly_the_same_labels(teacher, clips):
    fast = tuned(teacher, "bfloat16")
    assert fast.digest != teacher.digest and fast.name.endswith("bfloat16")
    ours, theirs = fast.label(clips), teacher.label(clips)
    assert ours.dimensions.dtype == np.float32
    assert not np.array_equal(ours.dimensions, theirs.dimensions)
    assert np.allclose(ours.dimensions, theirs.dimensions, atol=0.02)
    both = Ensemble("both", (teacher, teacher), (0.5, 0.5))
    assert tuned(both, "bfloat16").digest != both.digest
    assert np.allclose(tuned(both, "bfloat16").label(clips).dimensions, ours.dimensions, atol=1e-6)


def test_other_teachers_and_sizes_are_refused(teacher):
    for budget in (0, -1, float("nan")):
        with pytest.raises(BadInput, match="seconds a batch"):
            tuned(teacher, batch_seconds=budget)
    with pytest.raises(BadInput, match="leave the option out"):
        tuned(load_teacher("none-face"), "bfloat16")
    assert tuned(load_teacher("none-face")).name == "none-face"
