"""How well do students agree with annotators of unseen speakers?

    python benchmarks/crossval.py --data DATA [--egemaps egemaps.npz]
    python benchmarks/crossval.py ... --recipe wav2small-stream --recipe wav2small
                                  the others are judged in the first repetition alone

Repeated 7-fold cross-validation over EmoTale's 14 speakers, 2 in a fold; each seed is a repetition
with other folds. Nothing that is scored in a fold was trained on its two speakers: neither the
heads of the teacher nor any stage of the student. What all folds share, because it was trained on
no EmoTale speaker at all, is the teacher's backbone and the student's
(`edgeemo.compress.evaluation.folds`).

CCC is taken over all clips of a repetition at once, each estimated by the fold that held it out;
mean and standard deviation are over the repetitions. Every fold is kept, so a killed run goes on.
`tools/make_student.py` trains the student that is shipped, by the same stages on all speakers. Its
row is that of the last round's recipe, runs/student/round-4/recipe.toml, which that program leaves:
without one the first round is judged.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _data import add_data
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from edgeemo import load
from edgeemo.cli import exit_status
from edgeemo.compress.data import DataSet, open_dataset
from edgeemo.compress.data.folds import deal
from edgeemo.compress.evaluation.crossval import Estimates, as_plain, scores
from edgeemo.compress.evaluation.evaluate import inter_rater_ccc, level_estimates, predict
from edgeemo.compress.evaluation.folds import Folds, label_for_folds
from edgeemo.compress.evaluation.summary import complete
from edgeemo.compress.labels.dataset import LabelledDataset
from edgeemo.compress.recipes import Recipe, load_recipe
from edgeemo.compress.run import Run
from edgeemo.compress.stages.base import Splits
from edgeemo.compress.students import Student, save_student
from edgeemo.compress.teachers.base import Teacher
from edgeemo.compress.teachers.heads import Heads
from edgeemo.compress.teachers.own import teacher_of
from edgeemo.evaluation.metrics import ccc
from edgeemo.export.job import export
from edgeemo.export.parity import Tolerances
from edgeemo.export.research_speech import research_speech
from edgeemo.io.files import replacing, write_text
from edgeemo.types import DIMENSIONS

RESULT = Path(__file__).parent / "results" / "crossval.json"
COMMAND = "python benchmarks/crossval.py --data DATA"
FOLDS = 7
SEEDS = 3
LEVEL, EGEMAPS = "mean log-mel level alone", "eGeMAPS (openSMILE) + SVR"


@dataclass(frozen=True)
class Bench:
    """One student under cross-validation.

    Attributes:
        folds: its recipe and all labelled examples.
        data: the clips, with their licences.
        teacher: whose backbone labelled the examples.
        out: folder of everything that is kept.
        egemaps: functionals by the name of the clip's file; empty without them.
        seeds: one for each repetition of the cross-validation.
        whole: int8 files and baselines are judged too; once is enough.
    """

    folds: Folds
    data: DataSet
    teacher: Teacher
    out: Path
    egemaps: dict[str, np.ndarray[Any, Any]]
    seeds: Sequence[int]
    whole: bool

    @property
    def name(self) -> str:
        return self.folds.recipe.name

    def held_out(self, seed: int) -> list[set[str]]:
        """The speakers of each fold, as `edgeemo distill --folds` deals them out."""
        corpus = self.folds.corpus
        return deal((clip for clip in self.data if clip.corpus == corpus), FOLDS, seed)


def bench_of(data: DataSet, recipe: Recipe, args: argparse.Namespace) -> Bench:
    """A recipe's student under cross-validation; its clips are labelled.

    Args:
        data: the clips.
        recipe: of the student.
        args: folders `cache` and `out`, and `seeds`.
    """
    # The teacher's embedding alone is used: heads are trained anew for each fold.
    copies, others = label_for_folds(recipe, data.clips, args.cache)
    copies = copies.with_dimensions(np.full_like(copies.dimensions, np.nan))
    out = args.out / recipe.name
    folds = Folds(copies, recipe, out, others=others)
    return Bench(folds, data, teacher_of(recipe), out, {}, range(args.seeds), whole=True)


def heads_of_fold(bench: Bench, unseen: set[str], seed: int) -> Heads:
    """The teacher's heads as they would be shipped, taught by everybody else."""
    folds = bench.folds
    heads = folds.fit_teacher(folds.groups - unseen, seed + 1)
    heads.round()
    return heads


