"""What is the same student worth on each runtime: torch, onnxruntime, LiteRT, TFLite Micro?

    python benchmarks/runtimes.py runs/wav2small-stream

Writes float and int8 files of a run anew, whole clips and single hops, runs them on every clip of
its parity set (cut to 3 s), prints the matrix and keeps it under benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from edgeemo.backends import open_backend
from edgeemo.compress.run import Run
from edgeemo.export import export
from edgeemo.export.runtimes import matrix, on_runtimes, tile_to_length

RESULT = Path(__file__).parent / "results" / "runtimes.json"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder left by `edgeemo distill`")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("-o", "--out", type=Path, default=RESULT)
    args = parser.parse_args()
    run = Run(args.run)
    cuts = tile_to_length(run.student(), run.parity_set().take(slice(0, args.clips)))
    tables = {}
    with tempfile.TemporaryDirectory() as folder:
        for step in (False, True):
            rows = []
            for int8 in (False, True):
                for made in export(args.run, ("onnx", "tflite"), int8, Path(folder), step=step):
                    backend = open_backend(made.path, made.format)
                    rows += on_runtimes(made.path, backend, cuts)
            tables["hop" if step else "clip"] = rows
            print(f"\n{'one step a call' if step else 'whole clips'}\n{matrix(rows)}", flush=True)
    found = {
        "run": run.facts().name,
        "command": " ".join(["python", *sys.argv]),
        "tables": {kind: [asdict(row) for row in rows] for kind, rows in tables.items()},
    }
    args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
