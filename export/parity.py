"""Parity: an artifact on real clips against the float student it came from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgeemo.artifacts.card import Output
from edgeemo.backends import Backend
from edgeemo.compress.evaluation.parity_set import ParitySet
from edgeemo.compress.students import Student
from edgeemo.errors import BadData
from edgeemo.evaluation.metrics import ccc
from edgeemo.types import DIMENSIONS

Floats = NDArray[np.float32]
Metrics = Mapping[str, float]
"""A figure for each dimension by name; empty where there is nothing to compare with."""


_Z = 1.645
"""One-sided 95 % of a normal distribution, in standard deviations."""


@dataclass(frozen=True)
class Tolerances:
    """What an artifact may differ by.

    Attributes:
        ccc: an int8 file's outputs must reach a CCC of 1 - ccc with the float student's on every
            dimension, and may lose at most ccc against teacher and annotators.
        largest: largest difference of any output of a float file.
        classes: share of the clips for which an int8 file may give another likeliest class.
        sounds: largest mean difference of a share in `sounds`, over clips, of an int8 file.
        fewest: clips from which on a figure is taken as it is. With fewer, a file is refused only
            where the upper end of a CCC's interval misses the limit, too. Neither classes nor a
            loss against teacher and annotators count then: chance moves them by more.
    """

    ccc: float = 0.01
    largest: float = 1e-4
    classes: float = 0.05
    sounds: float = 0.03
    fewest: int = 50


def with_outputs_of(clips: ParitySet, student: Student, temperature: float) -> ParitySet:
    """The same clips with the student's outputs computed anew.

    Args:
        clips: as the run has kept them.
        student: the run's.
        temperature: of the classes.

    Raises:
        BadData: the student does not give what the run has kept (the weights were replaced, or the
            features were made by another front end).
    """
    dimensions, probs, sounds = zip(
        *(_float_outputs(student, f, temperature) for f in clips.features), strict=True
    )
    told = None if student.sounds is None else np.stack(sounds)
    fresh = replace(clips, dimensions=np.stack(dimensions), probs=np.stack(probs), sounds=told)
    apart = float(np.abs(fresh.dimensions - clips.dimensions).max())
    if not apart <= 1e-3:
        raise BadData(
            f"the student's outputs differ by {apart:.2g} from those kept in the run's parity "
            "folder; weights and parity set do not belong together: run `edgeemo distill` again"
        )
    return fresh


@dataclass(frozen=True)
class Parity:
    """What the comparison found.

    Attributes:
        clips: number of clips.
        taught, rated: of these, clips with the teacher's and with annotators' dimensions.
        agreement: CCC of the artifact with the float student.
        largest: largest difference of any output.
        float_teacher, file_teacher: CCC with the teacher.
        float_human, file_human: CCC with the annotators' means.
        ceiling: CCC of one annotator with the mean of the others, where the run knows it.
        level: CCC that a straight line on a clip's mean level reaches, as the run measured it.
        same_class: clips whose likeliest class is the same; None for a file without classes.
        sounds: largest mean difference of a share of speech or a sound; None for a file that tells
            none.
        faults: why the artifact is refused; empty if it is not.
    """

    clips: int
    taught: int
    rated: int
    agreement: Metrics
    largest: float
    float_teacher: Metrics
    file_teacher: Metrics
    float_human: Metrics
    file_human: Metrics
    ceiling: Metrics
    level: Metrics
    same_class: int | None
    faults: tuple[str, ...]
    sounds: float | None = None

    @property
    def worst(self) -> float:
        """Lowest agreement over the dimensions: what candidates are ranked by."""
        return min(self.agreement.values())


def compare(
    backend: Backend,
    clips: ParitySet,
    limits: Tolerances,
    ceiling: Metrics | None = None,
    level: Metrics | None = None,
) -> Parity:
    """Run an artifact on all clips and compare.

    Args:
        backend: the artifact, loaded from the file that was written.
        clips: at least 2, with the float student's outputs.
        limits: the artifact's kind decides which of them holds.
        ceiling: of human agreement, for the table.
        level: CCC of the mean level alone, for the table.

    Raises:
        BadData: fewer than 2 clips.
    """
    if len(clips) < 2:
        raise BadData(f"parity needs 2 clips or more, the run has {len(clips)}")
    found = [backend.run(x) for x in inputs(backend.card.input, clips)]
    dimensions = np.concatenate([f["adv"] for f in found])
    probs = np.concatenate([f["probs"] for f in found]) if "probs" in found[0] else None
    output = next(o for o in backend.card.outputs if o.name == "adv")
    given = output.labels
    columns = [DIMENSIONS.index(name) for name in given]
    teacher, human = (
        labels[:, columns] for labels in (clips.teacher_dimensions, clips.human_dimensions)
    )
    apart = float(np.abs(dimensions - clips.dimensions).max())
    same_class = None
    if probs is not None:
        apart = max(apart, float(np.abs(probs - clips.probs).max()))
        same_class = int((probs.argmax(1) == clips.probs.argmax(1)).sum())
    sounds = None
    if "sounds" in found[0]:
        assert clips.sounds is not None
        away = np.abs(np.concatenate([f["sounds"] for f in found]) - clips.sounds)
        apart, sounds = max(apart, float(away.max())), float(away.mean(0).max())
    dimensions, of_float = (as_shown(v, output) for v in (dimensions, clips.dimensions))
    parity = Parity(
        clips=len(clips),
        taught=int(_known(teacher).sum()),
        rated=int(_known(human).sum()),
        agreement=_by_dimension(dimensions, of_float, given),
        largest=apart,
        float_teacher=_by_dimension(of_float, teacher, given),
        file_teacher=_by_dimension(dimensions, teacher, given),
        float_human=_by_dimension(of_float, human, given),
        file_human=_by_dimension(dimensions, human, given),
        ceiling=dict(ceiling or {}),
        level=dict(level or {}),
        same_class=same_class,
        faults=(),
        sounds=sounds,
    )
    int8 = backend.card.quantization.kind == "int8"
    return replace(
        parity, faults=int8_faults(parity, limits) if int8 else _float_faults(parity, limits)
    )


def as_shown(values: NDArray[Any], output: Output) -> NDArray[Any]:
    """Values as users see them: a session clips to the range that the card names.

    Args:
        values: of the output, any shape.
        output: of the card.
    """
    shown: NDArray[Any] = np.clip(values, output.low, output.high)
    return shown


def inputs(kind: str, clips: ParitySet) -> list[Floats]:
    """What a model takes of each clip, with the batch axis.

    Args:
        kind: `Card.input`.
        clips: N.
    """
    return [x[np.newaxis] for x in (clips.samples if kind == "samples" else clips.features)]


def table(parity: Parity) -> str:
    """The comparison as text, a row for each dimension."""
    columns: list[tuple[str, Metrics]] = [
        ("file/float", parity.agreement),
        ("float/teacher", parity.float_teacher),
        ("file/teacher", parity.file_teacher),
        ("float/human", parity.float_human),
        ("file/human", parity.file_human),
        ("human ceiling", parity.ceiling),
        ("level alone", parity.level),
    ]
    shown = [(head, figures) for head, figures in columns if figures]
    lines = ["CCC        " + "  ".join(f"{head:>13}" for head, _ in shown)]
    for name in parity.agreement:
        cells = (f"{f[name]:13.4f}" if name in f else f"{'-':>13}" for _, f in shown)
        lines.append(f"{name:<11}" + "  ".join(cells))
    lines.append(
        f"largest difference of an output {parity.largest:.2g}, "
        f"{_same_class(parity)}{_sounds(parity)}"
        f"{parity.clips} held-out clips"
    )
    return "\n".join(lines)


def _same_class(parity: Parity) -> str:
    if parity.same_class is None:
        return ""
    return f"same likeliest class {parity.same_class / parity.clips:.1%}, "


def _sounds(parity: Parity) -> str:
    return "" if parity.sounds is None else f"sounds {parity.sounds:.2g} off in the mean, "


def _by_dimension(
    estimates: NDArray[Any], labels: NDArray[Any], names: Sequence[str]
) -> dict[str, float]:
    known = _known(labels)
    if known.sum() < 2:
        return {}
    return {d: ccc(estimates[known, i], labels[known, i]) for i, d in enumerate(names)}


def _known(labels: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(labels).all(axis=1))


def int8_faults(parity: Parity, limits: Tolerances) -> tuple[str, ...]:
    """Why an int8 file is refused; empty if it is not.

    Args:
        parity: what the comparison found.
        limits: of an int8 file.
    """
    faults = [
        f"{name} agrees with the float student to a CCC of {value:.4f}; "
        f"the limit is {1 - limits.ccc:g}"
        for name, value in parity.agreement.items()
        if value < 1 - limits.ccc
        and (parity.clips >= limits.fewest or ccc_at_most(value, parity.clips) < 1 - limits.ccc)
    ]
    few = parity.clips < limits.fewest  # nearly equal classes change places then
    if (
        parity.same_class is not None
        and not few
        and parity.same_class < (1 - limits.classes) * parity.clips
    ):
        faults.append(
            f"the likeliest class is the float student's for {parity.same_class} of "
            f"{parity.clips} clips; the limit is {1 - limits.classes:.0%}"
        )
    if parity.sounds is not None and not few and parity.sounds > limits.sounds:
        faults.append(
            f"a share of speech or sound is {parity.sounds:.3f} off in the mean; "
            f"the limit is {limits.sounds:g}"
        )
    pairs = (
        ("the teacher", parity.taught, parity.float_teacher, parity.file_teacher),
        ("annotators", parity.rated, parity.float_human, parity.file_human),
    )
    for whom, count, before, after in pairs:
        faults += [
            f"{name} falls from {before[name]:.4f} to {after[name]:.4f} against {whom}; "
            f"the limit is {limits.ccc:g}"
            for name in before
            if count >= limits.fewest and before[name] - after[name] > limits.ccc
        ]
    return tuple(faults)


def ccc_at_most(value: float, clips: int) -> float:
    """Upper end of a CCC's one-sided interval of 95 %, by Fisher's transformation.

    Source: L. I. Lin, A concordance correlation coefficient to evaluate reproducibility,
    Biometrics 45, 1989, whose variance is 1 / (n - 2) where mean and scale agree.

    Args:
        value: the CCC, below 1.
        clips: it was computed on.
    """
    if clips <= 2:
        return 1.0
    return math.tanh(math.atanh(max(value, -0.999999)) + _Z / math.sqrt(clips - 2))


def _float_faults(parity: Parity, limits: Tolerances) -> tuple[str, ...]:
    if parity.largest <= limits.largest:
        return ()
    return (f"an output differs by {parity.largest:.2g}; the limit is {limits.largest:g}",)


def _float_outputs(
    student: Student, features: Floats, temperature: float
) -> tuple[Floats, Floats, Floats | None]:
    with torch.inference_mode():
        found = student(torch.from_numpy(np.ascontiguousarray(features, np.float32))[None], None)
        probs = torch.softmax(found.logits / temperature, dim=-1)
    sounds = None if found.sounds is None else found.sounds[0].numpy()
    return found.dimensions[0].numpy(), probs[0].numpy(), sounds