def run_fold(bench: Bench, seed: int, number: int) -> None:
    """Student, its int8 file and baselines on two speakers; kept in one file."""
    path = bench.out / f"fold-{seed}-{number}.npz"
    if path.exists():
        return
    folds, unseen = bench.folds, bench.held_out(seed)[number]
    test = folds.examples.of_groups(unseen, augmented=False)
    everyone = folds.examples.of_groups(folds.groups - unseen)
    heads = heads_of_fold(bench, unseen, seed)
    student = folds.student(folds.groups - unseen - set(folds.valid), heads, seed + 1)
    estimates = {"float": predict(student, test).dimensions, "human": test.human_dimensions}
    if bench.whole:
        level = level_estimates(everyone.take(everyone.copy == 0), test, human=True)
        assert level is not None
        estimates[LEVEL] = level
        if bench.egemaps:
            estimates[EGEMAPS] = support_vectors(bench.egemaps, everyone, test)
        known = set(folds.annotated) - unseen | set(folds.valid)
        others = folds.labelled(folds.examples.of_groups(known, augmented=False), heads)
        folder = write_run(bench, student, others, bench.out / f"run-{seed}-{number}")
        estimates["int8"] = int8(folder, test)
    with replacing(path) as temporary:
        np.savez(temporary, speakers=test.column("speaker").astype(str), **estimates)
    human = estimates["human"]
    shown = {name: of_fold(found, human) for name, found in estimates.items() if name != "human"}
    print(f"{bench.name}, split seed {seed}, fold {number}: {shown}", flush=True)


def support_vectors(
    features: dict[str, np.ndarray[Any, Any]], train: LabelledDataset, test: LabelledDataset
) -> np.ndarray[Any, Any]:
    """Dimensions of the test rows by what annotators said of the training rows as they are."""
    known = ~np.isnan(train.human_dimensions).any(1) & (train.copy == 0)
    ours, theirs = ([Path(c.id).stem for c in rows.clips] for rows in (train.take(known), test))
    x, y = ([features[name] for name in names] for names in (ours, theirs))
    found: np.ndarray[Any, Any] = machines().fit(x, train.human_dimensions[known]).predict(y)
    return found


def machines() -> MultiOutputRegressor:
    """One SVR (RBF, C = 1, scikit-learn's defaults) a dimension, on standardized functionals."""
    return MultiOutputRegressor(make_pipeline(StandardScaler(), SVR(epsilon=0.05)))


def write_run(bench: Bench, student: Student, known: LabelledDataset, folder: Path) -> Path:
    """The folder of a fold's student, which `edgeemo export` takes.

    Ranges are calibrated on `known`, speakers whom the fold does not score.
    """
    recipe = bench.folds.recipe
    run = Run(folder) if (folder / "recipe.toml").exists() else Run.begin(folder, recipe, {})
    save_student(student, folder / "student.pt")
    splits = Splits(known, known, known.take(np.arange(0)))
    complete(run, bench.data, bench.teacher, student, splits, metrics=(), report=False)
    return folder


def int8(folder: Path, test: LabelledDataset) -> np.ndarray[Any, Any]:
    """Estimates of the exported file for the clips of `test`, through the runtime that users have.

    `folder` is of the fold's run.
    """
    # Wide limits: a fold that export would refuse must be counted, not left out.
    (exported,) = export(folder, int8=True, limits=Tolerances(ccc=0.5, classes=1.0))
    session = load(exported.path)
    estimates = [session.predict(clip.samples()) for clip in test.clips]
    return np.array([[e.arousal, e.dominance, e.valence] for e in estimates])


def of_fold(estimates: Any, labels: Any) -> list[float]:
    """CCC of arousal, dominance, valence."""
    return [round(ccc(estimates[:, d], labels[:, d]), 4) for d in range(len(DIMENSIONS))]


def repetitions(bench: Bench) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
    """All clips, once for each repetition, estimated by the folds that held them out."""
    for seed in bench.seeds:
        files = [np.load(bench.out / f"fold-{seed}-{i}.npz") for i in range(FOLDS)]
        shared = set.intersection(*(set(f.files) for f in files))
        yield {name: np.concatenate([f[name] for f in files]) for name in shared}


def row(name: str, found: list[dict[str, np.ndarray[Any, Any]]], key: str) -> dict[str, Any]:
    """Mean, deviation and interval over the repetitions, as `edgeemo distill --folds` has them."""
    repetitions = [Estimates(d["speakers"], d[key], d["human"]) for d in found]
    return {"name": name} | as_plain(scores(repetitions))


