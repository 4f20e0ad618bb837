"""Held-out clips of a run with its student's outputs: what an exported file is compared with."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import BadArtifact
from edgeemo.io.files import replacing


@dataclass(frozen=True)
class ParitySet:
    """Held-out clips of a run, on which exported files are compared with the student.

    Attributes:
        ids: of the clips.
        samples: float32 [n] each, at the spec's rate; empty for faces.
        features: float32 [frames, bands] each, made from the samples by edgeemo.log_mel; or
            [size, size, channels] of a face.
        dimensions: float32 [N, D], the student's dimensions.
        probs: float32 [N, 8], the student's, with the calibrated temperature.
        teacher_dimensions: float32 [N, 3], NaN where there is none.
        teacher_probs: float32 [N, 8], likewise.
        human_dimensions: float32 [N, 3], likewise.
    """

    ids: tuple[str, ...]
    samples: tuple[NDArray[np.float32], ...]
    features: tuple[NDArray[np.float32], ...]
    dimensions: NDArray[np.float32]
    probs: NDArray[np.float32]
    teacher_dimensions: NDArray[np.float32]
    teacher_probs: NDArray[np.float32]
    human_dimensions: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: slice) -> ParitySet:
        """Some of the clips."""
        return ParitySet(*(getattr(self, field.name)[rows] for field in fields(self)))


def read_parity_set(path: Path) -> ParitySet:
    """Read a parity set.

    Args:
        path: of the .npz file.

    Raises:
        BadArtifact: it is missing or damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            return ParitySet(
                ids=tuple(found["ids"].tolist()),
                samples=_split_ragged(found["samples"], found["sample_lengths"]),
                features=_split_ragged(found["features"], found["feature_lengths"]),
                dimensions=found["adv"],
                probs=found["probs"],
                teacher_dimensions=found["teacher_adv"],
                teacher_probs=found["teacher_probs"],
                human_dimensions=found["human_adv"],
            )
    except Exception as error:  # numpy and zipfile raise many kinds on damaged files
        raise BadArtifact(f"{path}: the parity set cannot be read ({str(error)[:80]})") from None


def write_parity_set(path: Path, clips: ParitySet) -> None:
    """Write a parity set, all of it or nothing.

    Args:
        path: of the .npz file; its folder is made.
        clips: what is written.
    """
    with replacing(path) as temporary:
        np.savez(
            temporary,
            ids=np.array(clips.ids, dtype=str),
            samples=np.concatenate(clips.samples),
            sample_lengths=np.array([len(x) for x in clips.samples]),
            features=np.concatenate(clips.features),
            feature_lengths=np.array([len(x) for x in clips.features]),
            adv=clips.dimensions,
            probs=clips.probs,
            teacher_adv=clips.teacher_dimensions,
            teacher_probs=clips.teacher_probs,
            human_adv=clips.human_dimensions,
        )


def _split_ragged(flat: NDArray[Any], lengths: NDArray[Any]) -> tuple[NDArray[np.float32], ...]:
    return tuple(np.split(flat.astype(np.float32, copy=False), np.cumsum(lengths)[:-1]))
