"""How well do teacher and students agree with human ratings of people they have never heard?

    python benchmarks/crossval.py --data DATA --whisper model.bin [--egemaps egemaps.npz]
    python benchmarks/crossval.py ... --recipe wav2small-stream --recipe wav2small
                                  the others are judged on the first drawing alone
    python benchmarks/crossval.py ... --ship RUN  then writes the first student's run folder

EmoTale's 14 speakers are drawn into 7 folds of 2, once for each seed. Nothing that is scored in a
fold has heard its two speakers: neither the heads of the teacher nor any step of the student. What
is shared by all folds, because it has heard no EmoTale speaker at all, is the trunk of the teacher
and the first stage of the student, which learns the teacher's features and classes from the other
corpora. In the second stage the student goes on with those whom the fold's teacher has heard, if
its recipe says so, and heads are trained on its features, as the teacher's are on its own.

CCC is taken over all clips of a drawing at once, each estimated by the fold that held it out; mean
and standard deviation are over the drawings. Every fold is kept, so a killed run goes on.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from confidence import of_folds
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from edgeemo import load
from edgeemo.artifacts.card import Metric
from edgeemo.compress.data import DataSet, open_dataset, split_by_speaker
from edgeemo.compress.evaluation.confidence import FittedConfidence
from edgeemo.compress.evaluation.evaluate import inter_rater_ccc, predict
from edgeemo.compress.labels.dataset import LabelledDataset
from edgeemo.compress.pipeline import Splits, complete, new_student
from edgeemo.compress.recipes import Recipe, load_recipe
from edgeemo.compress.run import Run
from edgeemo.compress.stages.finetune import drop_extra_copies, finetune_on_annotated
from edgeemo.compress.stages.heads import (
    embedded,
    embeddings,
    select_embedding_channels,
    with_heads,
)
from edgeemo.compress.students import Student, load_student, save_student
from edgeemo.compress.teachers.base import Teacher
from edgeemo.compress.teachers.heads import Heads, HeadsSettings, fit_heads
from edgeemo.compress.train.loop import Fitted, fit
from edgeemo.evaluation.metrics import ccc
from edgeemo.export.builtin_teacher import LICENCE, head_rows, make_trunk, trunk_teacher
from edgeemo.export.job import export_run
from edgeemo.export.parity import Tolerances
from edgeemo.files import replacing, write_text
from edgeemo.types import DIMENSIONS

RESULT = Path(__file__).parent / "results" / "crossval.json"
RATED = "emotale"
FOLDS = 7
VALID = ("ravdess/01", "ravdess/02")
"""People who choose the epoch and are never scored."""
LEVEL, EGEMAPS = "mean log-mel level alone", "eGeMAPS (openSMILE) + SVR"


@dataclass(frozen=True)
class Bench:
    """What all folds of one student share.

    Attributes:
        copies: all rows, with the further copies of rated clips that the recipe asks for.
        seeds: the drawings of the folds that it is judged on.
        whole: teacher and baselines are judged too; once is enough.
    """

    copies: LabelledDataset
    data: DataSet
    teacher: Teacher
    recipe: Recipe
    out: Path
    egemaps: dict[str, np.ndarray[Any, Any]]
    seeds: Sequence[int]
    whole: bool

    @cached_property
    def rows(self) -> LabelledDataset:
        """What all stages but the student's rated one hear."""
        return drop_extra_copies(self.copies, self.recipe)

    @cached_property
    def embedded(self) -> LabelledDataset:
        """The rows with the embedding of the student's first stage in place of the teacher's."""
        path = self.out / "embedding.npy"
        if not path.exists():
            found = embeddings(load_student(first_stage(self)), self.rows)
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.save(file, found)
        return replace(self.rows, embedding=np.load(path))

    @property
    def groups(self) -> set[str]:
        return set(self.rows.column("group"))

    @property
    def rated(self) -> list[str]:
        return sorted(set(self.rows.column("group")[self.rows.column("corpus") == RATED]))

    def folds(self, seed: int) -> list[set[str]]:
        drawn = np.random.default_rng(seed).permutation(self.rated)
        return [set(drawn[i::FOLDS].tolist()) for i in range(FOLDS)]


def first_stage(bench: Bench) -> Path:
    """The student after feature distillation from people who are rated nowhere."""
    path = bench.out / "first_stage.pt"
    if not path.exists():
        recipe = bench.recipe
        train = bench.rows.of_groups(bench.groups - set(bench.rated) - set(VALID))
        valid = bench.rows.of_groups(VALID, augmented=False)
        # A teacher that has heard none of the rated people either; it knows classes alone.
        heads = fit_heads(train, HeadsSettings(), recipe.seed)
        train, valid = (rows.with_probs(heads.apply_to(rows).probs) for rows in (train, valid))
        student = new_student(recipe)
        fitted = fit(student, train, valid, recipe, bench.out / "first_stage", resume=True)
        assert recipe.heads is not None
        save_student(select_embedding_channels(fitted.student, train, recipe.heads), path)
    return path