def result(benches: Sequence[Bench], command: str, before: dict[str, Any]) -> dict[str, Any]:
    """The table, the spread over folds, and the metrics for the cards.

    `before` is the last result: what is not judged this time keeps its rows.
    """
    bench = benches[0]
    found = list(repetitions(bench))
    names = {"float": bench.name, "int8": f"{bench.name}, int8", EGEMAPS: EGEMAPS, LEVEL: LEVEL}
    rows = [row(name, found, key) for key, name in names.items() if key in found[0]]
    passes = {b.name: _passes(b) for b in benches}
    others = [row(other.name, list(repetitions(other)), "float") for other in benches[1:]]
    kept = {n: p for n, p in before.get("passes", {}).items() if n not in passes}
    last = {r["name"]: r for r in before.get("rows", [])}
    rows[2:2] = others + [last[name] for name in kept]
    passes |= kept
    examples, speakers = bench.folds.examples, bench.folds.annotated
    dealt_out = examples.column("corpus") == bench.folds.corpus
    annotated = examples.take(dealt_out & (examples.copy == 0))
    ceiling = inter_rater_ccc(annotated)
    rows.append(
        {"name": "one rater against the mean of the others"}
        | {d: {"mean": round(ceiling[d], 4)} for d in DIMENSIONS}
    )
    each = {
        key: [
            of_fold(f[key], f["human"])
            for seed in bench.seeds
            for i in range(FOLDS)
            if key in (f := np.load(bench.out / f"fold-{seed}-{i}.npz")).files
        ]
        for key in ("float", "int8", EGEMAPS)
    }
    where = f"EmoTale, {len(annotated)} clips, {len(speakers)} speakers"
    protocol = (
        f"speaker-independent (unseen speakers): {FOLDS} folds of {len(speakers) // FOLDS} "
        f"speakers; {of_repetitions(len(bench.seeds))}"
    )
    if len(passes) > 1:
        protocol += (
            "; of the other students the first repetition alone. Passes over the speech in the "
            "last round of the first stage: "
            + ", ".join(f"{n} {p}" for n, p in passes.items() if p)
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
            # What is shipped is the int8 file.
            "student": card_metrics(
                *(next(r for r in rows if r["name"] == n) for n in (names["int8"], LEVEL)),
                on_card(where, len(bench.seeds)),
                ceiling,
                "crossval.py",
            )
        },
    }


def on_card(where: str, repetitions: int) -> str:
    """Test set and protocol, in few words: they are in each file."""
    return f"{where}; unseen speakers: {FOLDS} folds of 2; repetitions: {repetitions}"


def of_repetitions(count: int) -> str:
    """What a figure of so many repetitions is."""
    return "one repetition" if count == 1 else f"mean and standard deviation of {count} repetitions"


def _passes(bench: Bench) -> int:
    return len((bench.out / "backbone" / "metrics.jsonl").read_text().splitlines())


def card_metrics(
    ours: dict[str, Any], base: dict[str, Any], where: str, ceiling: dict[str, float], program: str
) -> list[dict[str, Any]]:
    """Metrics for a model's card.

    Args:
        ours: its row.
        base: the row of the level alone.
        where: test set and protocol.
        ceiling: CCC of one rater with the others, by dimension.
        program: of benchmarks/, that measured them.
    """
    return [
        {
            "test_set": where,
            "measure": "ccc against annotators",
            "of": d,
            "value": ours[d]["mean"],
            "spread": ours[d].get("sd"),
            "human_ceiling": round(ceiling[d], 4),
            "baseline": base[d]["mean"],
            "command": f"python benchmarks/{program}",
        }
        for d in DIMENSIONS
    ]


def main() -> None:
    """Run what is missing, print the table, write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_data(parser, "speech/emotale")
    parser.add_argument("--egemaps", type=Path, help="made by benchmarks/egemaps.py")
    parser.add_argument("--recipe", action="append", help="several stand beside the first")
    parser.add_argument("--bursts", action="store_true", help="DATA/voices/emogator trains too")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="repetitions with other folds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cache", type=Path, default=Path("runs/labels"))
    parser.add_argument("--out", type=Path, default=Path("runs/crossval"))
    args = parser.parse_args()
    if args.seeds < 1:
        parser.error(f"--seeds {args.seeds}: expected 1 or more")
    data = research_speech(args.data) if args.bursts else open_dataset(args.data / "speech")
    egemaps = dict(np.load(args.egemaps)) if args.egemaps else {}
    benches: list[Bench] = []
    for name in args.recipe or ["wav2small-stream"]:
        bench = replace(bench_of(data, load_recipe(name), args), egemaps=egemaps)
        if benches:
            bench = replace(bench, seeds=range(1), whole=False)
        run_folds(bench, args.jobs)
        benches.append(bench)
    before = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    found = result(benches, command_of(args), before)
    write_text(RESULT, json.dumps(found, indent=1) + "\n")
    for line in found["rows"]:
        print(
            f"{line['name']:42}",
            *(f"{line[d]['mean']:.3f} ±{line[d].get('sd', 0):.3f}" for d in DIMENSIONS),
        )


def command_of(args: argparse.Namespace) -> str:
    """What repeats the figures, but for the folders of one machine."""
    words = [COMMAND]
    if args.egemaps:
        words.append("--egemaps egemaps.npz")
    words += [f"--recipe {name}" for name in args.recipe or ()]
    words += [f"--seeds {args.seeds}"] if args.seeds != SEEDS else []
    return " ".join([*words, "--bursts"] if args.bursts else words)


def run_folds(bench: Bench, jobs: int) -> None:
    """All folds of all repetitions, one process a core: these nets are too small to share."""
    global _BENCH
    _BENCH = bench
    # Before the fork, so that examples are selected and the backbone is trained once.
    _ = bench.folds.examples, bench.folds.backbone()
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
    sys.exit(exit_status(main))
