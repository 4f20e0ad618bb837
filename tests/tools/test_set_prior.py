"""Another prior for a finished student: biases move, card and figures go along."""

from dataclasses import replace

import pytest
import torch

from edgeemo.compress.data import open_dataset
from edgeemo.compress.evaluation.evaluate import predict
from edgeemo.compress.pipeline import distill
from edgeemo.compress.recipes import TeacherConfig
from edgeemo.compress.run import Run
from edgeemo.compress.teachers import load_teacher
from edgeemo.compress.train.losses import log_prior
from tests.compress.faces import RECIPE, faces, write_table


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_table(tmp_path_factory.mktemp("table"))


@pytest.fixture
def run(data, tmp_path):
    recipe = replace(
        RECIPE,
        teacher=TeacherConfig("none-face"),
        distill=replace(RECIPE.distill, epochs=1, prior=0.25),
    )
    run = Run.begin(tmp_path / "run", recipe, {})
    distill(run, open_dataset(data), load_teacher("none-face"))
    return run


def test_a_prior_moves_the_logits_by_the_logarithm_of_the_shares(tool, data, run, capsys):
    before, card = run.student().eval(), run.facts()
    program = tool("set_prior")
    assert program.main(["--run", str(run.folder), "--data", str(data), "--prior", "0.75"]) == 0
    assert "it is 0.25 now" in capsys.readouterr().out
    after, facts = run.student().eval(), run.facts()
    x = faces(4, 32) / 255
    ones = torch.ones(4, dtype=torch.int64)
    moved = after(x, ones).logits - before(x, ones).logits
    assert torch.allclose(moved, moved[:1].expand_as(moved), atol=1e-5)
    shares = torch.tensor(card.calibration.class_prior).log() / (1 - 0.25)
    assert torch.allclose(moved[0] - moved[0].mean(), -0.5 * (shares - shares.mean()), atol=1e-4)
    holds = (0.25 * shares).softmax(0)
    assert facts.calibration.class_prior == pytest.approx(holds.tolist(), abs=1e-4)
    kept = run.parity_set()
    said = after(torch.from_numpy(kept.features[0])[None], ones[:1]).logits[0]
    warm = (said / facts.calibration.class_temperature).softmax(0)
    assert kept.probs[0] == pytest.approx(warm.detach().numpy(), abs=1e-4)
    assert program.main(["--run", str(run.folder), "--data", str(data)]) == 0
    assert "it is 0.75 now" in capsys.readouterr().out


def test_the_table_is_what_a_changed_student_gives(tool, data, run):
    program = tool("set_prior")
    teacher, clips = load_teacher("none-face"), open_dataset(data)
    splits = program.label_splits(run, clips, teacher, run.student(), None, None)
    shares = log_prior(torch.from_numpy(splits.train.votes))
    told = program.table(predict(run.student(), splits.valid), splits.valid, shares, 0.25)
    program.shift(run, clips, teacher, splits, 1.0)
    again = program.table(predict(run.student(), splits.valid), splits.valid, shares, 1.0)
    assert again[1.0] == pytest.approx(told[1.0], abs=1e-4)
    assert told[1.0] != pytest.approx(told[0.0], abs=1e-4)


@pytest.mark.parametrize("prior", ["2", "-0.1", "nan"])
def test_a_prior_out_of_range_is_told_before_data_are_read(tool, run, tmp_path, prior, capsys):
    given = ["--run", str(run.folder), "--data", str(tmp_path / "none"), "--prior", prior]
    assert tool("set_prior").main(given) == 2
    assert f"--prior {prior}: expected 0 to 1" in capsys.readouterr().err
