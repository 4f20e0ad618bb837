"""The loop: stages, averaged weights, a checkpoint after each epoch, and going on from one.

Every random choice of an epoch derives from the seed and the epoch's number, so a checkpoint
needs no generator's state and a resumed run gives the same bits as an uninterrupted one.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgeemo.errors import BadArtifact, BadData, BadRecipe
from edgeemo.files import replacing, write_text

from .. import distributed
from ..evaluation.evaluate import Metrics, evaluate, predict
from ..evaluation.metrics import flat
from ..labels.dataset import LabelledDataset, Progress
from ..recipes import Recipe, dump_recipe
from ..students.base import Student, load_student, save_student
from .batches import Batches
from .distillation_loss import Objective
from .onnx_weights import recalibrate_batchnorm

LOG = logging.getLogger("edgeemo")


@dataclass(frozen=True)
class Fitted:
    """A trained student.

    Attributes:
        student: averaged weights of the best epoch, in evaluation mode.
        history: figures of each epoch: "epoch", "stage", "lr", "train" (losses), "valid".
        best_epoch: number of the epoch whose weights these are, from 0.
        best: value of the recipe's stop metric there.
    """

    student: Student
    history: list[Metrics]
    best_epoch: int
    best: float


@dataclass
class _State:
    """All that changes from epoch to epoch."""

    student: Student
    average: Student
    objective: Objective
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    step: int = 0
    history: list[Metrics] = field(default_factory=list)
    best_epoch: int = -1
    best: float = -math.inf
    best_weights: dict[str, Tensor] = field(default_factory=dict)


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

    Under torchrun each process takes its part of every batch and gradients are averaged, so all
    end with the same weights.

    Args:
        student: fresh; its weights are trained in place. make_student draws them from torch's
            global generator, so seed that first.
        train: rows to learn from.
        valid: rows of other people, which choose the epoch.
        recipe: stages, losses, weights, stop. Its `seed` is used unless `seed` is given.
        out: folder for metrics.jsonl, checkpoints/last.pt and student.pt; None keeps nothing.
        seed: of the order, the changes of features and the projections.
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
    rows, judged = Batches(train, device), Batches(valid, device)
    mark = _fingerprint(recipe, train, valid, seed, student)
    with torch.random.fork_rng():
        torch.manual_seed(_derive(seed, -1))
        if student.folded:
            recalibrate_batchnorm(student, rows)
        elif fresh:
            student.normalise_from(rows.mean, rows.sd)
        state = _start(student.to(device), rows, recipe)
        if resume and out is not None:
            _load(out / "checkpoints" / "last.pt", state, mark)
        if state.epoch == 0:
            state.objective.init_projections(state.student, rows)
        total = recipe.distill.pretrain + recipe.distill.epochs
        while state.epoch < total and not _is_over(state, recipe):
            torch.manual_seed(_derive(seed, state.epoch))
            losses, lr = _epoch(state, rows, recipe, seed, total, progress)
            _evaluate_and_log(state, judged, valid, recipe, losses, lr)
            if out is not None and distributed.rank() == 0:
                _save(out, state, mark)
    best = copy.deepcopy(state.average)
    best.load_state_dict(state.best_weights)
    set_memory_format(best, torch.contiguous_format)
    return Fitted(best.eval(), state.history, state.best_epoch, state.best)


def stage_recipe(recipe: Recipe, epochs: int, lr: float, loss: Mapping[str, float]) -> Recipe:
    """The recipe of a training that follows the first one, on the same rows or on others."""
    return replace(
        recipe, distill=replace(recipe.distill, pretrain=0, epochs=epochs, lr=lr, loss=loss)
    )


def set_memory_format(module: nn.Module, memory: torch.memory_format) -> None:
    """Put the kernels of two-dimensional convolutions into another order in memory."""
    for p in module.parameters():
        if p.ndim == 4:
            p.data = p.data.contiguous(memory_format=memory)


def load_fitted(out: Path) -> Student:
    """The best student of a folder that fit() wrote to."""
    return load_student(out / "student.pt")


def _start(student: Student, rows: Batches, recipe: Recipe) -> _State:
    # Few channels: their convolutions run 1.7 times as fast with channels last (measured).
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
    return _State(student, copy.deepcopy(student), objective, optimizer)


def _epoch(
    state: _State, rows: Batches, recipe: Recipe, seed: int, total: int, progress: Progress | None
) -> tuple[dict[str, float], float]:
    """One pass over the rows; mean of each loss and the last learning rate."""
    part = recipe.distill
    generator = torch.Generator().manual_seed(_derive(seed, state.epoch))
    order = rows.order(part.batch, generator)
    pretrain = state.epoch < part.pretrain
    weights = part.pretrain_loss if pretrain else part.loss
    peak = (part.pretrain_lr or part.lr) if pretrain else part.lr
    first = 0 if pretrain else part.pretrain
    stage = (part.pretrain if pretrain else part.epochs) * len(order)
    sums: dict[str, list[Tensor]] = {}
    lr = 0.0
    state.student.train()
    for number, picked in enumerate(order):
        lr = peak * cosine_warmup((state.epoch - first) * len(order) + number, stage, part.warmup)
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
    state: _State,
    rows: Batches,
    picked: Tensor,
    generator: torch.Generator,
    recipe: Recipe,
    weights: Mapping[str, float],
) -> dict[str, Tensor]:
    mine = picked[distributed.rank() :: distributed.world()]
    how = recipe.image_augment if recipe.task == "face" else recipe.spec_augment
    batch = rows.batch(mine, how, generator)
    output = state.student(batch.features, batch.lengths)
    loss: Tensor
    parts: dict[str, Tensor]
    loss, parts = state.objective(output, batch, weights)
    if not torch.isfinite(loss):
        raise BadData(
            f"the loss is {float(loss)} in epoch {state.epoch}: "
            + ", ".join(f"{k} {float(v):.3g}" for k, v in parts.items())
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
    _update_ema(state.average, state.student, recipe.distill.ema_decay, state.step)
    return parts


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
def _update_ema(average: nn.Module, student: nn.Module, decay: float, step: int) -> None:
    """Move the averaged weights towards the student's; quickly at first."""
    share = 1 - min(decay, (1 + step) / (10 + step))
    held = [average.state_dict(), student.state_dict()]
    floats = [k for k, v in held[0].items() if v.is_floating_point()]
    torch._foreach_lerp_([held[0][k] for k in floats], [held[1][k] for k in floats], share)
    for key in held[0].keys() - set(floats):
        held[0][key].copy_(held[1][key])


