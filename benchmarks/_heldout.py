"""EmoTale by the models of `benchmarks/crossval.py`, each on speakers that it was not trained on.

Used by robustness.py, confidence.py and baseline.py. `run-<seed>-<fold>/export/` of crossval's
folder has the int8 file that was not trained on the two speakers of that fold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeemo import Session, load
from edgeemo.compress.data import Clip
from edgeemo.compress.data.folds import deal
from edgeemo.compress.data.labels import read_labels
from edgeemo.errors import BadInput

FOLDS = 7


@dataclass(frozen=True)
class Annotated:
    """A clip, its annotations and the session of a model that was not trained on its speaker."""

    samples: Callable[[], np.ndarray[Any, Any]]
    speaker: str
    emotion: str | None
    label: np.ndarray[Any, Any]
    fold: int
    session: Session


def heldout(
    data: Path, crossval: Path, backend: str | None = None, seed: int = 0
) -> list[Annotated]:
    """All annotated clips of EmoTale, in its table's order.

    Args:
        data: holds speech/emotale.
        crossval: holds run-<seed>-<fold>/export/.
        backend: of the sessions.
        seed: of the repetition.

    Raises:
        BadInput: a fold has no file.
        BadData: the labels are faulty.
    """
    clips = list(read_labels(data / "speech" / "emotale", "emotale"))
    fold = fold_of(clips, seed)
    sessions = [load(exported(crossval / f"run-{seed}-{i}"), backend) for i in range(FOLDS)]
    return [
        Annotated(c.samples, c.speaker, c.emotion, np.array(c.dimensions), i, sessions[i])
        for c in clips
        for i in [fold[c.group]]
    ]


def fold_of(clips: list[Clip], seed: int = 0) -> dict[str, int]:
    """The fold that holds each group of speakers out, in the repetition of that seed."""
    return {group: i for i, groups in enumerate(deal(clips, FOLDS, seed)) for group in groups}


def exported(run: Path) -> Path:
    """The ONNX file of a run of crossval.

    Raises:
        BadInput: there is none.
    """
    for path in (run / "export").glob("*.onnx"):
        return path
    raise BadInput(f"{run}: has no export/*.onnx; make it with benchmarks/crossval.py")


def outputs(
    session: Session, samples: np.ndarray[Any, Any]
) -> tuple[dict[str, np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
    """What the model gives, and the features that it was given, both [1, ...]."""
    values = session.model_input(samples)
    return session.backend.run(values), values
