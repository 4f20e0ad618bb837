"""What a student is trained on. Each loss is a scalar over a batch; the recipe weighs them.

A target that a clip does not have is NaN in its row, and the row then adds nothing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_TINY = 1e-8
"""Keeps roots and quotients of nothing finite."""

_MIN_SD = 1e-3
"""Dimensions lie in 0..1: a target that varies by less than this asks for no deviation."""


def ccc_loss(estimate: Tensor, target: Tensor) -> Tensor:
    """1 - CCC over the batch, mean of the dimensions.

    Args:
        estimate: [B, 3].
        target: [B, 3]; not clipped to 0..1.

    Returns:
        0 (equal) to 2. A batch of one clip has no spread and gives about 1.
    """
    x, y = estimate - estimate.mean(0), target - target.mean(0)
    shift = (estimate.mean(0) - target.mean(0)) ** 2
    scale = (x**2).mean(0) + (y**2).mean(0) + shift
    return (1 - 2 * (x * y).mean(0) / (scale + _TINY)).mean()


def std_match_loss(estimate: Tensor, target: Tensor) -> Tensor:
    """How far the standard deviation over the batch is below the target's, as a squared share.

    A tiny student shrinks towards the mean. A larger deviation than the target's costs nothing
    here: CCC and MSE see to that.

    Args:
        estimate: [B, D].
        target: [B, D].

    Returns:
        0 to 1, the mean of the dimensions.
    """
    sd, wanted = (torch.sqrt(x.var(0, unbiased=False) + _TINY) for x in (estimate, target))
    return (F.relu(1 - sd / (wanted + _MIN_SD)) ** 2).mean()


def kl_loss(logits: Tensor, probs: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence from the teacher's class distribution, both softened.

    Args:
        logits: [B, 8], the student's.
        probs: [B, 8], the teacher's, summing to 1; rows with NaN are left out.
        temperature: 1 or more; above 1 the small probabilities count for more.

    Returns:
        0 or more, times temperature squared so that gradients keep their size.

    Source: Hinton, Vinyals, Dean, arXiv 1503.02531.
    """
    logits, probs = _known(logits, probs)
    soft = torch.log_softmax(torch.log(probs + 1e-6) / temperature, dim=1)
    ours = torch.log_softmax(logits / temperature, dim=1)
    return _mean((soft.exp() * (soft - ours)).sum(1)) * temperature**2


def votes_loss(logits: Tensor, votes: Tensor, weight: Tensor | None = None) -> Tensor:
    """Cross entropy to the annotators' votes, which stay a distribution.

    Args:
        logits: [B, 8].
        votes: [B, 8], shares summing to 1; rows with NaN are left out.
        weight: [B], how much each row counts; default 1.
    """
    known = ~votes.isnan().any(1)
    rows = -(votes[known] * torch.log_softmax(logits[known], dim=1)).sum(1)
    return _mean(rows if weight is None else rows * weight[known])


def log_prior(votes: Tensor) -> Tensor:
    """The logarithm of each class's share of all votes, with one vote more for each class.

    What a student gives plus this is trained to be what annotators say, so the student itself
    leaves the prior out (logit adjustment).

    Args:
        votes: [N, C], shares of each clip; rows with NaN are left out.

    Returns:
        [C]; where nobody voted, of equal shares.

    Source: A. K. Menon et al., Long-tail learning via logit adjustment, arXiv 2007.07314.
    """
    total = votes[~votes.isnan().any(1)].double().sum(0) + 1
    return (total / total.sum()).log().float()


def interval_loss(dimensions: Tensor, intervals: Tensor) -> Tensor:
    """Squared distance from the interval where annotators put the clip's category.

    Args:
        dimensions: [B, D].
        intervals: [B, D, 2], low and high; rows with NaN are left out.

    Returns:
        0 inside; the mean over rows and dimensions.
    """
    dimensions, intervals = _known(dimensions, intervals.flatten(1))
    low, high = intervals.view(-1, dimensions.shape[1], 2).unbind(2)
    return _mean((F.relu(low - dimensions) ** 2 + F.relu(dimensions - high) ** 2).mean(1))


