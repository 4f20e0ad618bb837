"""A student as it was before its training, as the teacher of what it is to be afterwards.

What a larger teacher knows of a few annotated people can be learned by heart, and a student that is
taught changed copies by it forgets what carries valence in clean speech (measured:
docs/experiments/notebook.md). Its own features of before are no more than it can say, and they
are there for every voice. What the larger teacher says in the end, its dimensions of thousands of
voices that nobody annotated, does not have that fault; it may stand beside them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgeemo.errors import BadRecipe
from edgeemo.features import FeatureSpec, log_mel
from edgeemo.types import SAMPLE_RATE

from ..pipeline import new_student
from ..recipes import Recipe
from ..students.base import Student, StudentOutput
from .base import Floats, Teacher, TeacherOutput, check_clips, task_of
from .registry import load_teacher

OWN = "own"
"""Name of this teacher in a recipe."""

_BATCH = 64


def teacher_of(recipe: Recipe, device: str = "cpu") -> Teacher:
    """The teacher that a recipe names; "own" is its student with the weights of `init_from`.

    Args:
        recipe: whose teacher is asked for.
        device: of torch; "own" is small and runs on the CPU.

    Raises:
        BadRecipe: "own" without `init_from`, of a student of faces, or with the dimensions of a
            teacher of faces.
        BadInput, BadArtifact, MissingExtra: as `load_teacher` and `new_student`.
    """
    if recipe.teacher.name != OWN:
        return load_teacher(recipe.teacher.name, device)
    if not recipe.student.init_from:
        raise BadRecipe(
            f"$.teacher.name: '{OWN}' is the student as it was before; give its weights as "
            "$.student.init_from"
        )
    own = OwnTeacher(new_student(recipe))
    if not recipe.teacher.dimensions:
        return own
    return TwoTeachers(own, teacher_of_dimensions(recipe, device))


def teacher_of_dimensions(recipe: Recipe, device: str = "cpu") -> Teacher:
    """The teacher that `teacher.dimensions` names.

    Args:
        recipe: that names one.
        device: of torch.

    Raises:
        BadRecipe: it is a teacher of faces.
        BadInput, BadArtifact, MissingExtra: as `load_teacher`.
    """
    name = recipe.teacher.dimensions
    found = load_teacher(name, device)
    if task_of(found) != "speech":
        raise BadRecipe(f"$.teacher.dimensions: {name!r} is for {task_of(found)}; expected speech")
    return found


class OwnTeacher:
    """What a trained student says of clips: dimensions, classes, embedding and tokens.

    Args:
        student: of speech; it is not changed.

    Raises:
        BadRecipe: a student of faces.
    """

    licence = "as the student that it starts from"

    def __init__(self, student: Student) -> None:
        if not isinstance(student.spec, FeatureSpec):
            raise BadRecipe(f"$.teacher.name: '{OWN}' is for speech; {student.name} takes faces")
        self.name = f"{student.name} as it was before"
        self._student, self._spec = student.eval(), student.spec
        found = hashlib.sha256(OWN.encode())
        for key, value in student.state_dict().items():
            found.update(key.encode() + value.numpy().tobytes())
        self.digest = found.hexdigest()

    @torch.inference_mode()
    def label(self, clips: Sequence[Floats]) -> TeacherOutput:
        """See Teacher.label."""
        features = [torch.from_numpy(log_mel(x, self._spec)) for x in check_clips(clips)]
        order = sorted(range(len(features)), key=lambda i: len(features[i]))
        said: dict[int, tuple[Tensor, ...]] = {}
        for begin in range(0, len(order), _BATCH):
            part = order[begin : begin + _BATCH]
            output = self._of([features[i] for i in part])
            for k, i in enumerate(part):
                tokens = output.tokens[k, : int(output.token_lengths[k])]
                said[i] = (output.dimensions[k], output.logits[k], output.embedding[k], tokens)
        rows = [said[i] for i in range(len(said))]
        dimensions, logits, embedding = (torch.stack([row[j] for row in rows]) for j in range(3))
        return TeacherOutput(
            # An estimate ends at 0 and 1, as that of every exported file.
            dimensions.clamp(0, 1).numpy(),
            logits.softmax(1).numpy(),
            embedding.numpy(),
            tuple(row[3].numpy().astype(np.float16) for row in rows),
            SAMPLE_RATE / self._spec.hop / self._student.stride,
        )

    def _of(self, features: Sequence[Tensor]) -> StudentOutput:
        lengths = torch.tensor([len(x) for x in features])
        longest = int(lengths.max())
        padded = [F.pad(x, (0, 0, 0, longest - len(x))) for x in features]
        said: StudentOutput = self._student(torch.stack(padded), lengths)
        return said


class TwoTeachers:
    """Features and tokens of one teacher, dimensions and classes of another.

    Args:
        features: whose embedding and tokens are taught.
        dimensions: whose dimensions and class probabilities are.
    """

    def __init__(self, features: Teacher, dimensions: Teacher) -> None:
        self.name = f"{features.name}, dimensions by {dimensions.name}"
        self.licence = f"{features.licence}; {dimensions.licence}"
        self.digest = hashlib.sha256((features.digest + dimensions.digest).encode()).hexdigest()
        self._features, self._dimensions = features, dimensions

    def label(self, clips: Sequence[Floats]) -> TeacherOutput:
        """See Teacher.label."""
        said = self._dimensions.label(clips)
        features = self._features.label(clips)
        return replace(features, dimensions=said.dimensions, probs=said.probs)
