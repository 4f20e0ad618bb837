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
        test: bool [N], clips of the test split, on which nothing is chosen; None where the run has
            no such split, or is of before it was kept.
        sounds: float32 [N, 8], the student's shares of speech and sounds; None where it tells none,
            and in what is read, as they are computed anew.
    """

    ids: tuple[str, ...]
    samples: tuple[NDArray[np.float32], ...]
    features: tuple[NDArray[np.float32], ...]
    dimensions: NDArray[np.float32]
    probs: NDArray[np.float32]
    teacher_dimensions: NDArray[np.float32]
    teacher_probs: NDArray[np.float32]
    human_dimensions: NDArray[np.float32]
    test: NDArray[np.bool_] | None = None
    sounds: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: slice | NDArray[np.bool_]) -> ParitySet:
        """Some of the clips: a slice, or a mask [N]."""
        picked = np.arange(len(self))[rows]

        def of(value: Any) -> Any:
            return tuple(value[i] for i in picked) if isinstance(value, tuple) else value[picked]

        given = {field.name: getattr(self, field.name) for field in fields(self)}
        picked_of: dict[str, Any] = {k: None if v is None else of(v) for k, v in given.items()}
        return ParitySet(**picked_of)

    def dealt(self) -> tuple[ParitySet, ParitySet]:
        """Clips to choose ranges on, and clips to judge by: those of the test split.

        Without such a split, or with fewer than 2 clips on a side, all clips to choose on and every
        second one, on which no range is calibrated, to judge by.
        """
        test = self.test
        if test is None or min(test.sum(), (~test).sum()) < 2:
            return self, self.take(slice(1, None, 2))
        return self.take(~test), self.take(test)


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
                test=found["test"] if "test" in found.files else None,
            )
    except Exception as error:  # numpy and zipfile raise many kinds on damaged files
        raise BadArtifact(f"{path}: the parity set cannot be read ({str(error)[:80]})") from None


def write_parity_set(path: Path, clips: ParitySet) -> None:
    """Write a parity set, all of it or nothing.

    Args:
        path: of the .npz file; its folder is made.
        clips: what is written.
    """
    optional: dict[str, Any] = {} if clips.test is None else {"test": clips.test}
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
            **optional,
        )


def _split_ragged(flat: NDArray[Any], lengths: NDArray[Any]) -> tuple[NDArray[np.float32], ...]:
    return tuple(np.split(flat.astype(np.float32, copy=False), np.cumsum(lengths)[:-1]))
