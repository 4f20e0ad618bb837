"""`edgeemo distill`: teach a tiny student what a large model knows."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeemo.artifacts.licences import verdict
from edgeemo.cli._labels import add_label_scale
from edgeemo.cli._progress import Show, progress_on_stderr
from edgeemo.errors import BadInput, counted, printable, require

if TYPE_CHECKING:
    from edgeemo.compress.data import Clip, DataSet
    from edgeemo.compress.recipes import Recipe
    from edgeemo.compress.run import Run, RunSummary

HELP = (
    "Label speech or faces with a teacher, train a student on the labels, evaluate it on people "
    "whom it has not met. Leaves a run folder; without arguments the demo recipe on the speech "
    "that comes with edgeemo-teachers."
)

_RECIPES = {"speech": "demo", "face": "mobilenetv3-small-face"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    add = parser.add_argument
    add(
        "--recipe",
        metavar="R",
        help="name or .toml file (default: demo, for faces mobilenetv3-small-face)",
    )
    add(
        "--data",
        metavar="D",
        help="folder of sound, of faces or of corpora "
        "(default: the shipped speech; no faces are shipped)",
    )
    add(
        "--labels",
        type=Path,
        metavar="PACKED",
        help="labels that `edgeemo label --pack` packed, in place of --data; read as a stream",
    )
    add_label_scale(parser)
    add("--task", choices=["speech", "face"], help="default: the recipe's")
    add("--teacher", metavar="T", help="name, file or folder; overrides the recipe's")
    add("--out", type=Path, metavar="RUN", help="new folder of the run (default: runs/NAME-001)")
    add("--folds", type=int, metavar="N", help="cross-validate: N folds of unseen speakers")
    add("--repeats", type=int, default=1, metavar="N", help="repetitions, each with other folds")
    add("--fold-column", default="", metavar="C", help="column of the labels that names the fold")
    add(
        "--test-speakers",
        default="",
        metavar="A,B",
        help="whom to test on (default: by the data's own splits, else drawn by the seed)",
    )
    add("--jobs", type=int, metavar="N", help="folds at once (default: one a core)")
    add("--resume", type=Path, metavar="RUN", help="go on with an interrupted run")
    add(
        "--cache",
        type=Path,
        metavar="DIR",
        help="folder of the teacher's labels (default: labels/ beside the run)",
    )
    add("--device", default="cpu", help="of torch (default: %(default)s)")
    add(
        "--checkpoint-minutes",
        type=float,
        default=10.0,
        metavar="N",
        help="minutes between checkpoints within an epoch (default: %(default)g)",
    )
    add("--json", action="store_true", help="the result as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Distil, and print what came out."""
    require("torch", "train")
    require("pyarrow", "train")
    from edgeemo.compress import distributed
    from edgeemo.compress.run import named_run

    if args.resume is not None:
        args.resume = named_run(args.resume)
    distributed.start()
    try:
        if folds := _folds(args):
            print(json.dumps(folds) if args.json else _folds_text(folds))
            return 0
        found, facts = _distil(args)
        if distributed.rank() == 0:
            print(_json(found, facts) if args.json else _text(found, facts))
    finally:
        distributed.finish()
    return 0


def _distil(args: argparse.Namespace) -> tuple[Run, RunSummary]:
    from edgeemo.compress import distributed
    from edgeemo.compress.labels.packed import Packed
    from edgeemo.compress.pipeline import distill_packed
    from edgeemo.compress.run import Run

    if not args.checkpoint_minutes > 0:
        raise BadInput(f"--checkpoint-minutes {args.checkpoint_minutes:g}; expected more than 0")
    begun = _resumed(args) if args.resume else _begun(args)
    given = begun.given
    try:
        with progress_on_stderr(silent=distributed.rank() > 0) as show:
            if given.get("labels"):
                packed = Packed(Path(given["labels"]))
                _say(begun, packed.index.teacher.name, packed)
                facts = distill_packed(
                    begun,
                    packed,
                    device=args.device,
                    progress=show,
                    due=_Every(args.checkpoint_minutes * 60),
                )
            else:
                facts = _distil_data(begun, args, show)
    except KeyboardInterrupt:
        print(
            f"\nedgeemo: stopped; go on with: edgeemo distill --resume {printable(begun.folder)}",
            file=sys.stderr,
        )
        raise
    return Run(begun.folder), facts


