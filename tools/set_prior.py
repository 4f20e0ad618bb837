"""Change how much of the classes' frequency in training the student of a finished run leaves out.

    python tools/set_prior.py --run RUN --data DATA                  prints what each choice gives
    python tools/set_prior.py --run RUN --data DATA --prior 0.2      and takes one
    edgeemo export RUN --int8

The recipe's `distill.prior` says it for training; afterwards it is a shift of the classes' biases,
by so much of the logarithm of their shares, and needs none (A. K. Menon et al., Long-tail learning
via logit adjustment, arXiv 2007.07314, section 4.1). The table is of the valid split, which chooses
and is not reported on. Temperature, metrics, parity set and the card's `class_prior` are made anew;
recipe.toml stays that of the training. DATA is what the run learned from.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from edgeemo.cli import exit_status
from edgeemo.compress.data import DataSet, open_dataset
from edgeemo.compress.evaluation.evaluate import Predictions, evaluate, predict
from edgeemo.compress.evaluation.metrics import fit_temperature
from edgeemo.compress.evaluation.summary import complete
from edgeemo.compress.labels.dataset import LabelledDataset
from edgeemo.compress.pipeline import label_splits
from edgeemo.compress.run import Run
from edgeemo.compress.stages.base import Splits
from edgeemo.compress.students import save_student
from edgeemo.compress.teachers.base import Teacher
from edgeemo.compress.teachers.own import teacher_of
from edgeemo.compress.train.losses import log_prior
from edgeemo.errors import BadInput

CHOICES = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0)

Figures = tuple[float, float, float]
"""Accuracy, mean recall, KL to the votes."""


def table(
    said: Predictions, rows: LabelledDataset, shares: torch.Tensor, now: float
) -> dict[float, Figures]:
    """What each choice gives, each with its own temperature.

    Args:
        said: of the student as it is.
        rows: that it was asked about.
        shares: [8], logarithms of the classes' shares in training.
        now: what it leaves out already.
    """
    known = np.isfinite(rows.votes).all(1)
    found = {}
    for prior in sorted({*CHOICES, now}):
        logits = said.logits - (prior - now) * shares.double().numpy()
        warm = fit_temperature(logits[known], rows.votes[known])
        figures = evaluate(replace(said, logits=logits / warm), rows)
        found[prior] = (figures["accuracy"], figures["uar"], figures["votes_kl"])
    return found


def left_out(run: Run, shares: torch.Tensor) -> float:
    """How much the student leaves out as it is: by its card, as this may have been changed before.

    Args:
        run: finished.
        shares: [8], logarithms of the classes' shares in training.
    """
    holds = torch.tensor(run.facts().calibration.class_prior).log()
    spread = shares - shares.mean()
    kept = float(((holds - holds.mean()) * spread).sum() / spread.square().sum())
    return round(1 - kept, 3)


def shift(run: Run, data: DataSet, teacher: Teacher, splits: Splits, prior: float) -> None:
    """Move the classes' biases, and write student and facts.

    Args:
        run: finished.
        data: that it learned from.
        teacher: that labelled it.
        splits: of the run.
        prior: share of the prior that is left out afterwards, 0..1.
    """
    facts, student = run.facts(), run.student()
    shares = log_prior(torch.from_numpy(splits.train.votes))
    head = student.classes
    assert isinstance(head, torch.nn.Linear)
    with torch.no_grad():
        head.bias.sub_((prior - left_out(run, shares)) * shares)
    save_student(student, run.folder / "student.pt")
    facts = complete(run, data, teacher, student, splits, facts.best_epoch)
    holds = ((1 - prior) * shares).double().softmax(0).tolist()
    calibration = replace(facts.calibration, class_prior=tuple(round(s, 6) for s in holds))
    run.finish(replace(facts, calibration=calibration))


def set_prior(args: argparse.Namespace) -> None:
    """What the command does, from its arguments."""
    # What costs nothing to look at comes before the data.
    if args.prior is not None and not 0 <= args.prior <= 1:
        raise BadInput(f"--prior {args.prior:g}: expected 0 to 1")
    run = Run(args.run)
    if not run.facts().calibration.class_prior:
        raise BadInput(f"{args.run}: no votes taught it, so it has no prior of the classes")
    data, teacher, student = open_dataset(args.data), teacher_of(run.recipe), run.student()
    splits = label_splits(run, data, teacher, student, args.cache, None)
    shares = log_prior(torch.from_numpy(splits.train.votes))
    now = left_out(run, shares)
    said = predict(student, splits.valid)
    print(f"prior  accuracy  recall     KL    {len(splits.valid)} clips; it is {now:g} now")
    for prior, figures in table(said, splits.valid, shares, now).items():
        print(f"{prior:5.2f}  {figures[0]:8.3f}  {figures[1]:6.3f}  {figures[2]:5.4f}")
    if args.prior is not None:
        shift(run, data, teacher, splits, args.prior)
        print(f"{args.run}: leaves {args.prior:g} out; write its files with: edgeemo export")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, and change the student where a prior is given; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of a finished run")
    parser.add_argument("--data", type=Path, required=True, help="what it learned from")
    parser.add_argument("--cache", type=Path, help="folder of the teacher's labels")
    parser.add_argument("--prior", type=float, help="0 (as frequent as in training) to 1 (equally)")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    return exit_status(lambda: set_prior(args))


if __name__ == "__main__":
    sys.exit(main())