def second_stage(bench: Bench, groups: set[str], seed: int, teacher: Heads) -> Student:
    """The student with heads from the people of `groups`, whom alone `teacher` has heard."""
    recipe, student = bench.recipe, load_student(first_stage(bench))
    assert recipe.heads is not None
    if recipe.finetune is None:
        rows = bench.embedded.of_groups(groups)
    else:
        heard = teacher.apply_to(bench.copies.of_groups(groups))
        valid = teacher.apply_to(bench.rows.of_groups(VALID, augmented=False))
        student = finetune_on_annotated(student, heard, valid, recipe, seed=seed + 1)
        rows = embedded(student, bench.rows.of_groups(groups))
    return with_heads(student, rows, recipe.heads, seed + 1)


def run_fold(bench: Bench, seed: int, number: int) -> None:
    """Student, its int8 file, teacher and baselines on two speakers; kept in one file."""
    path = bench.out / f"fold-{seed}-{number}.npz"
    if path.exists():
        return
    held = bench.folds(seed)[number]
    test = bench.rows.of_groups(held, augmented=False)
    everyone = bench.rows.of_groups(bench.groups - held)
    heads = fit_heads(everyone, HeadsSettings(), seed + 1)
    heads.round()  # what is judged is what is shipped
    student = second_stage(bench, bench.groups - held - set(VALID), seed, heads)
    found = {"float": predict(student, test).dimensions, "human": test.human_dimensions}
    if bench.whole:
        found |= {"teacher": heads.apply_to(test).dimensions, LEVEL: level(everyone, test)}
        if bench.egemaps:
            found[EGEMAPS] = support_vectors(bench.egemaps, everyone, test)
        known = set(bench.rated) - held | set(VALID)
        others = heads.apply_to(bench.rows.of_groups(known, augmented=False))
        found["int8"] = int8(bench, student, others, test, bench.out / f"run-{seed}-{number}")
    with replacing(path) as temporary:
        np.savez(temporary, **found)
    shown = {name: scores(found[name], found["human"]) for name in found if name != "human"}
    print(f"{bench.recipe.name}, drawing {seed}, fold {number}: {shown}", flush=True)


def level(train: LabelledDataset, test: LabelledDataset) -> np.ndarray[Any, Any]:
    """A line through the mean level of the rated training clips."""
    known = ~np.isnan(train.human_dimensions).any(1) & (train.copy == 0)
    x = np.stack([train.level[known], np.ones(known.sum())], axis=1)
    line, *_ = np.linalg.lstsq(x, train.human_dimensions[known], rcond=None)
    return np.asarray(test.level[:, None] * line[0] + line[1])


def support_vectors(
    features: dict[str, np.ndarray[Any, Any]], train: LabelledDataset, test: LabelledDataset
) -> np.ndarray[Any, Any]:
    """88 functionals, standardized, one SVR (RBF, C = 1, scikit-learn's defaults) a dimension."""
    known = ~np.isnan(train.human_dimensions).any(1) & (train.copy == 0)
    ours, theirs = ([Path(c.id).stem for c in rows.clips] for rows in (train.take(known), test))
    scale = StandardScaler().fit([features[name] for name in ours])
    x, y = (scale.transform([features[name] for name in names]) for names in (ours, theirs))
    labels = train.human_dimensions[known]
    columns = [SVR(epsilon=0.05).fit(x, labels[:, d]).predict(y) for d in range(len(DIMENSIONS))]
    return np.stack(columns, axis=1)


def int8(
    bench: Bench, student: Student, known: LabelledDataset, test: LabelledDataset, folder: Path
) -> np.ndarray[Any, Any]:
    """What the exported file says of the clips of `test`, through the runtime that users have.

    The file learns its ranges from `known`, people whom the fold does not score.
    """
    run = Run(folder) if (folder / "recipe.toml").exists() else Run.begin(folder, bench.recipe, {})
    save_student(student, folder / "student.pt")
    parts = Splits(known, known, known.take(np.arange(0)))
    complete(run, bench.data, bench.teacher, Fitted(student, [], 0, 0.0), parts, (), report=False)
    # Wide limits: a fold that export would refuse must be counted, not left out.
    (made,) = export_run(folder, int8=True, limits=Tolerances(ccc=0.5))
    session = load(made.path)
    said = [session.predict(clip.samples(), gate=None) for clip in test.clips]
    return np.array([[s.arousal, s.dominance, s.valence] for s in said])