def _distil_data(begun: Run, args: argparse.Namespace, show: Show) -> RunSummary:
    from edgeemo.compress.pipeline import distill, new_student
    from edgeemo.compress.teachers.own import teacher_of

    recipe, given = begun.recipe, begun.given
    new_student(recipe)  # a wrong name must not cost the labelling
    teacher = teacher_of(recipe, args.device)
    data = _data(given.get("data"), recipe, given.get("label_scale", (0.0, 1.0)))
    _say(begun, teacher.name, data)
    cache = given.get("cache")
    return distill(
        begun,
        data,
        teacher,
        cache=Path(cache) if cache else None,
        device=args.device,
        progress=show,
        due=_Every(args.checkpoint_minutes * 60),
    )


def _say(begun: Run, teacher: str, data: object) -> None:
    from edgeemo.compress import distributed

    if distributed.rank() == 0:
        student = begun.recipe.student.name
        said = f"{begun.folder}: {student} learns {teacher} on {data!r}"
        print(printable(said, 1000), file=sys.stderr)


class _Every:
    """True when some seconds have passed since it last was."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._last = seconds, time.monotonic()

    def __call__(self) -> bool:
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


def _begun(args: argparse.Namespace) -> Run:
    """A new run, made by the first process for all."""
    from edgeemo.compress import distributed
    from edgeemo.compress.data.folds import check_doubles
    from edgeemo.compress.evaluation.fold_runs import plan_folds
    from edgeemo.compress.labels.packed import Packed
    from edgeemo.compress.licences import check_open
    from edgeemo.compress.pipeline import check_packed, check_task, new_student, planned_splits
    from edgeemo.compress.recipes import load_recipe
    from edgeemo.compress.run import RUNS, Run
    from edgeemo.compress.teachers.own import teacher_of

    if args.labels and args.data:
        raise BadInput("--labels and --data: packed labels are of their data; give one of the two")
    recipe: Recipe = load_recipe(args.recipe or _RECIPES[args.task or "speech"])
    if args.task not in (None, recipe.task):
        raise BadInput(f"--task {args.task}: the recipe {recipe.name!r} is for {recipe.task}")
    if args.teacher:
        # Absolute, because a run may be resumed from elsewhere.
        path = Path(args.teacher)
        name = str(path.resolve()) if path.exists() else args.teacher
        recipe = replace(recipe, teacher=replace(recipe.teacher, name=name))
    # All that can be wrong is told before there is a run.
    student = new_student(recipe)
    speakers = [name.strip() for name in args.test_speakers.split(",") if name.strip()]
    if args.labels:
        check_packed(recipe, student, Packed(args.labels))
    else:
        data = _data(args.data, recipe, args.label_scale)
        teacher = teacher_of(recipe, args.device)
        check_task(recipe, data, teacher)
        check_open(recipe, data, teacher)
        check_doubles(data)
        split = planned_splits(recipe, data, speakers)
        if args.folds or args.fold_column:
            plan_folds(data, recipe.seed, args.folds, args.repeats, args.fold_column)
        else:
            _warn_of_few(split[2])
        _warn_of_corpora(recipe, data)
    folder = args.out
    if distributed.rank() == 0:
        given = {
            "data": args.data and str(Path(args.data).resolve()),
            "label_scale": list(args.label_scale),
            "cache": args.cache and str(args.cache.resolve()),
            "labels": args.labels and str(args.labels.resolve()),
            "test_speakers": speakers,
            "folds": args.folds or 0,
            "repeats": args.repeats,
            "fold_column": args.fold_column,
        }
        if args.out:
            Run.begin(args.out, recipe, given)
        else:
            folder = Run.begin_next(RUNS, recipe, given).folder
    # All processes wait here for the first one.
    return Run(Path(distributed.from_first(str(folder))))


def _warn_of_few(test: Sequence[Clip]) -> None:
    from edgeemo.compress.data.folds import FEW

    people = len({clip.speaker for clip in test})
    if 0 < people < FEW:
        few = counted(people, "person", "people")
        print(
            f"edgeemo: the test split has {few}: its figures depend on who they are; "
            "--folds N scores everybody once",
            file=sys.stderr,
        )


def _warn_of_corpora(recipe: Recipe, data: DataSet) -> None:
    # Not refused: recipes that are shipped name corpora that not everybody has.
    there = sorted({clip.corpus for clip in data.clips})
    for name in sorted(set(recipe.augment.corpus_copies) - set(there)):
        print(
            f"edgeemo: $.augment.corpus_copies.{printable(name)}: no such corpus in the data; "
            f"there is: {printable(', '.join(there))}",
            file=sys.stderr,
        )


def _folds(args: argparse.Namespace) -> dict[str, Any]:
    """The result of a cross-validation, begun or gone on with; empty if it is an ordinary run."""
    from edgeemo.compress import distributed
    from edgeemo.compress.evaluation.fold_runs import CrossValidation, cross_validate
    from edgeemo.compress.run import Run
    from edgeemo.compress.teachers.own import teacher_of

    for name, least in (("folds", 2), ("repeats", 1), ("jobs", 1)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise BadInput(f"--{name} is {value}; expected {least} or more")
    given = Run(args.resume).given if args.resume else vars(args)
    count, column = given.get("folds") or 0, given.get("fold_column") or ""
    if not count and not column:
        if args.repeats > 1:
            raise BadInput("--repeats repeats a cross-validation; give --folds N too")
        return {}
    if distributed.world() > 1:
        raise BadInput("--folds trains in processes of its own; run it without torchrun")
    if args.labels or given.get("labels"):
        raise BadInput("packed labels have their splits already; give --data with --folds")
    if args.test_speakers or (column and count):
        raise BadInput("give one of --folds, --fold-column and --test-speakers")
    begun = _resumed(args) if args.resume else _begun(args)
    recipe, given = begun.recipe, begun.given
    data = _data(given.get("data"), recipe, given.get("label_scale", (0.0, 1.0)))
    teacher = teacher_of(recipe, args.device)
    plan = CrossValidation(begun, data, teacher, count, given.get("repeats", 1), column)
    cache = given.get("cache")
    with progress_on_stderr(silent=False) as show:
        jobs = args.jobs or os.cpu_count() or 1
        found = cross_validate(plan, jobs, Path(cache) if cache else None, show)
    return {"run": str(begun.folder)} | found


def _folds_text(found: dict[str, Any]) -> str:
    lines = [
        f"{found['student']} on {found['data']}: {counted(found['clips'], 'clip')} of "
        f"{counted(found['speakers'], 'speaker')}. {found['protocol']}."
    ]
    for name, against in (("annotators", "annotators"), ("teacher_agreement", "the teacher")):
        if found[name]:
            lines.append(f"CCC against {against}: mean ± sd over repetitions [95 % over speakers]")
        for of, score in found[name].items():
            sd = f" ± {score['sd']:.3f}" if "sd" in score else ""
            lines.append(
                f"  {of:<10} {score['mean']:.3f}{sd} [{score['low']:.3f}, {score['high']:.3f}]"
            )
    for name, score in found["classes"].items():
        sd = f" ± {score['sd']:.3f}" if "sd" in score else ""
        lines.append(f"  {name:<10} {score['mean']:.3f}{sd}  classes against the votes")
    return "\n".join([*lines, f"Result: {found['run']}/crossval.json"])


def _resumed(args: argparse.Namespace) -> Run:
    from edgeemo.compress.run import Run

    for name in ("out", "recipe", "data", "teacher", "folds", "fold_column", "test_speakers"):
        if getattr(args, name):
            option = name.replace("_", "-")
            raise BadInput(f"--resume goes on as the run began; leave --{option} out")
    found = Run(args.resume)
    if found.finished:
        raise BadInput(f"{args.resume} is finished; export it with: edgeemo export {args.resume}")
    return found


def _data(path: str | None, recipe: Recipe, scale: Sequence[float]) -> DataSet:
    from edgeemo.compress.data import open_dataset, shipped_speech

    if path is None and recipe.task == "face":
        raise BadInput("no faces are shipped; give a corpus, for example FER+: --data FERPLUS")
    return open_dataset(path, (scale[0], scale[1])) if path else shipped_speech()


def _json(run: Run, facts: RunSummary) -> str:
    from edgeemo.io import schema

    plain = {"run": str(run.folder), "report": str(run.report)} | schema.write(facts)
    return json.dumps(plain, ensure_ascii=False)


def _text(run: Run, facts: RunSummary) -> str:
    each = "face" if facts.task == "face" else "second of audio"
    lines = [
        f"{facts.name}: {facts.parameters:,} parameters, "
        f"{facts.macs_per_second / 1e6:.1f} M MAC a {each}"
    ]
    where = ""
    for m in facts.metrics:
        if m.test_set != where:
            where = m.test_set
            lines.append(f"On {where}:")
        beside = f"; mean level alone {m.baseline:.3f}" if m.baseline is not None else ""
        if m.human_ceiling is not None:
            beside += f"; one annotator against the others {m.human_ceiling:.3f}"
        lines.append(f"  {m.of:<10} {m.value:6.3f}  {m.measure}{beside}")
    qat = run.recipe.qat
    if facts.skipped:
        lines.append(f"{counted(facts.skipped, 'clip')} could not be used; see the warnings above")
    lines += [
        f"Licence of the weights: {facts.licence}",
        f"{verdict((*facts.teachers, *facts.data))}",
        f"Report: {run.report}",
        f"Next: edgeemo export {shlex.quote(str(run.folder))} --{qat.weights if qat else 'int8'}",
    ]
    return "\n".join(lines)
