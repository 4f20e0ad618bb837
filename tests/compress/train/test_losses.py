"""Losses against formulas written out in numpy, one clip at a time."""

import numpy as np
import pytest
import torch

from edgeemo.compress.data.intervals import centers
from edgeemo.compress.train import losses
from edgeemo.evaluation.metrics import ccc
from edgeemo.types import CLASSES

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(2, 40, 3))
NAN = float("nan")


def tensor(x):
    return torch.tensor(x, dtype=torch.float64)


def test_ccc_loss_is_the_metric_over_the_batch():
    want = np.mean([1 - ccc(X[:, i], Y[:, i]) for i in range(3)])
    assert losses.ccc_loss(tensor(X), tensor(Y)).item() == pytest.approx(want, abs=1e-6)


def test_spread_loss_sees_shrinking_and_nothing_else():
    assert losses.std_match_loss(tensor(Y * 2 + 5), tensor(Y)).item() == 0
    half = losses.std_match_loss(tensor(Y / 2), tensor(Y)).item()
    assert half == pytest.approx(0.25, abs=0.003)


def test_kl_is_zero_for_the_teacher_and_skips_unknown_rows():
    probs = tensor(RNG.dirichlet(np.ones(8), size=6))
    assert losses.kl_loss(probs.log(), probs, 2.0).item() == pytest.approx(0, abs=1e-4)
    logits = tensor(RNG.normal(size=(6, 8)))
    soft = (probs + 1e-6) ** 0.5 / ((probs + 1e-6) ** 0.5).sum(1, keepdim=True)
    ours = (logits / 2).softmax(1)
    want = 4 * (soft * (soft / ours).log()).sum(1)[1:].mean()
    probs[0] = NAN
    assert losses.kl_loss(logits, probs, 2.0).item() == pytest.approx(want.item(), rel=1e-9)


def test_losses_without_any_known_row_are_zero_with_a_gradient():
    logits = torch.zeros(4, 8, requires_grad=True)
    loss = losses.votes_loss(logits, torch.full((4, 8), NAN))
    loss = loss + losses.interval_loss(logits[:, :3], torch.full((4, 3, 2), NAN))
    loss.backward()
    assert loss.item() == 0 and logits.grad.abs().sum() == 0


def test_votes_stay_a_distribution():
    logits = tensor(RNG.normal(size=(1, 8)))
    votes = tensor([[0.5, 0, 0, 0.5, 0, 0, 0, 0]])
    logs = logits.log_softmax(1)[0]
    assert losses.votes_loss(logits, votes).item() == pytest.approx(-(logs[0] + logs[3]).item() / 2)


def test_interval_hinge_by_hand():
    dimensions = tensor([[0.1, 0.5, 0.9], [0.5, 0.5, 0.5]])
    box = tensor([[[0.2, 0.4]] * 3, [[NAN, NAN]] * 3])
    want = (0.1**2 + 0.1**2 + 0.5**2) / 3
    assert losses.interval_loss(dimensions, box).item() == pytest.approx(want)


def test_pair_penalty_from_co_votes():
    # Classes 0 and 1 are always named together, 2 alone, 3 never.
    votes = torch.tensor([[0.5, 0.5, 0, 0]] * 4 + [[0, 0, 1.0, 0]] * 4)
    penalty = losses.cooccurrence_penalty(votes)
    assert torch.equal(penalty, penalty.T)
    assert penalty[0, 1] == 0 and penalty[0, 2] == 1 and penalty[1, 3] == 0
    together = torch.tensor([[9.0, 9.0, -9.0, -9.0]])
    apart = torch.tensor([[9.0, -9.0, 9.0, -9.0]])
    assert (
        losses.class_cooccurrence_loss(together, penalty)
        < 1e-3
        < 0.4
        < losses.class_cooccurrence_loss(apart, penalty)
    )


def test_feature_loss_counts_only_masked_in_rows():
    a, b = tensor(X[:4]), tensor(Y[:4].copy())
    want = ((X[:2] - Y[:2]) ** 2).mean()
    b[3] = NAN
    mask = tensor([1, 1, 0, 1])
    assert losses.feature_loss(a, b, mask).item() == pytest.approx(want)


@pytest.mark.parametrize("ratio", [0.4, 1.0, 2.0, 3.7])
def test_pool_tokens_is_the_mean_of_what_lies_inside(ratio):
    tokens, lengths = tensor(RNG.normal(size=(2, 20, 3))), torch.tensor([20, 11])
    frames = 12
    got, mask = losses.pool_tokens(tokens, lengths, ratio, frames)
    for b in range(2):
        for k in range(frames):
            lo, hi = int(k * ratio + 1e-9), int((k + 1) * ratio + 1e-9)
            rows = tokens[b, lo : min(max(hi, lo + 1), lengths[b])]
            assert mask[b, k] == (len(rows) > 0)
            if len(rows):
                assert torch.allclose(got[b, k], rows.mean(0), atol=1e-9)


def test_the_tie_pulls_dimensions_to_their_class_and_leaves_the_classes():
    middle = torch.tensor(centers())[:, [0, 2]]
    logits = torch.full((2, 8), -20.0, requires_grad=True)
    with torch.no_grad():
        logits[0, CLASSES.index("happiness")] = logits[1, CLASSES.index("contempt")] = 20.0
    dimensions = torch.tensor([[0.72, 0.74], [0.5, 0.5]], requires_grad=True)
    loss = losses.class_consistency_loss(dimensions, logits, middle)
    loss.backward()
    assert dimensions.grad[0].abs().max() < 1e-6 and logits.grad is None
    assert torch.isfinite(loss) and loss > 0  # contempt: the other classes speak, all alike


def test_the_prior_is_the_share_of_all_votes():
    votes = torch.tensor([[1.0, 0, 0], [0.5, 0.5, 0], [NAN, NAN, NAN], [1, 0, 0]])
    want = torch.tensor([3.5, 1.5, 1.0]) / 6
    assert torch.allclose(losses.log_prior(votes).exp(), want)
    assert torch.allclose(losses.log_prior(votes[2:3]).exp(), torch.full((3,), 1 / 3))