def scores(estimates: Any, labels: Any) -> list[float]:
    """CCC of arousal, dominance, valence."""
    return [round(ccc(estimates[:, d], labels[:, d]), 4) for d in range(len(DIMENSIONS))]


def drawings(bench: Bench) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
    """All clips of each drawing, estimated by the folds that held them out."""
    for seed in bench.seeds:
        files = [np.load(bench.out / f"fold-{seed}-{i}.npz") for i in range(FOLDS)]
        shared = set.intersection(*(set(f.files) for f in files))
        yield {name: np.concatenate([f[name] for f in files]) for name in shared}


def row(name: str, values: list[list[float]]) -> dict[str, Any]:
    """Mean and spread over the drawings, as readme_table.py reads them."""
    columns = np.array(values)
    return {"name": name} | {
        d: {"mean": round(float(columns[:, i].mean()), 4)}
        # One drawing has no spread.
        | ({"sd": round(float(columns[:, i].std()), 4)} if len(columns) > 1 else {})
        for i, d in enumerate(DIMENSIONS)
    }


def result(benches: Sequence[Bench], command: str, before: dict[str, Any]) -> dict[str, Any]:
    """The table, the spread over folds, and the metrics for the cards.

    `before` is the last result: its other students that are not judged this time keep their rows.
    """
    bench = benches[0]
    found = list(drawings(bench))
    names = {
        "teacher": "built-in teacher",
        "float": bench.recipe.name,
        "int8": f"{bench.recipe.name}, int8",
        EGEMAPS: EGEMAPS,
        LEVEL: LEVEL,
    }
    rows = [
        row(name, [scores(d[key], d["human"]) for d in found])
        for key, name in names.items()
        if key in found[0]
    ]
    passes = {b.recipe.name: _passes(b) for b in benches}
    others = [
        row(other.recipe.name, [scores(d["float"], d["human"]) for d in drawings(other)])
        for other in benches[1:]
    ]
    kept = {n: p for n, p in before.get("passes", {}).items() if n not in passes}
    rows[3:3] = others + [r for r in before.get("rows", []) if r["name"] in kept]
    passes |= kept
    rated = bench.rows.take((bench.rows.column("corpus") == RATED) & (bench.rows.copy == 0))
    ceiling = inter_rater_ccc(rated)
    rows.append(
        {"name": "one rater against the mean of the others"}
        | {d: {"mean": round(ceiling[d], 4)} for d in DIMENSIONS}
    )
    each = {
        key: [
            scores(f[key], f["human"])
            for seed in bench.seeds
            for i in range(FOLDS)
            if key in (f := np.load(bench.out / f"fold-{seed}-{i}.npz")).files
        ]
        for key in ("teacher", "float", "int8", EGEMAPS)
    }
    where = f"EmoTale, {len(rated)} clips, {len(bench.rated)} speakers"
    own = protocol = (
        f"{FOLDS} folds of {len(bench.rated) // FOLDS} speakers, whom neither teacher nor student "
        f"heard; mean and standard deviation of {len(bench.seeds)} drawing(s) of the folds"
    )
    if len(passes) > 1:
        protocol += (
            "; of the other students the first drawing alone. Passes over the speech in the last "
            "round of the first stage: " + ", ".join(f"{n} {p}" for n, p in passes.items())
        )
    return {
        "test_set": where,
        "protocol": protocol,
        "command": command,
        "rows": rows,
        "passes": passes,
        "single folds": {
            k: {
                "mean": np.mean(v, 0).round(4).tolist(),
                "sd": np.std(v, 0).round(4).tolist(),
                "folds": len(v),
            }
            for k, v in each.items()
            if v
        },
        "metrics": {
            name: _metrics(rows, label, f"{where}; {own}", ceiling)
            for name, label in (("teacher", names["teacher"]), ("student", names["float"]))
        },
    }


def _passes(bench: Bench) -> int:
    return len((bench.out / "first_stage" / "metrics.jsonl").read_text().splitlines())


def _metrics(
    rows: list[dict[str, Any]], name: str, where: str, ceiling: dict[str, float]
) -> list[dict[str, Any]]:
    ours, base = (next(r for r in rows if r["name"] == n) for n in (name, LEVEL))
    return [
        {
            "test_set": where,
            "measure": "ccc against annotators",
            "of": d,
            "value": ours[d]["mean"],
            "spread": ours[d]["sd"],
            "human_ceiling": round(ceiling[d], 4),
            "baseline": base[d]["mean"],
            "command": "python benchmarks/crossval.py",
        }
        for d in DIMENSIONS
    ]


