"""Make one file of several models of faces, which answers with their mean; or take one out again.

    python tools/average_faces.py FIRST.onnx OTHER.onnx ... -o teacher-face.onnx
    python tools/average_faces.py teacher-face.onnx --network 0 -o identity-face.onnx

The built-in teacher of faces is made so; tools/recipes/teacher-face tells of what.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from _averaged import averaged, network_of

from edgeemo.artifacts.card import Metric
from edgeemo.cli import exit_status
from edgeemo.errors import BadInput
from edgeemo.io.files import write_bytes


def face_metrics(path: Path | None, name: str) -> tuple[Metric, ...]:
    """The card's metrics out of the result of benchmarks/faces.py.

    Args:
        path: of the result; None gives none.
        name: of the model, whose ONNX file was measured.
    """
    if path is None:
        return ()
    result = json.loads(path.read_text(encoding="utf-8"))
    own = result["models"][f"{name} (onnx)"]["ferplus"]
    where = f"ferplus: {own['argmax']['pictures']} faces that the model had not seen"
    named = (
        ("accuracy on the class most voted for", own["argmax"]["accuracy"]),
        ("unweighted average recall", own["argmax"]["uar"]),
        ("Kullback-Leibler divergence from the votes", own["kl"]),
    )
    return tuple(
        Metric(where, measure, "classes", round(value, 4), command="python benchmarks/faces.py")
        for measure, value in named
        if math.isfinite(value)
    )


def average(args: argparse.Namespace) -> None:
    """What the command does, from its arguments."""
    if args.network is not None:
        if len(args.files) > 1:
            raise BadInput(f"{len(args.files)} files; --network takes one out of a single file")
        data = network_of(args.files[0], args.network)
        write_bytes(args.out, data)
        print(f"{args.out}: {len(data)} bytes, network {args.network} of {args.files[0]}")
        return
    data = averaged(args.files, args.out.stem, face_metrics(args.metrics, args.out.stem))
    write_bytes(args.out, data)
    print(f"{args.out}: {len(data)} bytes, the mean of {len(args.files)} models")


def main(argv: Sequence[str] | None = None) -> int:
    """Read the files, write their mean; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("-o", "--out", type=Path, required=True, help="its stem is the name")
    parser.add_argument("--network", type=int, metavar="K", help="write the Kth alone, from 0 on")
    parser.add_argument("--metrics", type=Path, help="result of benchmarks/faces.py")
    args = parser.parse_args(argv)
    return exit_status(lambda: average(args))


if __name__ == "__main__":
    sys.exit(main())
