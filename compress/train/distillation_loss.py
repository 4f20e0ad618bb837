"""The weighted sum of losses, and the projections that are thrown away after training."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgeemo.errors import BadRecipe
from edgeemo.features import FeatureSpec
from edgeemo.types import DIMENSIONS

from ..data.intervals import centers
from ..recipes import DistillConfig
from ..students.base import Student, StudentOutput
from . import losses
from .batches import Batch, Batches

_PROJECTION_INIT_ROWS = 2048
"""Rows from which the first projections are computed."""

_RIDGE = 1e-4
"""Share of the mean variance that is added to each channel's."""


class _LeastSquares:
    """The linear map from x to y, in double precision, from batches of rows."""

    def __init__(self) -> None:
        self.xx = self.xy = torch.zeros(())

    def add(self, x: Tensor, y: Tensor) -> None:
        known = ~y.isnan().any(1)
        x = torch.cat([x, x.new_ones(len(x), 1)], dim=1)[known].double()
        self.xx, self.xy = self.xx + x.T @ x, self.xy + x.T @ y[known].double()

    def write(self, layer: nn.Linear) -> None:
        """Into a layer; a little ridge keeps channels that are alike from huge weights."""
        ridge = _RIDGE * self.xx.diagonal().mean() * torch.eye(len(self.xx)).to(self.xx)
        solved = torch.linalg.solve(self.xx + ridge, self.xy)
        layer.weight.copy_(solved[:-1].T)
        layer.bias.copy_(solved[-1])


