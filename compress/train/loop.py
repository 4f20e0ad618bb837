"""The training loop: stages, EMA of the weights, a checkpoint after each epoch (checkpoint.py).

Every random choice of an epoch derives from the seed and the epoch's number, so a checkpoint
needs no generator's state and a resumed run gives the same bits as an uninterrupted one.
"""

from __future__ import annotations

import copy
import hashlib
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from edgeemo.errors import BadData, BadRecipe

from .. import distributed
from ..evaluation.evaluate import Metrics, evaluate, predict
from ..evaluation.metrics import flat
from ..labels.dataset import LabelledDataset, Progress
from ..recipes import Recipe
from ..students.base import Student, load_student
from .batches import Batches
from .checkpoint import TrainState, fingerprint, load_checkpoint, save_checkpoint
from .distillation_loss import Objective
from .onnx_weights import recalibrate_batchnorm, settle_batchnorm

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
    train: LabelledDataset,
    valid: LabelledDataset,
    recipe: Recipe,
    out: Path | None = None,
    *,
    seed: int | None = None,
    resume: bool = False,
    fresh: bool = True,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Fitted:
    """Train a student on labelled rows.

    Under torchrun each process takes its shard of every batch and gradients are averaged, so all
    end with the same weights.

    Args:
        student: fresh; its weights are trained in place. make_student draws them from torch's
            global generator, so seed that first.
        train: rows to learn from.
        valid: rows of other people, which choose the epoch.
        recipe: stages, losses, weights, stop. Its `seed` is used unless `seed` is given.
        out: folder for metrics.jsonl, checkpoints/last.pt and student.pt; None keeps nothing.
        seed: of the order, SpecAugment and the projections.
        resume: go on from out/checkpoints/last.pt if it is there.
        fresh: the student has not been trained: it takes mean and spread of the features from
            these rows. One that was trained on other rows keeps what it learned with.
        device: of torch.
        progress: told after each batch.

    Raises:
        BadRecipe: the student and the rows have different specs; the stop metric does not exist;
            the checkpoint is of another recipe or of other rows.
        BadData: the loss became NaN or infinite.
    """
    if student.spec != train.spec:
        raise BadRecipe(f"{student.name} expects other features than the rows hold: {train.spec}")
    seed = recipe.seed if seed is None else seed
    rows, held_out = Batches(train, device), Batches(valid, device)
    belongs_to = fingerprint(recipe, train, valid, seed, student)
    with torch.random.fork_rng():
        torch.manual_seed(_derive(seed, -1))
        if student.folded:
            recalibrate_batchnorm(student, rows)
        elif fresh:
            student.normalize_from(rows.mean, rows.sd)
            settle_batchnorm(student, rows)
        state = _start(student.to(device), rows, recipe)
        if resume and out is not None:
            load_checkpoint(out / "checkpoints" / "last.pt", state, belongs_to)
        if state.epoch == 0:
            state.objective.init_projections(state.student, rows)
        total = recipe.distill.pretrain + recipe.distill.epochs
        while state.epoch < total and not _is_over(state, recipe):
            torch.manual_seed(_derive(seed, state.epoch))
            losses, lr = _epoch(state, rows, recipe, seed, total, progress)
            _evaluate_and_log(state, held_out, valid, recipe, losses, lr)
            if out is not None and distributed.rank() == 0:
                save_checkpoint(out, state, belongs_to)
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


def _start(student: Student, rows: Batches, recipe: Recipe) -> TrainState:
    # Convolutions of few channels run faster on a CPU with channels last.
    set_memory_format(student, torch.channels_last)
    objective = Objective(student, rows, recipe.distill).to(rows.device)
    named = [*student.named_parameters(), *objective.named_parameters()]
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


