import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from edgeemo.compress.evaluation.evaluate import predict
from edgeemo.compress.evaluation.metrics import ccc_by_dimension
from edgeemo.compress.recipes import DistillConfig, EarlyStoppingConfig, SpecAugmentConfig
from edgeemo.compress.students import load_student, make_student
from edgeemo.compress.train.batches import Batches
from edgeemo.compress.train.loop import cosine_warmup, fit, seeded_student
from edgeemo.errors import BadArtifact, BadRecipe

ALL = dict.fromkeys(
    (
        "ccc",
        "mse",
        "std_match",
        "kl",
        "votes",
        "interval",
        "class_cooccurrence",
        "embedding",
        "tokens",
    ),
    0.5,
)


@pytest.fixture(scope="module")
def parts(rows):
    groups = sorted(set(rows.column("group")))
    valid = set(groups[::4])
    return (rows.of_groups(set(groups) - valid), rows.of_groups(valid, augmented=False))


@pytest.fixture(scope="module")
def busy(recipe):
    """A recipe that uses every loss and every change of features."""
    regular = SpecAugmentConfig(crop=0.7, gain_db=3, time_masks=1, band_masks=1)
    distill = DistillConfig(epochs=3, pretrain=2, batch=16, lr=3e-3, loss=ALL, ema_decay=0.9)
    return replace(recipe, spec_augment=regular, distill=distill)


def probe():
    return seeded_student(lambda: make_student("probe"), 1)


def test_a_student_learns_its_teacher(parts, recipe):
    train, valid = parts
    part = DistillConfig(
        epochs=40,
        pretrain=5,
        batch=16,
        lr=2e-2,
        ema_decay=0.9,
        loss={"ccc": 1, "mse": 1, "kl": 0.3, "tokens": 0.3},
    )
    before = ccc_by_dimension(predict(probe(), valid).dimensions, valid.dimensions)["mean"]
    fitted = fit(probe(), train, valid, replace(recipe, distill=part))
    assert before < 0.2 < 0.5 < fitted.best
    assert fitted.best == pytest.approx(
        ccc_by_dimension(predict(fitted.student, valid).dimensions, valid.dimensions)["mean"]
    )
    assert fitted.best == max(h["valid"]["ccc"]["mean"] for h in fitted.history[5:])


@pytest.mark.parametrize("stop_after", [1, 3])
def test_resume_gives_the_same_bits(parts, busy, tmp_path, stop_after):
    def run(out, **more):
        return fit(probe(), *parts, busy, out, **more)

    whole = run(tmp_path / "whole")

    def interrupt(what, done, total):
        if done * 5 > stop_after * total + 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", progress=interrupt)
    lines = (tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()
    assert 0 < len(lines) < 5
    resumed = run(tmp_path / "cut", resume=True)
    for name in ("metrics.jsonl", "student.pt"):
        one, two = (tmp_path / f / name for f in ("whole", "cut"))
        if name.endswith("jsonl"):
            assert one.read_text() == two.read_text()
            assert [json.loads(line)["epoch"] for line in one.read_text().splitlines()] == [
                0,
                1,
                2,
                3,
                4,
            ]
    pairs = zip(
        whole.student.state_dict().items(), resumed.student.state_dict().items(), strict=True
    )
    assert all(k == j and torch.equal(v, w) for (k, v), (j, w) in pairs)
    kept = load_student(tmp_path / "cut" / "student.pt").state_dict()
    assert all(torch.equal(v, kept[k]) for k, v in whole.student.state_dict().items())


def test_seed_decides(parts, busy):
    one, two, other = (fit(probe(), *parts, busy, seed=s).history[-1] for s in (1, 1, 2))
    assert one == two != other


def test_resume_refuses_another_recipe_and_foreign_files(parts, busy, tmp_path):
    short = replace(busy, distill=replace(busy.distill, epochs=1, pretrain=0))
    fit(probe(), *parts, short, tmp_path)
    with pytest.raises(BadRecipe, match="belongs to another recipe"):
        fit(probe(), *parts, busy, tmp_path, resume=True)
    (tmp_path / "checkpoints" / "last.pt").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(BadArtifact, match="not a checkpoint"):
        fit(probe(), *parts, short, tmp_path, resume=True)
    (tmp_path / "student.pt").write_bytes(b"no")
    with pytest.raises(BadArtifact, match="not a student"):
        load_student(tmp_path / "student.pt")


def test_unknown_stop_metric_lists_the_known(parts, recipe):
    wrong = replace(recipe, early_stopping=EarlyStoppingConfig(metric="valid.f1"))
    with pytest.raises(BadRecipe, match=r"valid\.ccc\.mean"):
        fit(probe(), *parts, wrong)


def test_patience_ends_early(parts, recipe):
    part = DistillConfig(epochs=30, batch=16, lr=1e-7)
    early = replace(recipe, distill=part, early_stopping=EarlyStoppingConfig(patience=2))
    fitted = fit(probe(), *parts, early)
    assert len(fitted.history) == fitted.best_epoch + 3 < 30


def test_the_last_epoch_can_be_kept(parts, recipe):
    part = DistillConfig(epochs=4, batch=16, lr=1e-7)
    # At such a rate the first epochs are as good as the last, so a figure would keep one of them.
    kept = fit(
        probe(),
        *parts,
        replace(recipe, distill=part, early_stopping=EarlyStoppingConfig(metric="last")),
    )
    assert (kept.best_epoch, kept.best) == (3, 3.0)


def test_rows_of_another_spec_are_refused(parts, recipe):
    with pytest.raises(BadRecipe, match="other features"):
        fit(make_student("wav2small-17k"), *parts, recipe)


def test_schedule_climbs_and_falls():
    rates = [cosine_warmup(i, 100, 0.1) for i in range(100)]
    assert rates[0] == pytest.approx(1 / 11) and max(rates) == 1 and rates[-1] < 1e-3
    assert np.argmax(rates) == 10


def test_an_epoch_sees_every_row_once(parts):
    batches = Batches(parts[0])
    order = batches.order(16, torch.Generator().manual_seed(0))
    assert sorted(torch.cat(order).tolist()) == list(range(len(parts[0])))
    assert max(map(len, order)) - min(map(len, order)) <= 1


def test_crop_takes_the_tokens_of_the_same_place(parts):
    train, _ = parts
    batches = Batches(train)
    got = batches.batch(
        torch.arange(8), SpecAugmentConfig(crop=0.5), torch.Generator().manual_seed(4)
    )
    plain = batches.batch(torch.arange(8))
    for b in range(8):
        n, m = got.lengths[b], got.token_lengths[b]
        starts = [
            s
            for s in range(plain.lengths[b] - n + 1)
            if torch.equal(plain.features[b, s : s + n], got.features[b, :n])
        ]
        assert len(starts) == 1 and got.features[b, n:].abs().sum() == 0
        at = round(starts[0] * 0.01 * 12.5)
        assert torch.equal(plain.tokens[b, at : at + m], got.tokens[b, :m])
        assert abs(m - n * 0.125) <= 1