def ship(
    bench: Bench, folder: Path, metrics: tuple[Metric, ...], confidence: FittedConfidence
) -> None:
    """The same recipe on everybody; its run folder is what `edgeemo export` takes."""
    clips = list({c.id: c for c in bench.rows.clips}.values())
    part = bench.recipe.data
    shares = (1 - part.valid - part.test, part.valid, part.test)
    groups = [{c.group for c in p} for p in split_by_speaker(clips, bench.recipe.seed, shares)]
    heads = fit_heads(bench.rows, HeadsSettings())
    rows = heads.apply_to(bench.rows)
    parts = Splits(*(rows.of_groups(g, augmented=i == 0) for i, g in enumerate(groups)))
    # Few are rated: all of them teach. Figures on the card come from the folds, not from here.
    run = Run.begin(folder, bench.recipe, {"command": "python benchmarks/crossval.py --ship"})
    student = second_stage(bench, groups[0] | set(bench.rated), bench.recipe.seed, heads)
    save_student(student, folder / "student.pt")
    history = (bench.out / "first_stage" / "metrics.jsonl").read_text()
    write_text(folder / "metrics.jsonl", history)
    fitted = Fitted(student, [json.loads(line) for line in history.splitlines()], 0, 0.0)
    complete(run, bench.data, _Named(bench.teacher), fitted, parts, metrics, confidence)
    print(f"{folder}: now run `edgeemo export {folder} --int8`")


class _Named:
    """The trunk under the name that the teacher has once its heads are on it."""

    def __init__(self, trunk: Teacher) -> None:
        self.name, self.licence, self.digest = "builtin", LICENCE, trunk.digest
        self.label = trunk.label


def main() -> None:
    """Run what is missing, print the table, write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="holds speech/ and ferplus/")
    parser.add_argument("--whisper", type=Path, required=True, help="CTranslate2 model.bin")
    parser.add_argument("--egemaps", type=Path, help="made by benchmarks/egemaps.py")
    parser.add_argument("--recipe", action="append", help="several stand beside the first")
    parser.add_argument("--seeds", type=int, default=3, help="drawings of the folds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cache", type=Path, default=Path("runs/labels"))
    parser.add_argument("--out", type=Path, default=Path("runs/crossval"))
    parser.add_argument("--ship", type=Path, help="then write this run folder")
    args = parser.parse_args()
    data, base = open_dataset(args.data / "speech"), make_trunk(args.whisper)
    egemaps = dict(np.load(args.egemaps)) if args.egemaps else {}
    benches: list[Bench] = []
    for name in args.recipe or ["wav2small-stream"]:
        recipe = load_recipe(name)
        rows = head_rows(base, data, recipe, args.cache, new_student(recipe).spec)
        out = args.out / recipe.name
        out.mkdir(parents=True, exist_ok=True)
        bench = Bench(
            rows,
            data,
            trunk_teacher(base),
            recipe,
            out,
            egemaps,
            range(1 if benches else args.seeds),
            whole=not benches,
        )
        run_folds(bench, args.jobs)
        benches.append(bench)
    bench = benches[0]
    before = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    found = result(benches, "python benchmarks/crossval.py", before)
    write_text(RESULT, json.dumps(found, indent=1) + "\n")
    for line in found["rows"]:
        print(
            f"{line['name']:42}",
            *(f"{line[d]['mean']:.3f} ±{line[d].get('sd', 0):.3f}" for d in DIMENSIONS),
        )
    if args.ship:
        metrics = tuple(Metric(**m) for m in found["metrics"]["student"])
        ship(bench, args.ship, metrics, of_folds(args.data, bench.out))


def run_folds(bench: Bench, jobs: int) -> None:
    """All folds of all drawings, one process a core: these nets are too small to share."""
    global _BENCH
    _BENCH = bench
    _ = bench.rows  # before the fork, so that no fold selects them anew
    _ = bench.embedded if bench.recipe.finetune is None else first_stage(bench)
    torch.set_num_threads(1)
    todo = [(seed, number) for seed in bench.seeds for number in range(FOLDS)]
    # Forked, so that the rows are not copied.
    with multiprocessing.get_context("fork").Pool(jobs, maxtasksperchild=1) as pool:
        pool.starmap(_job, todo, chunksize=1)


_BENCH: Bench | None = None


def _job(seed: int, number: int) -> None:
    assert _BENCH is not None
    torch.set_num_threads(1)
    run_fold(_BENCH, seed, number)


if __name__ == "__main__":
    main()