def class_consistency_loss(dimensions: Tensor, logits: Tensor, centers: Tensor) -> Tensor:
    """Squared distance of the dimensions from where the student's own classes put the face.

    Weak supervision: it orders what nobody annotated. The classes are not moved by it.

    Args:
        dimensions: [B, D].
        logits: [B, 8].
        centers: [8, D], where annotators put each class; NaN where that is not known. The other
            classes then speak for it.
    """
    known = ~centers.isnan().any(1)
    probs = logits.detach()[:, known].softmax(1)
    return ((dimensions - probs @ centers[known]) ** 2).mean()


def class_cooccurrence_loss(logits: Tensor, penalty: Tensor) -> Tensor:
    """Expected penalty of giving two classes at once that annotators do not name together.

    Args:
        logits: [B, 8].
        penalty: [8, 8], 0..1, symmetric, zero diagonal; see pair_penalty.
    """
    probs = logits.softmax(1)
    return ((probs @ penalty) * probs).sum(1).mean()


def cooccurrence_penalty(votes: Tensor) -> Tensor:
    """How unlikely each pair of classes is, from the votes that clips share.

    Args:
        votes: [N, C], shares of each clip; rows with NaN are left out.

    Returns:
        [C, C], 0 (named together as often as their frequency suggests, or more) to 1 (never);
        0 for classes that nobody named, of which nothing is known.
    """
    votes = votes[~votes.isnan().any(1)].double()
    total = votes.sum(0)
    if len(votes) == 0:
        return torch.zeros(votes.shape[1], votes.shape[1])
    expected = torch.outer(total, total) / len(votes)
    ratio = (votes.T @ votes) / expected.clamp(min=_TINY)
    penalty = (1 - ratio).clamp(0, 1) * (expected > 0)
    return penalty.fill_diagonal_(0).float()


def feature_loss(estimate: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared error to the teacher's standardized features.

    Args:
        estimate: [..., K], the student's after its projection.
        target: [..., K], zero mean and unit variance over the training clips; 1 is then the
            loss of knowing nothing. Rows with NaN are left out.
        mask: [...], 1 where the row counts.
    """
    rows = ((estimate - target.nan_to_num()) ** 2).mean(-1)
    weight = (~target.isnan().any(-1)).to(rows.dtype)
    weight = weight if mask is None else weight * mask
    return (rows * weight).sum() / weight.sum().clamp(min=1)


def pool_tokens(
    tokens: Tensor, lengths: Tensor, ratio: float, frames: int
) -> tuple[Tensor, Tensor]:
    """Tokens at another rate: the mean of those inside each new one, or the nearest.

    Args:
        tokens: [B, T, C].
        lengths: [B], int64, 0..T.
        ratio: old tokens in a new one; below 1 tokens repeat.
        frames: new tokens to make.

    Returns:
        [B, frames, C], and [B, frames] the mask of those that lie inside the clip.
    """
    at = torch.arange(frames + 1, device=tokens.device, dtype=torch.float64) * ratio
    edges = at.add(1e-9).floor().long()
    first = edges[:-1][None].minimum((lengths[:, None] - 1).clamp(min=0))
    last = edges[1:][None].maximum(edges[:-1][None] + 1).minimum(lengths[:, None])
    inside = (edges[:-1][None] < lengths[:, None]).to(tokens.dtype)
    # Differences of running sums: one pass whatever the ratio is.
    sums = F.pad(tokens.cumsum(1), (0, 0, 1, 0))
    index = (last.maximum(first + 1), first)
    upper, lower = (sums.gather(1, i[..., None].expand(-1, -1, tokens.shape[2])) for i in index)
    return (upper - lower) / (index[0] - index[1])[..., None], inside


def _known(estimate: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    known = ~target.isnan().any(1)
    return estimate[known], target[known]


def _mean(rows: Tensor) -> Tensor:
    """Mean that is 0, with a gradient of 0, for no rows."""
    return rows.sum() / max(1, rows.numel())
