"""The training loop: stages, EMA of the weights, checkpoints after and within epochs.

Every random choice of an epoch derives from the seed and the epoch's number. A checkpoint within an
epoch has the generators' states, so a resumed run gives the same bits as an uninterrupted one.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from edgeemo.errors import BadRecipe

from .. import distributed
from ..evaluation.evaluate import Metrics, evaluate, predict
from ..evaluation.metrics import flat
from ..labels.dataset import LabelledDataset, Progress
from ..labels.packed_split import PackedRows
from ..recipes import Recipe
from ..students.base import Student, load_student
from .batches import Batches
from .checkpoint import TrainState, fingerprint, identity_of, load_checkpoint, save_checkpoint
from .distillation_loss import Objective
from .epoch import Due, EpochContext, Place, derive, run_epoch
from .likeness import Likeness
from .memory import keep_freed_memory
from .onnx_weights import recalibrate_batchnorm, settle_batchnorm
from .stream import training_rows

LOG = logging.getLogger("edgeemo")


@dataclass(frozen=True)
class Fitted:
    """A trained student.

    Attributes:
        student: averaged weights of the best epoch, in evaluation mode.
        history: metrics of each epoch: "epoch", "stage", "lr", "train" (losses), "valid".
        best_epoch: number of the epoch whose weights these are, from 0.
        best: value of the recipe's stop metric there.
    """

    student: Student
    history: list[Metrics]
    best_epoch: int
    best: float


def fit(
    student: Student,
    train: LabelledDataset | PackedRows,
    valid: LabelledDataset,
    recipe: Recipe,
    out: Path | None = None,
    *,
    seed: int | None = None,
    resume: bool = False,
    fresh: bool = True,
    device: str = "cpu",
    progress: Progress | None = None,
    due: Due | None = None,
    before: Student | None = None,
) -> Fitted:
    """Train a student on labelled rows.

    Under torchrun each process takes its share of every batch, or of the row groups of packed rows,
    and gradients are averaged, so all end with the same weights.

    Args:
        student: fresh; its weights are trained in place. make_student draws them from torch's
            global generator, so seed that first.
        train: rows to learn from; packed ones are read as a stream.
        valid: rows of other people, which choose the epoch.
        recipe: stages, losses, weights, stop. Its `seed` is used unless `seed` is given.
        out: folder for metrics.jsonl, checkpoints/last.pt and student.pt; None keeps nothing.
        seed: of the order, SpecAugment and the projections.
        resume: go on from out/checkpoints/last.pt if it is there.
        fresh: the student has not been trained: it takes mean and spread of the features from
            these rows. One that was trained on other rows keeps what it learned with.
        device: of torch.
        progress: told after each batch, in rows.
        due: asked after each step whether to write a checkpoint within the epoch; None never does.
        before: a student that this one shall say the same as; labels and losses do not count then.

    Raises:
        BadRecipe: the student and the rows have different specs; the stop metric does not exist;
            the checkpoint is of another recipe or of other rows.
        BadData: the loss became NaN or infinite.
    """
    if student.spec != train.spec:
        raise BadRecipe(f"{student.name} expects other features than the rows hold: {train.spec}")
    keep_freed_memory()
    seed = recipe.seed if seed is None else seed
    rows, held_out = training_rows(train, device), Batches(valid, device)
    identity = identity_of(train) if isinstance(train, LabelledDataset) else train.identity
    belongs_to = fingerprint(recipe, identity, identity_of(valid), seed, student)
    with torch.random.fork_rng():
        torch.manual_seed(derive(seed, -1))
        if student.folded:
            recalibrate_batchnorm(student, rows.sample)
        elif fresh:
            student.normalize_from(rows.sample.mean, rows.sample.sd)
            settle_batchnorm(student, rows.sample)
        state = _start(student.to(device), rows.sample, recipe, before)
        if resume and out is not None:
            load_checkpoint(out / "checkpoints" / "last.pt", state, belongs_to)
        if state.epoch == 0 and not state.places:
            state.objective.init_projections(state.student, rows.sample)
            if recipe.early_stopping.metric != "last":  # told before an epoch, not behind it
                said = predict(state.ema, held_out, shared=True)
                _stop_value({"valid": evaluate(said, valid)}, recipe.early_stopping.metric)

        def save() -> None:
            if out is not None and distributed.rank() == 0:
                save_checkpoint(out, state, belongs_to)

        def keep(place: Place) -> None:
            state.places = distributed.gather(place)
            save()
            state.places = []

        total = recipe.distill.pretrain + recipe.distill.epochs
        context = EpochContext(recipe, seed, total, progress, due, keep)
        while state.epoch < total and not _is_over(state, recipe):
            torch.manual_seed(derive(seed, state.epoch))
            losses, lr = run_epoch(state, rows, context)
            _evaluate_and_log(state, held_out, valid, recipe, losses, lr)
            save()
    best = copy.deepcopy(state.ema)
    best.load_state_dict(state.best_weights)
    set_memory_format(best, torch.contiguous_format)
    return Fitted(best.eval(), state.history, state.best_epoch, state.best)


def stage_recipe(recipe: Recipe, epochs: int, lr: float, loss: Mapping[str, float]) -> Recipe:
    """The recipe of a training that follows distillation, on the same rows or on others.

    Args:
        recipe: of the run.
        epochs: of this training.
        lr: its peak rate.
        loss: weights by name of its losses.
    """
    return replace(
        recipe, distill=replace(recipe.distill, pretrain=0, epochs=epochs, lr=lr, loss=loss)
    )


def set_memory_format(module: nn.Module, memory: torch.memory_format) -> None:
    """Put the kernels of two-dimensional convolutions into another order in memory.

    Args:
        module: changed in place; the values stay.
        memory: torch.channels_last or torch.contiguous_format.
    """
    for p in module.parameters():
        if p.ndim == 4:
            p.data = p.data.contiguous(memory_format=memory)


def load_fitted(out: Path) -> Student:
    """The best student of a folder that fit() wrote to."""
    return load_student(out / "student.pt")


def _start(
    student: Student, rows: Batches, recipe: Recipe, before: Student | None = None
) -> TrainState:
    # Convolutions of few channels run faster on a CPU with channels last.
    set_memory_format(student, torch.channels_last)
    objective = Objective(student, rows, recipe.distill) if before is None else Likeness(before)
    objective = objective.to(rows.device)
    set_memory_format(objective, torch.channels_last)
    named = [*student.named_parameters(), *objective.named_parameters()]
    named = [(name, p) for name, p in named if p.requires_grad]
    # Biases, norms and other vectors are few and have nothing to gain from being pulled to 0.
    groups = [
        {
            "params": [p for _, p in named if p.ndim > 1],
            "weight_decay": recipe.distill.weight_decay,
        },
        {
            "params": [p for _, p in named if p.ndim <= 1 and not hasattr(p, "lr_scale")],
            "weight_decay": 0.0,
        },
        # Parameters with a size of their own: their steps are as many times the rate.
        *(
            {"params": [p], "weight_decay": 0.0, "lr_scale": p.lr_scale}
            for _, p in named
            if hasattr(p, "lr_scale")
        ),
    ]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=recipe.distill.lr)
    return TrainState(student, copy.deepcopy(student), objective, optimizer)


def _evaluate_and_log(
    state: TrainState,
    held_out: Batches,
    valid: LabelledDataset,
    recipe: Recipe,
    losses: dict[str, float],
    lr: float,
) -> None:
    """Evaluate the averaged weights, add the epoch to the history, keep the best."""
    metrics = {"valid": evaluate(predict(state.ema, held_out, shared=True), valid)}
    pretrain = state.epoch < recipe.distill.pretrain
    state.history.append(
        {
            "epoch": state.epoch,
            "stage": "pretrain" if pretrain else "distill",
            "lr": lr,
            "train": losses,
            **metrics,
        }
    )
    metric = recipe.early_stopping.metric
    value = float(state.epoch) if metric == "last" else _stop_value(metrics, metric)
    if not pretrain and value > state.best:
        state.best, state.best_epoch = value, state.epoch
        state.best_weights = copy.deepcopy(state.ema.state_dict())
    LOG.debug("epoch %d: %s", state.epoch, state.history[-1])
    state.epoch += 1


def _stop_value(metrics: Metrics, metric: str) -> float:
    known = flat(metrics)
    if metric not in known:
        raise BadRecipe(
            f"$.early_stopping.metric: no metric {metric!r} for these rows; "
            f"there are: {', '.join(known)}"
        )
    lower = metric.endswith(("loss", "kl", "mse", "error"))
    return -known[metric] if lower else known[metric]


def _is_over(state: TrainState, recipe: Recipe) -> bool:
    patience = recipe.early_stopping.patience
    return (
        patience > 0 and state.best_epoch >= 0 and (state.epoch - 1 - state.best_epoch >= patience)
    )


def seeded_student(make: Callable[[], Student], seed: int) -> Student:
    """Make a student whose first weights depend on `seed` alone.

    Args:
        make: draws them from torch's global generator, whose state is restored.
        seed: of the recipe.
    """
    with torch.random.fork_rng():
        torch.manual_seed(derive(seed, -2))
        return make()
