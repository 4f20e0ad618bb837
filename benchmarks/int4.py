"""What do weights of four bits cost: bytes, and agreement with annotators of unseen speakers?

    python benchmarks/int4.py --data DATA

trains the students of seven folds as cross-validation does, each a second time with four bits in
training (`[qat]` of the recipe; not with --untrained), and exports the first as `edgeemo export`
does with --int8 and with --int4, the second with --int4. Every clip of EmoTale is estimated by
files whose student, teacher's heads, ranges and rounding met neither of its fold's two speakers. A
file that parity refuses by its usual limits is counted, and judged all the same. Every fold is
kept, so a killed run goes on. DATA/speech has the corpora that the recipe names. Writes
benchmarks/results/int4.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _data import add_data
from crossval import FOLDS, Bench, bench_of, heads_of_fold, of_fold, write_run

from edgeemo import load
from edgeemo.cli import exit_status
from edgeemo.compress.data import open_dataset
from edgeemo.compress.data.clips import Clip
from edgeemo.compress.pipeline import run_stages
from edgeemo.compress.recipes import QatConfig, load_recipe
from edgeemo.compress.run import Run
from edgeemo.compress.stages.base import Training
from edgeemo.export.job import export
from edgeemo.export.parity import Tolerances, int8_faults
from edgeemo.io.files import replacing, write_text
from edgeemo.types import DIMENSIONS

RESULT = Path(__file__).parent / "results" / "int4.json"
RECIPE = Path(__file__).parents[1] / "tools" / "recipes" / "wav2small-stream-int4" / "recipe.toml"
COMMAND = "python benchmarks/int4.py --data DATA"
PROTOCOL = (
    "CCC with the means of EmoTale's raters over all clips, each estimated by a fold that held "
    "its speaker out; worst CCC of a file with its float student on the fold's parity clips; files "
    "that parity's usual limits refuse; bytes of the largest file"
)
FORMATS = ("onnx", "tflite")
KINDS = {"int8": "run", "int4": "run", "int4 trained": "trained"}
"""Kinds of files, and which student of a fold they are of."""


def train_fold(bench: Bench, qat: QatConfig | None, number: int) -> None:
    """The folders of a fold's two students, unless they are there.

    Args:
        bench: of the recipe without `[qat]`.
        qat: the table; None leaves the second student out.
        number: of the fold.
    """
    plain, trained = (bench.out / f"{name}-0-{number}" for name in ("run", "trained"))
    wanted = (plain,) if qat is None else (plain, trained)
    if all((folder / "run.json").exists() for folder in wanted):
        return
    folds, unseen = bench.folds, bench.held_out(0)[number]
    heads = heads_of_fold(bench, unseen, 0)
    groups = folds.groups - unseen - set(folds.valid)
    known = set(folds.annotated) - unseen | set(folds.valid)
    others = folds.labelled(folds.examples.of_groups(known, augmented=False), heads)
    if not (plain / "run.json").exists():
        write_run(bench, folds.student(groups, heads, 1), others, plain)
    if qat is None:
        return
    recipe = replace(folds.recipe, qat=qat)
    splits = folds.splits(groups, partial(folds.labelled, teacher=heads))
    student = run_stages(Run(plain).student(), splits, Training(recipe), ("qat",))
    write_run(replace(bench, folds=replace(folds, recipe=recipe)), student, others, trained)


def run_fold(bench: Bench, kinds: Sequence[str], clips: Sequence[Clip], number: int) -> Path:
    """Estimates and sizes of a fold's files; what is kept already is not made again.

    Args:
        bench: whose `train_fold` has made the students.
        kinds: of KINDS.
        clips: of the speakers that the fold held out.
        number: of the fold.
    """
    kept = bench.out / f"int4-0-{number}.npz"
    found: dict[str, Any] = dict(np.load(kept)) if kept.exists() else {}
    for kind in kinds:
        if f"{FORMATS[-1]} {kind}" in found:
            continue
        with tempfile.TemporaryDirectory() as folder:
            results = export(
                bench.out / f"{KINDS[kind]}-0-{number}",
                FORMATS,
                True,
                Path(folder),
                # Wide limits: what export would refuse must be counted, not left out.
                limits=Tolerances(ccc=0.5, classes=0.9),
                int4=kind != "int8",
            )
            for result in results:
                key, session = f"{result.format} {kind}", load(result.path)
                estimates = [session.predict(clip.samples()) for clip in clips]
                found[key] = [[e.arousal, e.dominance, e.valence] for e in estimates]
                refused = bool(int8_faults(result.parity, Tolerances()))
                found[f"facts of {key}"] = [result.bytes, result.parity.worst, refused]
        with replacing(kept) as temporary:
            np.savez(temporary, **found)
        facts = {f: found[f"facts of {f} {kind}"] for f in FORMATS}
        print(f"fold {number}, {len(clips)} clips, {kind}: {facts}", flush=True)
    return kept


def row(name: str, folds: list[Any], human: Any) -> dict[str, Any]:
    """A line of the table.

    Args:
        name: format and kind.
        folds: what `run_fold` has kept.
        human: ratings of all clips, fold after fold.
    """
    facts = np.array([f[f"facts of {name}"] for f in folds])
    estimates = np.concatenate([f[name] for f in folds])
    return {
        "file": name,
        "bytes": int(facts[:, 0].max()),
        "ccc": dict(zip(DIMENSIONS, of_fold(estimates, human), strict=True)),
        "worst agreement": round(float(facts[:, 1].min()), 4),
        "refused": int(facts[:, 2].sum()),
    }


def command_of(args: argparse.Namespace) -> str:
    """What repeats the figures, but for the folders of one machine."""
    some = f" --folds {args.folds}" if args.folds < FOLDS else ""
    return COMMAND + some + (" --untrained" if args.untrained else "")


def main() -> None:
    """Run what is missing, print the table, write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_data(parser, "speech/emotale")
    parser.add_argument("--folds", type=int, default=FOLDS, help="the first of them alone")
    parser.add_argument("--untrained", action="store_true", help="without the students of [qat]")
    parser.add_argument("--cache", type=Path, default=Path("runs/labels"))
    parser.add_argument("--out", type=Path, default=Path("runs/int4"))
    parser.set_defaults(seeds=1)
    args = parser.parse_args()
    torch.set_num_threads(1)  # these nets are too small to share
    data, recipe = open_dataset(args.data / "speech"), load_recipe(str(RECIPE))
    qat = None if args.untrained else recipe.qat
    kinds = [kind for kind, name in KINDS.items() if name == "run" or qat is not None]
    bench = bench_of(data, replace(recipe, qat=None), args)
    unseen = bench.held_out(0)[: args.folds]
    held_out = [
        [c for c in data if c.corpus == bench.folds.corpus and c.group in part] for part in unseen
    ]
    kept = []
    for number, clips in enumerate(held_out):
        train_fold(bench, qat, number)
        kept.append(run_fold(bench, kinds, clips, number))
    folds = [np.load(path) for path in kept]
    human = np.concatenate([[c.dimensions for c in part] for part in held_out])
    rows = [row(f"{f} {kind}", folds, human) for f in FORMATS for kind in kinds]

    def like_int8(name: str, kind: str) -> list[float]:
        ours, theirs = (np.concatenate([x[f"{name} {k}"] for x in folds]) for k in (kind, "int8"))
        return of_fold(ours, theirs)

    told = {
        "protocol": PROTOCOL,
        "command": command_of(args),
        "clips": len(human),
        "speakers": sum(map(len, unseen)),
        "folds": len(folds),
        "rows": rows,
        "with int8": {f"{f} {k}": like_int8(f, k) for f in FORMATS for k in kinds if k != "int8"},
    }
    write_text(RESULT, json.dumps(told, indent=1) + "\n")
    for line in rows:
        ours = " ".join(f"{value:.4f}" for value in line["ccc"].values())
        print(f"{line['file']:20} {line['bytes']:7,} {ours} {line['worst agreement']:.4f} "
              f"{line['refused']} of {len(folds)} refused")  # fmt: skip


if __name__ == "__main__":
    sys.exit(exit_status(main))