def _evaluate_and_log(
    state: _State,
    judged: Batches,
    valid: LabelledDataset,
    recipe: Recipe,
    losses: dict[str, float],
    lr: float,
) -> None:
    """Judge the averaged weights, write the epoch's line, keep the best."""
    figures = {"valid": evaluate(predict(state.average, judged), valid)}
    pretrain = state.epoch < recipe.distill.pretrain
    state.history.append(
        {
            "epoch": state.epoch,
            "stage": "pretrain" if pretrain else "distill",
            "lr": lr,
            "train": losses,
            **figures,
        }
    )
    metric = recipe.early_stopping.metric
    value = float(state.epoch) if metric == "last" else _stop_value(figures, metric)
    if not pretrain and value > state.best:
        state.best, state.best_epoch = value, state.epoch
        state.best_weights = copy.deepcopy(state.average.state_dict())
    LOG.debug("epoch %d: %s", state.epoch, state.history[-1])
    state.epoch += 1


def _stop_value(figures: Metrics, metric: str) -> float:
    known = flat(figures)
    if metric not in known:
        raise BadRecipe(
            f"$.early_stopping.metric: no figure {metric!r} for these rows; "
            f"there are: {', '.join(known)}"
        )
    lower = metric.endswith(("loss", "kl", "mse", "error"))
    return -known[metric] if lower else known[metric]


def _is_over(state: _State, recipe: Recipe) -> bool:
    patience = recipe.early_stopping.patience
    return (
        patience > 0 and state.best_epoch >= 0 and (state.epoch - 1 - state.best_epoch >= patience)
    )


def _save(out: Path, state: _State, mark: str) -> None:
    write_text(out / "metrics.jsonl", "".join(json.dumps(h) + "\n" for h in state.history))
    kept = {
        "mark": mark,
        "student": state.student.state_dict(),
        "average": state.average.state_dict(),
        "objective": state.objective.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "epoch": state.epoch,
        "step": state.step,
        "history": state.history,
        "best_epoch": state.best_epoch,
        "best": state.best,
        "best_weights": state.best_weights,
    }
    try:
        if state.best_epoch == state.epoch - 1:
            best = copy.deepcopy(state.average)
            save_student(best, out / "student.pt")
        with replacing(out / "checkpoints" / "last.pt") as temporary:
            torch.save(kept, temporary)
    except (OSError, RuntimeError) as error:  # torch gives RuntimeError on a full disk
        raise BadData(
            f"{out} cannot be written ({str(error).splitlines()[0]:.120}); the run can be resumed "
            "from the epoch before: make room first"
        ) from None


def _load(path: Path, state: _State, mark: str) -> None:
    if not path.exists():
        return
    try:
        kept: dict[str, Any] = torch.load(path, weights_only=True)
        if kept["mark"] != mark:
            raise BadRecipe(
                f"{path} belongs to another recipe, seed or set of clips; "
                "resume with the same ones, or begin a new run"
            )
        for name in ("student", "average", "objective", "optimizer"):
            getattr(state, name).load_state_dict(kept[name])
        for name in ("epoch", "step", "history", "best_epoch", "best", "best_weights"):
            setattr(state, name, kept[name])
    except BadRecipe:
        raise
    except Exception as error:  # torch raises a dozen kinds on damaged files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadArtifact(f"{path}: not a checkpoint ({reason:.120}); begin a new run") from None


def _fingerprint(
    recipe: Recipe, train: LabelledDataset, valid: LabelledDataset, seed: int, student: Student
) -> str:
    digest = hashlib.sha256(f"{dump_recipe(recipe)}{seed}{student.name}".encode())
    for rows in (train, valid):
        digest.update("".join(clip.id for clip in rows.clips).encode())
        for array in (rows.copy, rows.dimensions, rows.probs):
            digest.update(array.tobytes())
    return digest.hexdigest()


def _derive(seed: int, epoch: int) -> int:
    """A generator's seed for one epoch: neighbours must have nothing in common."""
    digest = hashlib.sha256(f"edgeemo {seed} {epoch}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def seeded_student(make: Callable[[], Student], seed: int) -> Student:
    """Make a student whose first weights depend on `seed` alone."""
    with torch.random.fork_rng():
        torch.manual_seed(_derive(seed, -2))
        return make()
