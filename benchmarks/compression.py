"""What do pruning and training with int8 rounding cost and gain, against int8 by export alone?

    python benchmarks/compression.py [--students NAME ...] [--seeds N] [--out FOLDER]

Each student learns the built-in teacher on the speech that comes with edgeemo. From that one start
come four int8 files: as it is ("PTQ"), after training with rounding ("QAT"), with a quarter of its
channels taken out ("pruned"), and both. CCC is that of the file with the teacher on speakers whom
the student was not trained on; mean and standard deviation over seeds, which draw speakers, first
weights and order. Ranges of activations come from clips of the same people, as in `edgeemo export`.

The trainings are short, so compare the columns, not the CCC with other tables. Every result is
kept, so a killed run goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgeemo._files import write_text
from edgeemo.backends import open_backend
from edgeemo.compress.data import shipped_speech
from edgeemo.compress.distil import Parts, complete, label_parts, new_student
from edgeemo.compress.recipe import (
    DataPart,
    DistilPart,
    PrunePart,
    QatPart,
    Recipe,
    StudentPart,
)
from edgeemo.compress.run import Run
from edgeemo.compress.smaller import made_smaller
from edgeemo.compress.students import save_student
from edgeemo.compress.teachers import load_teacher
from edgeemo.compress.training import Fitted, fit
from edgeemo.export import export_run
from edgeemo.export.parity import Limits
from edgeemo.metrics import ccc

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "compression.json"
SHARE = 0.25
"""Of the channels that pruning takes."""


@dataclass(frozen=True)
class Plan:
    """A student and the epochs of its three trainings: first, after pruning, with rounding."""

    student: StudentPart
    first: int
    prune: int
    qat: int
    lr: float = 3e-3


PLANS = {
    "wav2small-stream": Plan(StudentPart("wav2small-stream"), 24, 8, 4),
    "wav2small": Plan(StudentPart("wav2small"), 8, 3, 2, lr=5e-3),
    "mobilenetv3-small": Plan(StudentPart("mobilenetv3-small", options={"width": 0.25}), 16, 6, 3),
}
VARIANTS = ("PTQ", "QAT", "pruned", "pruned + QAT")


def recipe_of(plan: Plan, seed: int) -> Recipe:
    """The recipe of the common start."""
    return Recipe(
        schema=1, name=plan.student.name, student=plan.student, seed=seed,
        data=DataPart(clip_seconds=2.0, valid=0.15, test=0.35),
        distil=DistilPart(epochs=plan.first, batch=32, lr=plan.lr, average=0.97,
                          loss={"ccc": 1.0, "mse": 1.0, "kl": 0.3, "tokens": 0.3}),
    )  # fmt: skip


def variant_of(recipe: Recipe, plan: Plan, variant: str) -> Recipe:
    """The same recipe with the tables that a variant asks for."""
    prune = PrunePart(share=SHARE, epochs=plan.prune) if "pruned" in variant else None
    qat = QatPart(epochs=plan.qat) if "QAT" in variant else None
    return replace(recipe, prune=prune, qat=qat)


class Bench:
    """Students, seeds and variants under one folder."""

    def __init__(self, out: Path, formats: tuple[str, ...]) -> None:
        self.out, self.formats = out, formats
        self.data, self.teacher = shipped_speech(), load_teacher("builtin")

    def measure(self, name: str, seed: int) -> dict[str, dict[str, Any]]:
        """Figures of each variant of one student from one start."""
        plan = PLANS[name]
        folder = self.out / f"{name}-{seed}"
        kept = {v: folder / f"{v}.json" for v in VARIANTS}
        if not all(path.exists() for path in kept.values()):
            recipe = recipe_of(plan, seed)
            start = self._run(folder / "start", recipe)
            parts = label_parts(start, self.data, self.teacher, new_student(recipe),
                                self.out / "labels")  # fmt: skip
            fitted = fit(new_student(recipe), parts.train, parts.valid, recipe, start.folder,
                         resume=True)  # fmt: skip
            for variant, path in kept.items():
                if not path.exists():
                    run = self._run(folder / variant, variant_of(recipe, plan, variant))
                    found = self._variant(run, fitted, parts)
                    write_text(path, json.dumps(found) + "\n")
                    print(f"{name}, seed {seed}, {variant}: {found}", flush=True)
        return {v: json.loads(path.read_text()) for v, path in kept.items()}

    def _run(self, folder: Path, recipe: Recipe) -> Run:
        return Run(folder) if folder.exists() else Run.begin(folder, recipe, {})

    def _variant(self, run: Run, fitted: Fitted, parts: Parts) -> dict[str, Any]:
        save_student(fitted.student, run.folder / "student.pt")
        smaller = made_smaller(run, fitted, parts.train, parts.valid)
        facts = complete(run, self.data, self.teacher, smaller, parts, report=False)
        # What a variant costs is the question here; a gate would hide the ones that fail.
        files = export_run(run.folder, self.formats, int8=True, limits=Limits(ccc=2.0))
        held = run.held()
        test = [i for i, clip in enumerate(held.ids) if clip in {c.id for c in parts.test.clips}]
        found: dict[str, Any] = {
            "float": _agreement(held.adv[test], held.teacher_adv[test]),
            "clips": len(test),
            "parameters": facts.parameters,
            "macs_per_second": facts.macs_per_second,
        }
        for file in files:
            backend = open_backend(file.path, file.format)
            said = np.concatenate([backend.run(held.features[i][None])["adv"] for i in test])
            found[file.format] = {
                "ccc": _agreement(said, held.teacher_adv[test]),
                "bytes": file.bytes,
                "rule": file.card.quantization.rule,
            }
        return found


def _agreement(said: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> float:
    """CCC, mean of the three dimensions."""
    return float(np.mean([ccc(said[:, i], wanted[:, i]) for i in range(3)]))


def summary(found: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Mean and standard deviation over seeds of each variant's figures."""
    out: dict[str, dict[str, Any]] = {}
    for variant in VARIANTS:
        rows = [seed[variant] for seed in found]
        formats = [k for k, v in rows[0].items() if isinstance(v, dict)]
        out[variant] = {
            "seeds": len(rows),
            "parameters": rows[0]["parameters"],
            "macs_per_second": rows[0]["macs_per_second"],
            "float": _spread([r["float"] for r in rows]),
            **{f: {"ccc": _spread([r[f]["ccc"] for r in rows]),
                   "bytes": round(statistics.mean(r[f]["bytes"] for r in rows)),
                   "rules": sorted({r[f]["rule"] for r in rows})} for f in formats},
        }  # fmt: skip
    return out