def _epoch(
    state: TrainState,
    rows: Batches,
    recipe: Recipe,
    seed: int,
    total: int,
    progress: Progress | None,
) -> tuple[dict[str, float], float]:
    """One pass over the rows; mean of each loss and the last learning rate."""
    config = recipe.distill
    generator = torch.Generator().manual_seed(_derive(seed, state.epoch))
    order = rows.order(config.batch, generator)
    pretrain = state.epoch < config.pretrain
    weights = config.pretrain_loss if pretrain else config.loss
    peak = (config.pretrain_lr or config.lr) if pretrain else config.lr
    first = 0 if pretrain else config.pretrain
    stage = (config.pretrain if pretrain else config.epochs) * len(order)
    sums: dict[str, list[Tensor]] = {}
    lr = 0.0
    state.student.train()
    for number, picked in enumerate(order):
        lr = peak * cosine_warmup((state.epoch - first) * len(order) + number, stage, config.warmup)
        for group in state.optimizer.param_groups:
            group["lr"] = lr * group.get("lr_scale", 1.0)
        for name, value in _step(state, rows, picked, generator, recipe, weights).items():
            sums.setdefault(name, []).append(value)
        if progress is not None:
            progress("training", state.epoch * len(order) + number + 1, total * len(order))
    means = {name: torch.stack(v).mean() for name, v in sums.items()}
    distributed.average(means.values())
    return {name: float(v) for name, v in means.items()}, lr


def _step(
    state: TrainState,
    rows: Batches,
    picked: Tensor,
    generator: torch.Generator,
    recipe: Recipe,
    weights: Mapping[str, float],
) -> dict[str, Tensor]:
    shard = picked[distributed.rank() :: distributed.world()]
    augmentation = recipe.image_augment if recipe.task == "face" else recipe.spec_augment
    batch = rows.batch(shard, augmentation, generator)
    output = state.student(batch.features, batch.lengths)
    loss: Tensor
    terms: dict[str, Tensor]
    loss, terms = state.objective(output, batch, weights)
    if not torch.isfinite(loss):
        raise BadData(
            f"the loss is {float(loss)} in epoch {state.epoch}: "
            + ", ".join(f"{k} {float(v):.3g}" for k, v in terms.items())
            + "; lower distill.lr"
        )
    state.optimizer.zero_grad()
    torch.autograd.backward(loss)
    trained = [*state.student.parameters(), *state.objective.parameters()]
    if distributed.world() > 1:
        for p in trained:
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        # Batch norm's running figures too: the processes have seen different rows.
        distributed.average(
            [*(p.grad for p in trained if p.grad is not None), *state.student.buffers()]
        )
    nn.utils.clip_grad_norm_(trained, recipe.distill.clip_grad)
    state.optimizer.step()
    state.step += 1
    _update_ema(state.ema, state.student, recipe.distill.ema_decay, state.step)
    return terms


def cosine_warmup(step: int, steps: int, warmup: float) -> float:
    """Learning rate as a share of its peak: a line up, then a cosine to 0.

    Args:
        step: 0 to steps - 1.
        steps: of the whole stage.
        warmup: share of the stage in which the rate climbs.
    """
    rise = warmup * steps
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1.0, steps - rise)))


@torch.no_grad()
def _update_ema(ema: nn.Module, student: nn.Module, decay: float, step: int) -> None:
    """Move the averaged weights towards the student's; quickly at first.

    The decay of step t is min(decay, (1 + t) / (10 + t)).

    Source: TensorFlow, tf.train.ExponentialMovingAverage with `num_updates`.
    """
    share = 1 - min(decay, (1 + step) / (10 + step))
    ours, theirs = ema.state_dict(), student.state_dict()
    floats = [k for k, v in ours.items() if v.is_floating_point()]
    torch._foreach_lerp_([ours[k] for k in floats], [theirs[k] for k in floats], share)
    for key in ours.keys() - set(floats):
        ours[key].copy_(theirs[key])


def _evaluate_and_log(
    state: TrainState,
    held_out: Batches,
    valid: LabelledDataset,
    recipe: Recipe,
    losses: dict[str, float],
    lr: float,
) -> None:
    """Evaluate the averaged weights, add the epoch to the history, keep the best."""
    metrics = {"valid": evaluate(predict(state.ema, held_out), valid)}
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


def _derive(seed: int, epoch: int) -> int:
    """A generator's seed for one epoch: neighbours must have nothing in common."""
    digest = hashlib.sha256(f"edgeemo {seed} {epoch}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def seeded_student(make: Callable[[], Student], seed: int) -> Student:
    """Make a student whose first weights depend on `seed` alone.

    Args:
        make: draws them from torch's global generator, whose state is restored.
        seed: of the recipe.
    """
    with torch.random.fork_rng():
        torch.manual_seed(_derive(seed, -2))
        return make()
