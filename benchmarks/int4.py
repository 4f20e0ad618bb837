"""What do weights of four bits cost: bytes, and agreement with annotators of unseen speakers?

    python benchmarks/crossval.py --data DATA --recipe RECIPE --seeds 1
    python benchmarks/int4.py --data DATA --folds runs/crossval/NAME

takes the students that cross-validation has trained for its folds and exports each as
`edgeemo export` does with --int8 and with --int4, in each format. Every clip of EmoTale is
estimated by files whose student, teacher's heads, ranges and rounding met neither of its fold's two
speakers; folds that are not there are left out, with their speakers. A file that parity refuses by
its usual limits is counted, and judged all the same. Every fold is kept, so a killed run goes on.
Writes benchmarks/results/int4.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from crossval import FOLDS, of_fold

from edgeemo import load
from edgeemo.compress.data import open_dataset
from edgeemo.compress.data.clips import Clip
from edgeemo.compress.data.folds import deal
from edgeemo.evaluation.metrics import ccc
from edgeemo.export.job import export
from edgeemo.export.parity import Tolerances, int8_faults
from edgeemo.io.files import replacing, write_text
from edgeemo.types import DIMENSIONS

RESULT = Path(__file__).parent / "results" / "int4.json"
COMMAND = "python benchmarks/int4.py --data DATA --folds runs/crossval/NAME"
PROTOCOL = (
    "CCC with the means of EmoTale's raters over all clips, each estimated by a fold that held "
    "its speaker out; worst CCC of a file with its float student on the fold's parity clips; files "
    "that parity's usual limits refuse; bytes of the largest file"
)
FORMATS, KINDS = ("onnx", "tflite"), ("int8", "int4")
CORPUS = "emotale"


def run_fold(folder: Path, clips: Sequence[Clip], kept: Path) -> None:
    """Estimates and sizes of a fold's files, kept in one file.

    Args:
        folder: of the fold's run.
        clips: of the speakers that it held out.
        kept: what is written, unless it is there.
    """
    if kept.exists():
        return
    found: dict[str, Any] = {}
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as name:
            # Wide limits: what export would refuse must be counted, not left out.
            wide = Tolerances(ccc=0.5, classes=0.9)
            results = export(folder, FORMATS, True, Path(name), limits=wide, int4=kind == "int4")
            for result in results:
                key, session = f"{result.format} {kind}", load(result.path)
                estimates = [session.predict(clip.samples()) for clip in clips]
                found[key] = [[e.arousal, e.dominance, e.valence] for e in estimates]
                refused = bool(int8_faults(result.parity, Tolerances()))
                found[f"facts of {key}"] = [result.bytes, result.parity.worst, refused]
    with replacing(kept) as temporary:
        np.savez(temporary, **found)
    facts = {key: values for key, values in found.items() if key.startswith("facts")}
    print(f"{folder.name}, {len(clips)} clips: {facts}", flush=True)


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


def main() -> None:
    """Run what is missing, print the table, write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="holds speech/")
    parser.add_argument("--folds", type=Path, required=True, help="left by crossval.py")
    args = parser.parse_args()
    clips = [c for c in open_dataset(args.data / "speech") if c.corpus == CORPUS]
    unseen = deal(iter(clips), FOLDS, 0)
    there = [i for i in range(FOLDS) if (args.folds / f"run-0-{i}" / "run.json").exists()]
    held_out = [[c for c in clips if c.group in unseen[i]] for i in there]
    kept = [args.folds / f"int4-0-{i}.npz" for i in there]
    for i, part, path in zip(there, held_out, kept, strict=True):
        run_fold(args.folds / f"run-0-{i}", part, path)
    folds = [np.load(path) for path in kept]
    human = np.concatenate([[c.dimensions for c in part] for part in held_out])
    rows = [row(f"{f} {kind}", folds, human) for f in FORMATS for kind in KINDS]
    both = {
        f: [
            round(ccc(*(np.concatenate([x[f"{f} {k}"] for x in folds])[:, d] for k in KINDS)), 4)
            for d in range(len(DIMENSIONS))
        ]
        for f in FORMATS
    }
    told = {
        "protocol": PROTOCOL,
        "command": COMMAND,
        "clips": len(human),
        "speakers": sum(len(unseen[i]) for i in there),
        "folds": len(there),
        "rows": rows,
        "int4 with int8": both,
    }
    write_text(RESULT, json.dumps(told, indent=1) + "\n")
    for line in rows:
        ours = " ".join(f"{value:.4f}" for value in line["ccc"].values())
        print(f"{line['file']:12} {line['bytes']:7,} {ours} {line['worst agreement']:.4f} "
              f"{line['refused']} of {len(there)} refused")  # fmt: skip


if __name__ == "__main__":
    main()
