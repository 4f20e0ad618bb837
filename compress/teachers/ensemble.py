"""Several teachers as one: the weighted mean of what each gives.

Wav2Small's teacher is such a mean of two. A member with classes only takes no part in arousal,
dominance and valence, and the other way round; the weights of the others then fill its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeemo.errors import BadRecipe

from ._weights import digest
from .base import Floats, Teacher, TeacherOutput, task_of


@dataclass(frozen=True)
class Ensemble:
    """A weighted mean of teachers.

    Embeddings and tokens are not averaged (their axes have nothing in common), so there are none.

    Attributes:
        name: of the ensemble.
        members: at least two.
        weights: one a member, above 0, summing to 1.
    """

    name: str
    members: tuple[Teacher, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        tasks = {task_of(member) for member in self.members}
        if len(tasks) > 1:
            raise BadRecipe(
                f"{self.name}: members for {' and '.join(sorted(tasks))}; give one task"
            )

    @property
    def task(self) -> str:
        """What all members label."""
        return task_of(self.members[0])

    @property
    def licence(self) -> str:
        """Licences of all members: a student is bound by each of them."""
        return "; ".join(f"{member.name}: {member.licence}" for member in self.members)

    @property
    def digest(self) -> str:
        """sha256 over the members' digests and the weights."""
        parts = [m.digest for m in self.members] + [float(w).hex() for w in self.weights]
        return digest([], ["ensemble", *parts])

    def label(self, clips: Sequence[Floats]) -> TeacherOutput:
        """See `Teacher.label`."""
        outputs = [member.label(clips) for member in self.members]
        return TeacherOutput(
            dimensions=self._mean([output.dimensions for output in outputs]),
            probs=self._mean([output.probs for output in outputs]),
        )

    def _mean(self, values: Sequence[Floats | None]) -> Floats | None:
        given = [(w, v) for w, v in zip(self.weights, values, strict=True) if v is not None]
        if not given:
            return None
        total = sum(w for w, _ in given)
        mean = np.sum([w / total * v.astype(np.float64) for w, v in given], axis=0)
        made: Floats = mean.astype(np.float32)
        return made
