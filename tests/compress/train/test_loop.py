"""The training loop."""

from dataclasses import replace

import numpy as np
import pytest

from edgeemo.compress.evaluation.evaluate import predict
from edgeemo.compress.evaluation.metrics import ccc_by_dimension
from edgeemo.compress.recipes import DistillConfig, EarlyStoppingConfig
from edgeemo.compress.students import make_student
from edgeemo.compress.train import loop
from edgeemo.compress.train.epoch import cosine_warmup
from edgeemo.compress.train.loop import fit
from edgeemo.errors import BadRecipe


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


from tests.compress.train.conftest import probe


def test_seed_decides(parts, busy):
    one, two, other = (fit(probe(), *parts, busy, seed=s).history[-1] for s in (1, 1, 2))
    assert one == two != other


def test_unknown_stop_metric_lists_the_known(parts, recipe, monkeypatch):
    wrong = replace(recipe, early_stopping=EarlyStoppingConfig(metric="valid.f1"))
    monkeypatch.setattr(loop, "run_epoch", lambda *_: pytest.fail("an epoch was run before"))
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