class Objective(nn.Module):
    """Turns a student's output and a batch into one number to make small.

    Args:
        student: only asked for the widths of what it gives.
        rows: the training rows; says what the teacher gives.
        config: temperature and lag; loss weights come with each call.
    """

    dropout = True
    penalty: Tensor
    centers: Tensor
    log_prior: Tensor

    def __init__(self, student: Student, rows: Batches, config: DistillConfig) -> None:
        super().__init__()
        self.config = config
        with torch.no_grad():
            training = student.training
            batch = rows.batch(torch.arange(2))
            output = student.eval()(batch.features, batch.lengths)
            student.train(training)
        self.embedding: nn.Linear | None = None
        self.tokens: nn.Linear | None = None
        if batch.embedding is not None:
            self.embedding = nn.Linear(output.embedding.shape[1], batch.embedding.shape[1])
        if batch.tokens is not None:
            self.tokens = nn.Linear(output.tokens.shape[2], batch.tokens.shape[2])
        # Student tokens in one of the teacher's.
        spec, rate = student.spec, 0.0
        if isinstance(spec, FeatureSpec):
            rate = spec.sample_rate / spec.hop / student.stride
        self._ratio = rate / rows.token_rate if rows.token_rate else 1.0
        self._lag = config.token_lag * rate
        self._columns = [DIMENSIONS.index(name) for name in student.dimensions]
        self.register_buffer("penalty", losses.cooccurrence_penalty(rows.votes.cpu()))
        prior = losses.log_prior(rows.votes.cpu())
        self.register_buffer("log_prior", config.prior * prior, persistent=False)
        self.register_buffer("centers", torch.tensor(centers())[:, self._columns])

    @torch.no_grad()
    def init_projections(self, student: Student, rows: Batches) -> None:
        """Begin with the projections that fit best.

        Random ones pull a student that was trained before away from what it has learned.

        Args:
            student: whose outputs are projected; left in the mode it was in.
            rows: the training rows.
        """
        fits = {
            layer: _LeastSquares() for layer in (self.embedding, self.tokens) if layer is not None
        }
        if not fits:
            return
        training = student.training
        student.eval()
        count = min(_PROJECTION_INIT_ROWS, len(rows.lengths))
        for part in torch.linspace(0, len(rows.lengths) - 1, count).long().split(64):
            batch = rows.batch(part)
            output = student(batch.features, batch.lengths)
            if self.embedding is not None and batch.embedding is not None:
                fits[self.embedding].add(output.embedding, batch.embedding)
            if self.tokens is not None and batch.tokens is not None:
                ours, theirs, inside = self._paired(output, batch.tokens, batch.token_lengths)
                fits[self.tokens].add(ours[inside > 0], theirs[inside > 0])
        student.train(training)
        for layer, fit in fits.items():
            fit.write(layer)

    def forward(
        self, output: StudentOutput, batch: Batch, weights: Mapping[str, float]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum, and each loss by name (detached, before its weight).

        A loss whose target the teacher or the data do not have is left out.

        Args:
            output: of the student for the batch.
            batch: features and targets.
            weights: by name of `recipes.checks.LOSSES`; 0 leaves one out.

        Raises:
            BadRecipe: all are left out.
        """
        terms: dict[str, Tensor] = {}
        for name, weight in weights.items():
            value = getattr(self, f"_{name}")(output, batch) if weight else None
            if value is not None:
                terms[name] = value
        if not terms:
            names = ", ".join(name for name, weight in weights.items() if weight)
            raise BadRecipe(
                f"$.distill.loss: teacher and labels gave no row of a batch what {names} would "
                "teach; give another loss, teacher or labels"
            )
        total = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        return total, {name: value.detach() for name, value in terms.items()}

    def _targets(self, output: StudentOutput, batch: Batch) -> tuple[Tensor, Tensor]:
        return self._known(output, batch.dimensions)

    def _known(self, output: StudentOutput, target: Tensor) -> tuple[Tensor, Tensor]:
        """Rows whose target has all of the student's dimensions."""
        target = target[:, self._columns]
        known = ~target.isnan().any(1)
        return output.dimensions[known], target[known]

    def _ccc(self, output: StudentOutput, batch: Batch) -> Tensor | None:
        x, y = self._targets(output, batch)
        return losses.ccc_loss(x, y) if len(x) > 1 else None

    def _mse(self, output: StudentOutput, batch: Batch) -> Tensor | None:
        x, y = self._targets(output, batch)
        return ((x - y) ** 2).mean() if len(x) else None

    def _annotator_ccc(self, output: StudentOutput, batch: Batch) -> Tensor | None:
        """1 - CCC, and MSE, to annotators' means where clips have them."""
        x, y = self._known(output, batch.human_dimensions)
        return losses.ccc_loss(x, y) + ((x - y) ** 2).mean() if len(x) > 1 else None

    def _std_match(self, output: StudentOutput, batch: Batch) -> Tensor | None:
        x, y = self._targets(output, batch)
        return losses.std_match_loss(x, y) if len(x) > 1 else None

    def _kl(self, output: StudentOutput, batch: Batch) -> Tensor:
        logits = output.logits + self.log_prior
        return losses.kl_loss(logits, batch.probs, self.config.temperature)

    def _votes(self, output: StudentOutput, batch: Batch) -> Tensor:
        logits = output.logits + self.log_prior
        return losses.votes_loss(logits, batch.votes, batch.votes_weight)

    def _interval(self, output: StudentOutput, batch: Batch) -> Tensor:
        return losses.interval_loss(output.dimensions, batch.intervals[:, self._columns])

    def _class_consistency(self, output: StudentOutput, batch: Batch) -> Tensor:
        return losses.class_consistency_loss(output.dimensions, output.logits, self.centers)

    def _class_cooccurrence(self, output: StudentOutput, batch: Batch) -> Tensor:
        return losses.class_cooccurrence_loss(output.logits, self.penalty)

    def _embedding(self, output: StudentOutput, batch: Batch) -> Tensor | None:
        if self.embedding is None or batch.embedding is None:
            return None
        return losses.feature_loss(self.embedding(output.embedding), batch.embedding)

    def _tokens(self, output: StudentOutput, batch: Batch) -> Tensor | None:
        if self.tokens is None or batch.tokens is None:
            return None
        ours, theirs, inside = self._paired(output, batch.tokens, batch.token_lengths)
        if ours.shape[1] == 0:
            return None
        return losses.feature_loss(self.tokens(ours), theirs, inside)

    def _paired(
        self, output: StudentOutput, theirs: Tensor, wanted: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens of both sides at the slower of the two rates, and which of them are no padding.

        There are fewer rows to project then, and less noise.
        """
        lag = math.floor(self._lag)
        ours, lengths = output.tokens[:, lag:], (output.token_lengths - lag).clamp(min=1)
        if self._ratio >= 1:
            ours, inside = losses.pool_tokens(ours, lengths, self._ratio, theirs.shape[1])
            inside = inside * (torch.arange(theirs.shape[1], device=ours.device) < wanted[:, None])
        else:
            frames = ours.shape[1]
            theirs, inside = losses.pool_tokens(theirs, wanted, 1 / self._ratio, frames)
            inside = inside * (torch.arange(frames, device=ours.device) < lengths[:, None])
        return ours, theirs, inside
