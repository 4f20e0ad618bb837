"""How well does a student read posing performers before, and after, it is taught others of them?

    python benchmarks/face_folds.py --data DATA --recipe tools/recipes/mobilenetv1-face/folds.toml

prints a table and writes benchmarks/results/face_folds.json. DATA holds `taiwan` and `ferplus`, and
may hold `lfw`, as for faces.py. The recipe's start must have learned none of Taiwan's performers:
its card is asked. They are dealt out to five folds, and each fold is read by a student that was
taught the performers of the other four. Accuracy and mean recall are of the class with the most
votes, over the held-out readings of all performers together:

- as it came: before any posed picture is learned;
- outputs refitted: a linear map of its log probabilities, taught by the other performers' votes;
- taught: all of its weights, by the recipe, from the other performers and each EVERY-th picture of
  FER+ and LFW. Beside it, what that costs on each KEPT-th of the pictures that faces.py judges.

Nothing is chosen on the held-out: the last epoch counts.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from _data import add_data
from numpy.typing import NDArray
from torch import Tensor

from edgeemo.cli import exit_status
from edgeemo.compress.data import Clip, open_dataset
from edgeemo.compress.data.folds import deal
from edgeemo.compress.data.splits import split_as_published
from edgeemo.compress.evaluation.evaluate import Predictions, evaluate, top_class
from edgeemo.compress.exposure import exposure_of_weights, seen_clips
from edgeemo.compress.labels.dataset import LabelledDataset
from edgeemo.compress.labels.labeller import Labeller
from edgeemo.compress.pipeline import new_student
from edgeemo.compress.recipes import Recipe, load_recipe
from edgeemo.compress.stages.finetune import num_augmented_copies
from edgeemo.compress.students import Student
from edgeemo.compress.teachers import load_teacher
from edgeemo.compress.train.batches import Batches
from edgeemo.compress.train.loop import fit
from edgeemo.errors import BadData
from edgeemo.io.files import write_text
from edgeemo.types import CLASSES

RESULT = Path(__file__).parent / "results" / "face_folds.json"
POSED = "taiwan"
FOLDS, EVERY, KEPT, DECAY = 5, 24, 4, 1e-2

Readings = NDArray[np.float64]
"""Log probabilities [N, 8]."""


@torch.inference_mode()
def readings(student: Student, rows: LabelledDataset) -> Readings:
    """Of each face and its mirror image, as the runtime takes the mean of both."""
    batches = Batches(rows)
    found = []
    for part in torch.arange(len(rows)).split(64):
        batch = batches.batch(part)
        both = [student(x, batch.lengths).logits for x in (batch.features, batch.features.flip(2))]
        found.append(torch.stack([logits.softmax(1) for logits in both]).mean(0).log())
    return torch.cat(found).double().numpy()


def refitted(x: Readings, votes: NDArray[np.float32], unseen: Readings) -> Readings:
    """Readings after a linear map that was fitted to votes, and held near to no change at all.

    Args:
        x: of the faces to fit.
        votes: [N, 8], theirs.
        unseen: of the faces that are wanted.
    """
    matrix = torch.eye(len(CLASSES), dtype=torch.float64, requires_grad=True)
    shift = torch.zeros(len(CLASSES), dtype=torch.float64, requires_grad=True)
    given, target = torch.from_numpy(x), torch.from_numpy(votes).double()
    optimizer = torch.optim.LBFGS([matrix, shift], max_iter=100)

    def loss() -> Tensor:
        optimizer.zero_grad()
        moved = (matrix - torch.eye(len(CLASSES), dtype=torch.float64)).square().sum()
        found = F.cross_entropy(given @ matrix + shift, target) + DECAY * moved
        found.backward()
        return found

    optimizer.step(loss)
    with torch.no_grad():
        return (torch.from_numpy(unseen) @ matrix + shift).log_softmax(1).numpy()


def _overall(said: Readings, rows: LabelledDataset) -> dict[str, Any]:
    return evaluate(Predictions(np.full((len(rows), 3), np.nan), said), rows)


def judged(said: Readings, rows: LabelledDataset) -> dict[str, Any]:
    """Accuracy, mean recall and KL; recall and count of each class, accuracy of each performer."""
    overall = _overall(said, rows)
    truth, guess = top_class(rows.votes), said.argmax(1)
    right, people = guess == truth, rows.column("speaker")

    def share(picked: NDArray[np.bool_]) -> list[float]:
        picked = picked & (truth >= 0)
        return [float(right[picked].mean()), int(picked.sum())]

    return {
        "pictures": int((truth >= 0).sum()),
        "accuracy": overall["accuracy"],
        "uar": overall["uar"],
        "kl": overall["votes_kl"],
        "recall": {CLASSES[i]: share(truth == i) for i in sorted(set(truth) - {-1})},
        "people": {str(name): share(people == name) for name in sorted(set(people))},
    }


def labelled(
    recipe: Recipe, posed: Sequence[Clip], data: Path, cache: Path | None
) -> tuple[LabelledDataset, set[str], set[str]]:
    """All rows; the groups of other faces that teach beside performers, and of those kept apart."""
    train, kept = list[Clip](), list[Clip]()
    for name in ("ferplus", "lfw"):
        if (data / name).exists():
            found = open_dataset(data / name).clips
            parts = split_as_published(found, recipe.seed, recipe.data.shares)
            train, kept = train + parts[0][::EVERY], kept + parts[2][::KEPT]
    clips = [*posed, *train, *kept]
    teacher = load_teacher(recipe.teacher.name)
    labeller = Labeller(teacher, new_student(recipe).spec, recipe, cache or data / "labels")
    rows = labeller.label(clips, num_augmented_copies(clips, recipe))
    return rows, {clip.group for clip in train}, {clip.group for clip in kept}


def cross_validate(
    recipe: Recipe, clips: Sequence[Clip], data: Path, cache: Path | None
) -> dict[str, Any]:
    """Figures by row of the table, and what is lost on other faces.

    Args:
        recipe: whose start has seen nobody of the clips.
        clips: of performers.
        data: holds the other corpora.
        cache: folder of the labels.

    Raises:
        BadData: the start was taught some of the performers, or nobody knows.
    """
    start = recipe.student.init_from
    seen = seen_clips(exposure_of_weights(start), clips) if start else None
    if seen is not None and (seen.clips() or seen.unknown):
        raise BadData(
            f"$.student.init_from: {start} has learned {seen.people()} of the performers, or "
            "nobody knows; give a start whose card names none of them"
        )
    rows, others, kept = labelled(recipe, clips, data, cache)
    everybody = {clip.group for clip in clips}
    posed, apart = (rows.of_groups(who, augmented=False) for who in (everybody, kept))
    came = readings(new_student(recipe).eval(), posed)
    said = {name: came.copy() for name in ("as it came", "outputs refitted", "taught")}
    accuracy = []
    for held_out in deal(clips, FOLDS, recipe.seed):
        out = np.array([group in held_out for group in posed.column("group")])
        unseen = posed.take(out)
        said["outputs refitted"][out] = refitted(came[~out], posed.votes[~out], came[out])
        teaching = rows.of_groups((everybody - held_out) | others)
        fitted = fit(new_student(recipe), teaching, apart, recipe, fresh=False)
        said["taught"][out] = readings(fitted.student, unseen)
        accuracy.append(float(fitted.history[-1]["valid"]["accuracy"]))
        right = judged(said["taught"][out], unseen)["accuracy"]
        print(f"{', '.join(sorted(held_out))}: {right:.3f}", flush=True)
    before = _overall(readings(new_student(recipe).eval(), apart), apart)["accuracy"]
    pictures = int((top_class(apart.votes) >= 0).sum())
    others_said = {"pictures": pictures, "as it came": before}
    return {
        "start": start,
        "performers": len(everybody),
        "rows": {name: judged(found, posed) for name, found in said.items()},
        "others": others_said | {"taught": float(np.mean(accuracy))},
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Print and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add_data(parser, POSED, "ferplus")
    add("--recipe", required=True, help="of the training; its start is judged, too")
    add("--cache", type=Path, help="folder of the labels (default: labels/ in DATA)")
    add("--out", type=Path, default=RESULT)
    args = parser.parse_args(argv)
    recipe = load_recipe(args.recipe)
    found = cross_validate(recipe, open_dataset(args.data / POSED).clips, args.data, args.cache)
    for name, row in found["rows"].items():
        recall = ", ".join(f"{k} {v:.2f} ({n})" for k, (v, n) in row["recall"].items())
        print(f"{name:<18} {row['accuracy']:.3f} {row['uar']:.3f} KL {row['kl']:.3f}  {recall}")
    print("other faces, accuracy: ", found["others"])
    found["command"] = f"python benchmarks/face_folds.py --data DATA --recipe {args.recipe}"
    write_text(args.out, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(exit_status(main))
