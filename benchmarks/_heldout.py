"""EmoTale by the models of `benchmarks/crossval.py`, each on speakers that it was not trained on.

Used by confidence.py and baseline.py. `run-0-<fold>/export/` of crossval's folder has the int8
file that was not trained on the two speakers of that fold.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeemo import Session, load
from edgeemo.audio import read_audio
from edgeemo.compress.data.folds import deal
from edgeemo.compress.data.labels import read_labels
from edgeemo.types import DIMENSIONS

FOLDS = 7


@dataclass(frozen=True)
class Annotated:
    """A clip, its annotations and the session of a model that was not trained on its speaker."""

    path: Path
    speaker: str
    emotion: str
    label: np.ndarray[Any, Any]
    fold: int
    session: Session

    def samples(self) -> np.ndarray[Any, Any]:
        return read_audio(self.path)


def heldout(data: Path, crossval: Path, backend: str | None = None) -> list[Annotated]:
    """All annotated clips of EmoTale, in its table's order; data: holds speech/ and ferplus/."""
    folder = data / "speech" / "emotale"
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    folds = deal(read_labels(folder, "emotale"), FOLDS, seed=0)
    fold = {name.split("/")[1]: i for i, groups in enumerate(folds) for name in groups}
    files = [next((crossval / f"run-0-{i}" / "export").glob("*.onnx")) for i in range(FOLDS)]
    sessions = [load(path, backend) for path in files]
    return [
        Annotated(
            folder / r["path"],
            r["speaker"],
            r["emotion"],
            np.array([float(r[d]) for d in DIMENSIONS]),
            fold[r["speaker"]],
            sessions[fold[r["speaker"]]],
        )
        for r in rows
    ]


def outputs(
    session: Session, samples: np.ndarray[Any, Any]
) -> tuple[dict[str, np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
    """What the model gives, and the features that it was given, both [1, ...]."""
    values = session.model_input(samples)
    return session.backend.run(values), values
