"""Make the student that is shipped, or check that the shipped files are what the recipes say.

    python tools/make_student.py --data DATA --whisper model.bin
    python tools/make_student.py --check

The first trains the rounds of tools/recipes/wav2small-stream/provenance.toml in order, each from
the ONNX file of the one before, and exports each to ONNX and TFLite (int8). The stages are those of
`benchmarks/crossval.py`, on all speakers but the few of the test and valid splits who are not
annotated. What is done already is kept, so an interrupted run goes on.

Figures on the last round's card come from cross-validation with its recipe, which names the file
that it starts from:

    python benchmarks/crossval.py --recipe OUT/round-4/recipe.toml --data DATA
    python benchmarks/confidence.py --data DATA --card OUT/confidence.json
    python tools/make_student.py --data DATA --whisper model.bin --metrics \\
        benchmarks/results/crossval.json --confidence OUT/confidence.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from _provenance import check, load_provenance, provenance_file, sha256

from edgeemo.artifacts.card import Metric
from edgeemo.cli import exit_status
from edgeemo.compress.data import DataSet, open_dataset, split_by_speaker
from edgeemo.compress.evaluation.confidence import FittedConfidence
from edgeemo.compress.evaluation.folds import Folds, label_for_folds
from edgeemo.compress.evaluation.summary import complete
from edgeemo.compress.labels.dataset import LabelledDataset
from edgeemo.compress.recipes import Recipe, load_recipe
from edgeemo.compress.run import Run
from edgeemo.compress.stages.base import Splits
from edgeemo.compress.students import save_student
from edgeemo.compress.teachers.base import Teacher
from edgeemo.errors import BadData
from edgeemo.export import export
from edgeemo.export.builtin_teacher import (
    LICENCE,
    BackboneModel,
    backbone_teacher,
    make_backbone,
    show_progress,
)
from edgeemo.io import schema
from edgeemo.io.files import write_text

NAME = "wav2small-stream"


@dataclass(frozen=True)
class Maker:
    """What all rounds share: the corpora, the teacher's backbone, and the folder of its labels."""

    data: DataSet
    backbone: BackboneModel
    cache: Path

    def train(
        self, run: Run, metrics: tuple[Metric, ...] = (), confidence: FittedConfidence | None = None
    ) -> None:
        """Train a round's student and finish its run.

        Args:
            run: the round's folder.
            metrics: for the card.
            confidence: for the card.
        """
        recipe = run.recipe
        large = _Named(backbone_teacher(self.backbone))
        copies, others = label_for_folds(recipe, self.data.clips, self.cache, large, show_progress)
        folds = Folds(copies, recipe, run.folder, others=others)
        heads = folds.fit_teacher(folds.groups, 1)
        splits = self._splits(folds, folds.labelled(folds.examples, heads))
        # Few speakers are annotated: all of them teach. Metrics come from the folds, not from here.
        groups = set(splits.train.column("group")) | set(folds.annotated)
        student = folds.student(groups, heads, recipe.seed)
        save_student(student, run.folder / "student.pt")
        history = (run.folder / "backbone" / "metrics.jsonl").read_text(encoding="utf-8")
        write_text(run.folder / "metrics.jsonl", history)
        best = max(0, len(history.splitlines()) - 1)  # heads alone have no epochs
        facts = complete(run, self.data, large, student, splits, best, metrics, confidence)
        run.finish(replace(facts, recipe=sha256(provenance_file(NAME))))

    def _splits(self, folds: Folds, examples: LabelledDataset) -> Splits:
        clips = list({c.id: c for c in examples.clips}.values())
        recipe = folds.recipe
        split = split_by_speaker(clips, recipe.seed, recipe.data.shares)
        train, valid, test = ({clip.group for clip in part} for part in split)
        return Splits(
            examples.of_groups(train),
            examples.of_groups(valid, augmented=False),
            examples.of_groups(test, augmented=False),
        )


class _Named:
    """The backbone under the name that the teacher has once its heads are on it."""

    def __init__(self, backbone: Teacher) -> None:
        self.name, self.licence, self.digest = "builtin", LICENCE, backbone.digest
        self.label = backbone.label


def make(args: argparse.Namespace) -> None:
    """Train and export the rounds that are missing."""
    last = _measured(args.metrics, args.confidence)  # first, so that a wrong file is told at once
    maker = Maker(open_dataset(args.data / "speech"), make_backbone(args.whisper), args.cache)
    rounds = load_provenance(NAME).rounds
    start: Path | None = None
    for number, each in enumerate(rounds, 1):
        folder = args.out / f"round-{number}"
        measured = number == len(rounds) and args.metrics is not None
        if measured or not (folder / "run.json").exists():
            recipe = _from(start, load_recipe(provenance_file(NAME).parent / each.recipe))
            run = Run(folder) if folder.exists() else Run.begin(folder, recipe, {})
            maker.train(run, *(last if measured else ((), None)))
        files = [r.path for r in export(folder, ("onnx", "tflite"), int8=True, log=print)]
        start = files[0]
        print("\n".join(map(str, files)))


def _from(start: Path | None, recipe: Recipe) -> Recipe:
    if start is None:
        return recipe
    return replace(recipe, student=replace(recipe.student, init_from=str(start.resolve())))


def _measured(
    metrics: Path | None, confidence: Path | None
) -> tuple[tuple[Metric, ...], FittedConfidence | None]:
    if metrics is None:
        return (), None
    found = json.loads(metrics.read_text(encoding="utf-8"))["metrics"]["student"]
    fitted = None
    if confidence is not None:
        value = json.loads(confidence.read_text(encoding="utf-8"))
        fitted = schema.read(FittedConfidence, value, BadData)
    return tuple(schema.read(Metric, each, BadData) for each in found), fitted


def main(argv: Sequence[str] | None = None) -> int:
    """Make, or check; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare digests, train nothing")
    parser.add_argument("--data", type=Path, help="holds speech/")
    parser.add_argument("--whisper", type=Path, help="CTranslate2 model.bin of Whisper tiny.en")
    parser.add_argument("--metrics", type=Path, help="result of benchmarks/crossval.py")
    parser.add_argument("--confidence", type=Path, help="made by benchmarks/confidence.py --card")
    parser.add_argument("--cache", type=Path, default=Path("runs/labels"))
    parser.add_argument("--out", type=Path, default=Path("runs/student"))
    args = parser.parse_args(argv)
    if args.check:
        faults = check(NAME)
        print("\n".join(faults) or f"{NAME}: the shipped files are what their recipes say")
        return 1 if faults else 0
    if args.data is None or args.whisper is None:
        parser.error("--data and --whisper are needed, or --check")
    return exit_status(lambda: make(args))


if __name__ == "__main__":
    sys.exit(main())
