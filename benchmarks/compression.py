"""What do pruning and training with int8 rounding cost and gain, against int8 by export alone?

    python benchmarks/compression.py [--students NAME ...] [--seeds N] [--out FOLDER]

Each student learns the built-in teacher on the speech that comes with edgeemo, four times: as it is
("PTQ"), with training with rounding at the end ("QAT"), with a quarter of its channels taken out
("pruned"), and both. A student is trained for as many epochs in all four, so a stage that comes
later takes its epochs from the first. CCC is that of the file with the teacher on speakers whom the
student was not trained on; mean and standard deviation over seeds, which draw speakers, first
weights and order. Ranges of activations come from clips of the same people, as in `edgeemo export`.

The trainings are short: the CCC is not that of other tables. Every result is kept, so a killed run
goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgeemo.backends import open_backend
from edgeemo.compress.data import shipped_speech
from edgeemo.compress.evaluation.summary import complete
from edgeemo.compress.pipeline import label_splits, new_student, run_stages
from edgeemo.compress.recipes import (
    SCHEMA,
    AugmentConfig,
    DataConfig,
    DistillConfig,
    PruneConfig,
    QatConfig,
    Recipe,
    StudentConfig,
)
from edgeemo.compress.run import Run
from edgeemo.compress.stages.base import Training
from edgeemo.compress.teachers import load_teacher
from edgeemo.evaluation.metrics import ccc
from edgeemo.export import export
from edgeemo.export.parity import Tolerances
from edgeemo.io.files import write_text

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "compression.json"
SHARE = 0.25
"""Of the channels that pruning takes."""


@dataclass(frozen=True)
class Plan:
    """A student and its epochs: in all, and those of them after pruning and with rounding."""

    student: StudentConfig
    epochs: int
    prune: int
    qat: int
    lr: float = 3e-3


PLANS = {
    "wav2small-stream": Plan(StudentConfig("wav2small-stream"), 60, 20, 6),
    "wav2small": Plan(StudentConfig("wav2small"), 8, 3, 2, lr=5e-3),
    "mobilenetv3-small": Plan(
        StudentConfig("mobilenetv3-small", options={"width": 0.25}), 60, 20, 6
    ),
}
VARIANTS = ("PTQ", "QAT", "pruned", "pruned + QAT")


def recipe_of(plan: Plan, variant: str, seed: int) -> Recipe:
    """The recipe of one training."""
    prune = PruneConfig(share=SHARE, epochs=plan.prune) if "pruned" in variant else None
    qat = QatConfig(epochs=plan.qat) if "QAT" in variant else None
    first = plan.epochs - sum(part.epochs for part in (prune, qat) if part is not None)
    return Recipe(
        schema=SCHEMA,
        name=plan.student.name,
        student=plan.student,
        seed=seed,
        data=DataConfig(clip_seconds=2.0, valid=0.15, test=0.35),
        augment=AugmentConfig(copies=2),
        distill=DistillConfig(
            epochs=first,
            batch=32,
            lr=plan.lr,
            ema_decay=0.97,
            loss={"ccc": 1.0, "mse": 1.0, "kl": 0.3, "tokens": 0.3},
        ),
        prune=prune,
        qat=qat,
    )


class Bench:
    """Students, seeds and variants under one folder."""

    def __init__(self, out: Path, formats: tuple[str, ...]) -> None:
        self.out, self.formats = out, formats
        self.data, self.teacher = shipped_speech(), load_teacher("builtin")

    def measure(self, name: str, seed: int) -> dict[str, dict[str, Any]]:
        """Figures of each variant of one student, from one seed."""
        return {variant: self._kept(name, seed, variant) for variant in VARIANTS}

    def _kept(self, name: str, seed: int, variant: str) -> dict[str, Any]:
        folder = self.out / f"{name}-{seed}" / variant
        kept = folder / "found.json"
        if not kept.exists():
            found = self._trained(folder, recipe_of(PLANS[name], variant, seed))
            write_text(kept, json.dumps(found) + "\n")
            print(f"{name}, seed {seed}, {variant}: {found}", flush=True)
        return dict(json.loads(kept.read_text()))

    def _trained(self, folder: Path, recipe: Recipe) -> dict[str, Any]:
        run = Run(folder) if folder.exists() else Run.begin(folder, recipe, {})
        student = new_student(recipe)
        splits = label_splits(run, self.data, self.teacher, student, self.out / "labels")
        training = Training(recipe, folder)
        student = run_stages(student, splits, training)
        best = training.best_epoch
        facts = complete(run, self.data, self.teacher, student, splits, best, report=False)
        # What a variant costs is the question here; a gate would hide the ones that fail.
        files = export(folder, self.formats, int8=True, limits=Tolerances(ccc=2.0))
        held = run.parity_set()
        test = [i for i, clip in enumerate(held.ids) if clip in {c.id for c in splits.test.clips}]
        found: dict[str, Any] = {
            "float": _agreement(held.dimensions[test], held.teacher_dimensions[test]),
            "clips": len(test),
            "parameters": facts.parameters,
            "macs_per_second": facts.macs_per_second,
        }
        for file in files:
            backend = open_backend(file.path, file.format)
            said = np.concatenate([backend.run(held.features[i][None])["adv"] for i in test])
            found[file.format] = {
                "ccc": _agreement(said, held.teacher_dimensions[test]),
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
            **{
                f: {
                    "ccc": _spread([r[f]["ccc"] for r in rows]),
                    "bytes": round(statistics.mean(r[f]["bytes"] for r in rows)),
                    "rules": sorted({r[f]["rule"] for r in rows}),
                }
                for f in formats
            },
        }
    return out


def _spread(values: list[float]) -> dict[str, float]:
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": round(statistics.mean(values), 4), "sd": round(sd, 4)}


def table(results: dict[str, Any]) -> str:
    """The summary as text, a row for each student and variant."""
    lines = []
    for name, variants in results.items():
        formats = [
            k
            for k, v in next(iter(variants.values())).items()
            if isinstance(v, dict) and "bytes" in v
        ]
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
