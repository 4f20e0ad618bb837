"""The state of a training, its checkpoints after and within epochs, and going on from one."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgeemo.errors import BadArtifact, BadData, BadRecipe, one_line
from edgeemo.io.files import replacing, write_text

from .. import distributed
from ..evaluation.evaluate import Metrics
from ..labels.dataset import LabelledDataset
from ..recipes import Recipe, dump_recipe
from ..students.base import Student, save_student
from .distillation_loss import Objective
from .likeness import Likeness


@dataclass
class TrainState:
    """All that changes from epoch to epoch.

    Attributes:
        student: the weights that are trained.
        ema: their exponential moving average, which is evaluated and saved.
        objective: the losses, with the projections that they train.
        optimizer: of student and objective.
        epoch: number of the next epoch.
        step: optimizer steps so far.
        places: within an epoch, where each process is; else empty.
        history: metrics of each epoch.
        best_epoch: the epoch that is kept; -1 before there is one.
        best: its value of the early-stopping metric.
        best_weights: its averaged weights.
    """

    student: Student
    ema: Student
    objective: Objective | Likeness
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    step: int = 0
    places: list[dict[str, Any]] = field(default_factory=list)
    history: list[Metrics] = field(default_factory=list)
    best_epoch: int = -1
    best: float = -math.inf
    best_weights: dict[str, Tensor] = field(default_factory=dict)


def save_checkpoint(folder: Path, state: TrainState, fingerprint: str) -> None:
    """Write metrics.jsonl, checkpoints/last.pt and, after the best epoch, student.pt.

    Args:
        folder: of the training.
        state: after an epoch or, with places, within one.
        fingerprint: see `fingerprint`.

    Raises:
        BadData: a file cannot be written.
    """
    write_text(folder / "metrics.jsonl", "".join(json.dumps(h) + "\n" for h in state.history))
    checkpoint = {
        "fingerprint": fingerprint,
        "student": state.student.state_dict(),
        "ema": state.ema.state_dict(),
        "objective": state.objective.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "epoch": state.epoch,
        "step": state.step,
        "places": state.places,
        "history": state.history,
        "best_epoch": state.best_epoch,
        "best": state.best,
        "best_weights": state.best_weights,
    }
    try:
        if state.best_epoch == state.epoch - 1 and not state.places:
            best = copy.deepcopy(state.ema)
            save_student(best, folder / "student.pt")
        with replacing(folder / "checkpoints" / "last.pt") as temporary:
            torch.save(checkpoint, temporary)
    except (OSError, RuntimeError) as error:  # torch gives RuntimeError on a full disk
        raise BadData(
            f"{folder} cannot be written ({one_line(error)}); the run can be resumed from the "
            "checkpoint before: make room first"
        ) from None


def load_checkpoint(path: Path, state: TrainState, fingerprint: str) -> None:
    """Restore a state, bit for bit; nothing happens where there is no checkpoint.

    Args:
        path: of the checkpoint.
        state: fresh, of the same student and rows; changed in place.
        fingerprint: see `fingerprint`.

    Raises:
        BadRecipe: the checkpoint is of another recipe, seed or set of rows.
        BadArtifact: no checkpoint, or a damaged one.
    """
    if not path.exists():
        return
    try:
        checkpoint: dict[str, Any] = torch.load(path, weights_only=True)
        if checkpoint["fingerprint"] != fingerprint:
            raise BadRecipe(
                f"{path} belongs to another recipe, seed or set of clips; "
                "resume with the same ones, or begin a new run"
            )
        for name in ("student", "ema", "objective", "optimizer"):
            getattr(state, name).load_state_dict(checkpoint[name])
        for name in ("epoch", "step", "history", "best_epoch", "best", "best_weights"):
            setattr(state, name, checkpoint[name])
        state.places = checkpoint.get("places", [])
        if len(state.places) not in (0, distributed.world()):
            raise BadRecipe(
                f"{path} was written within an epoch by {len(state.places)} processes; "
                f"resume with as many, not {distributed.world()}"
            )
    except BadRecipe:
        raise
    except Exception as error:  # torch raises a dozen kinds on damaged files
        raise BadArtifact(
            f"{path}: not a checkpoint ({one_line(error)}); begin a new run"
        ) from None


def identity_of(rows: LabelledDataset) -> bytes:
    """What tells rows from others: names of the clips, numbers of the copies, labels.

    Args:
        rows: in memory.
    """
    names = "".join(clip.id for clip in rows.clips).encode()
    arrays = (rows.copy, rows.dimensions, rows.probs)
    return b"".join((names, *(array.tobytes() for array in arrays)))


def fingerprint(recipe: Recipe, train: bytes, valid: bytes, seed: int, student: Student) -> str:
    """What a checkpoint belongs to, as sha256 in hex: recipe, seed, student and rows.

    Args:
        recipe: of the training.
        train: identity of the rows that are trained on.
        valid: identity of the rows that choose the epoch.
        seed: of the training.
        student: of which the name counts.
    """
    digest = hashlib.sha256(f"{dump_recipe(recipe)}{seed}{student.name}".encode())
    digest.update(train)
    digest.update(valid)
    return digest.hexdigest()
