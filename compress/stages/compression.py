"""After training: take channels or weights away, then train with the rounding of int8.

Each is a stage with a folder of its own in the run (`prune`, `qat`), so an interrupted run goes on
inside it. What a stage starts from derives from the stage before, so nothing else is kept.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence

import torch
from torch import Tensor

from edgeemo.files import write_text

from .. import distributed
from ..labels.dataset import LabelledDataset
from ..recipes import PruneConfig, QatConfig
from ..run import Run
from ..students.base import Student, save_student
from ..train.batches import Batches
from ..train.loop import Fitted, Progress, fit, set_memory_format, stage_recipe
from ._nncf import HOOKS, load_nncf, plain_state
from .prune import remove_channels
from .qat import Ranges, finished, folded, quantized

CLIPS = 64
"""Training clips that channels are weighed on and first ranges are read from."""

_FEATURES = ("embedding", "tokens")  # their projections ended with the first training


def prune_and_quantize(
    run: Run,
    fitted: Fitted,
    train: LabelledDataset,
    valid: LabelledDataset,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Fitted:
    """Carry out what the recipe's tables `prune` and `qat` ask for.

    Args:
        run: its student.pt, metrics.jsonl and ranges.json are written.
        fitted: the trained student.
        train: rows it was trained on.
        valid: rows that choose the epoch.
        device: of torch.
        progress: told after each batch.

    Returns:
        The student as it will be exported, with the history of all stages.
    """
    recipe, ranges = run.recipe, Ranges()
    if recipe.prune is None and recipe.qat is None:
        return fitted
    clips = _clips(train)
    if recipe.prune is not None:
        start = _pruned(fitted.student, recipe.prune, clips)
        stage = _fine_tuned(run, "prune", start, recipe.prune, train, valid, device, progress)
        fitted = _chain(fitted, "prune", stage, _bare(stage.student, fitted.student))
    if recipe.qat is not None:
        start = quantized(_masked(fitted.student, recipe.prune, clips, fold=True), clips)
        stage = _fine_tuned(run, "qat", start, recipe.qat, train, valid, device, progress)
        student, ranges = finished(stage.student, fitted.student, clips[0])
        fitted = _chain(fitted, "qat", stage, student)
    if distributed.rank() == 0:
        save_student(fitted.student, run.folder / "student.pt")
        write_text(
            run.folder / "metrics.jsonl", "".join(json.dumps(h) + "\n" for h in fitted.history)
        )
        run.write_ranges(ranges)
    return fitted


def _clips(rows: LabelledDataset) -> list[Tensor]:
    held = Batches(rows)
    step = max(1, len(rows) // CLIPS)
    return [held.batch(torch.tensor([i])).features for i in range(0, len(rows), step)][:CLIPS]


def _pruned(student: Student, part: PruneConfig, clips: Sequence[Tensor]) -> Student:
    if part.kind == "channels":
        return remove_channels(student, part.share, clips)
    return _masked(student, part, clips)


def _masked(
    student: Student, part: PruneConfig | None, clips: Sequence[Tensor], fold: bool = False
) -> Student:
    """A copy with NNCF's masks on the smallest weights, if the recipe asks for them.

    Weights that a mask has set to 0 are the smallest, so masks made again are the same.
    """
    if part is None or part.kind != "weights":
        return student
    nncf = load_nncf()
    made = folded(student, clips[0]) if fold else copy.deepcopy(student).cpu().eval()
    set_memory_format(made, torch.contiguous_format)
    masked: Student = nncf.prune(
        made,
        mode=nncf.PruneMode.UNSTRUCTURED_MAGNITUDE_LOCAL,
        ratio=part.share,
        examples_inputs=clips[0],
    )
    return masked


def _bare(trained: Student, like: Student) -> Student:
    """The student without NNCF's masks, what they hide set to 0."""
    if not any(key.startswith(HOOKS) for key in trained.state_dict()):
        return trained
    made = copy.deepcopy(like).cpu().eval()
    made.load_state_dict(plain_state(trained))
    return made


def _fine_tuned(
    run: Run,
    name: str,
    start: Student,
    part: PruneConfig | QatConfig,
    train: LabelledDataset,
    valid: LabelledDataset,
    device: str,
    progress: Progress | None,
) -> Fitted:
    recipe = run.recipe
    loss = {k: v for k, v in recipe.distill.loss.items() if k not in _FEATURES}
    if not any(loss.values()):
        loss = dict(recipe.distill.loss)
    return fit(
        start,
        train,
        valid,
        stage_recipe(recipe, part.epochs, part.lr, loss),
        run.folder / name,
        resume=True,
        fresh=False,
        device=device,
        progress=progress,
    )


def _chain(before: Fitted, name: str, stage: Fitted, student: Student) -> Fitted:
    first = len(before.history)
    more = [h | {"epoch": first + h["epoch"], "stage": name} for h in stage.history]
    return Fitted(student, [*before.history, *more], first + stage.best_epoch, stage.best)
