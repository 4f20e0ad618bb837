"""One epoch of training, from its beginning or from a place within it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from edgeemo.errors import BadData

from .. import distributed
from ..labels.dataset import Progress
from ..recipes import Recipe
from .batches import Batches
from .checkpoint import TrainState
from .stream import Epoch, TrainingRows

Place = dict[str, Any]
"""Where a process is in an epoch. Plain values and tensors alone, so that torch reads it safely."""

Due = Callable[[], bool]
"""Whether it is time for a checkpoint; the first process's word counts."""

_ASK = 16
"""Steps after which processes ask the first one whether a checkpoint is due."""


@dataclass(frozen=True)
class EpochContext:
    """What an epoch is trained with.

    Attributes:
        recipe: losses, rates, augmentation.
        seed: of the training.
        total: epochs of the whole training, for the progress.
        progress: told after each batch, in rows.
        due: asked after each step.
        keep: called with the place where it is due.
    """

    recipe: Recipe
    seed: int
    total: int
    progress: Progress | None
    due: Due | None
    keep: Callable[[Place], None]


def run_epoch(
    state: TrainState, rows: TrainingRows, context: EpochContext
) -> tuple[dict[str, float], float]:
    """One pass over the rows.

    Args:
        state: before the epoch, or in the middle of it, where it has a place for each process.
        rows: to train on.
        context: recipe, seed, and what is told meanwhile.

    Returns:
        Mean of each loss, and the last learning rate.

    Raises:
        BadData: the loss became NaN or infinite.
    """
    seed = derive(context.seed, state.epoch)
    plan = rows.epoch(context.recipe.distill.batch, seed)
    place = state.places[distributed.rank()] if state.places else None
    state.places = []
    epoch = _Epoch(state, plan, context, torch.Generator().manual_seed(seed))
    first = 0
    if place is not None:
        first, epoch.step = place["window"], place["step"]
        epoch.losses = {name: list(values) for name, values in place["losses"].items()}
        epoch.generator.set_state(place["window_generator"])
    state.student.train(state.objective.dropout)
    with closing(plan.windows(first)) as windows:
        for number, window in enumerate(windows, start=first):
            epoch.train_on(window, number, place)
            place = None
    means = {name: torch.stack(v).mean() for name, v in epoch.losses.items()}
    distributed.average(means.values())
    return {name: float(v) for name, v in means.items()}, epoch.rate


@dataclass
class _Epoch:
    """An epoch that is being trained.

    Attributes:
        state: student, optimizer, losses.
        plan: windows and steps.
        context: what it is trained with.
        generator: of the order within windows and of augmentation.
        step: optimizer steps so far.
        losses: of each step, by name.
        rate: of the last step.
    """

    state: TrainState
    plan: Epoch
    context: EpochContext
    generator: torch.Generator
    step: int = 0
    losses: dict[str, list[Tensor]] = field(default_factory=dict)
    rate: float = 0.0

    def train_on(self, window: Batches, number: int, place: Place | None) -> None:
        """Train on one window, or on what a place in it leaves."""
        begun = self.generator.get_state()
        order = self.plan.order(window, self.generator)
        done = 0
        if place is not None:
            done = place["batch"]
            self.generator.set_state(place["generator"])
            torch.set_rng_state(place["torch"])
        for batch in range(done, len(order)):
            if self.step == self.plan.steps:  # another process has fewer rows
                return
            self._train_on_batch(window, order[batch])
            # Kept before the progress is told: whoever is told may end the training.
            if self.step < self.plan.steps and _is_due(self.context.due, self.step):
                self.context.keep(self._place(number, batch + 1, begun))
            self._tell()

    def _train_on_batch(self, window: Batches, picked: Tensor) -> None:
        recipe, state = self.context.recipe, self.state
        pretrain = state.epoch < recipe.distill.pretrain
        weights = recipe.distill.pretrain_loss if pretrain else recipe.distill.loss
        self.rate = _set_rate(state, recipe, pretrain, self.step, self.plan.steps)
        found = _step(state, window, picked, self.generator, recipe, weights)
        for name, value in found.items():
            self.losses.setdefault(name, []).append(value)
        self.step += 1

    def _place(self, window: int, batch: int, begun: Tensor) -> Place:
        """Where this process is: the next batch, and all that chance and means depend on."""
        return {
            "window": window,
            "batch": batch,
            "step": self.step,
            "window_generator": begun,
            "generator": self.generator.get_state(),
            "torch": torch.get_rng_state(),
            "losses": {name: torch.stack(values) for name, values in self.losses.items()},
        }

    def _tell(self) -> None:
        if self.context.progress is not None:
            rows, epoch = self.plan.rows, self.state.epoch
            done = epoch * rows + self.step * rows // self.plan.steps
            self.context.progress("training", done, self.context.total * rows)


def _is_due(due: Due | None, number: int) -> bool:
    if due is None:
        return False
    if distributed.world() == 1:
        return due()
    return number % _ASK == 0 and distributed.gather(due())[0]


def _set_rate(state: TrainState, recipe: Recipe, pretrain: bool, number: int, steps: int) -> float:
    """The learning rate of step `number` of an epoch."""
    config = recipe.distill
    peak = (config.pretrain_lr or config.lr) if pretrain else config.lr
    first = 0 if pretrain else config.pretrain
    stage = (config.pretrain if pretrain else config.epochs) * steps
    rate = peak * cosine_warmup((state.epoch - first) * steps + number, stage, config.warmup)
    for group in state.optimizer.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)
    return rate


def _step(
    state: TrainState,
    rows: Batches,
    shard: Tensor,
    generator: torch.Generator,
    recipe: Recipe,
    weights: Mapping[str, float],
) -> dict[str, Tensor]:
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


def derive(seed: int, epoch: int) -> int:
    """A generator's seed for one epoch: neighbours must have nothing in common.

    Args:
        seed: of the training.
        epoch: its number; below 0 for what is drawn before the first.
    """
    digest = hashlib.sha256(f"edgeemo {seed} {epoch}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