def _spread(values: list[float]) -> dict[str, float]:
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": round(statistics.mean(values), 4), "sd": round(sd, 4)}


def table(results: dict[str, Any]) -> str:
    """The summary as text, a row for each student and variant."""
    lines = []
    for name, variants in results.items():
        formats = [k for k, v in next(iter(variants.values())).items()
                   if isinstance(v, dict) and "bytes" in v]  # fmt: skip
        heads = "".join(f"{f + ' CCC':>17}{'bytes':>9}" for f in formats)
        lines.append(f"{name:<18}{'params':>9}{'M MAC/s':>9}{'float CCC':>17}{heads}")
        for variant, row in variants.items():
            cells = f"{row['parameters']:>9}{row['macs_per_second'] / 1e6:>9.2f}"
            cells += f"{_cell(row['float']):>17}"
            cells += "".join(f"{_cell(row[f]['ccc']):>17}{row[f]['bytes']:>9}" for f in formats)
            lines.append(f"{variant:<18}{cells}")
    return "\n".join(lines)


def _cell(value: dict[str, float]) -> str:
    return f"{value['mean']:.3f} +- {value['sd']:.3f}"


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", nargs="+", default=list(PLANS), choices=list(PLANS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--formats", default="onnx,tflite")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "compression")
    args = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench(args.out, tuple(args.formats.split(",")))
    results: dict[str, Any] = {}
    for name in args.students:
        found = [bench.measure(name, seed) for seed in range(1, args.seeds + 1)]
        results[name] = summary(found)
        kept = json.loads(RESULT.read_text()) if RESULT.exists() else {}
        write_text(RESULT, json.dumps(kept | results, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
