"""How a large teacher uses its device: seconds of sound in a batch, precision of products."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from edgeemo.errors import BadInput

from . import _weights
from ._wave import WaveTeacher
from .base import Teacher
from .ensemble import Ensemble

Precision = Literal["float32", "bfloat16"]


def tuned(
    teacher: Teacher, precision: Precision = "float32", batch_seconds: float | None = None
) -> Teacher:
    """A teacher with another precision or size of batches; of an ensemble, all members.

    Clips are sorted by length before they are cut into batches, so there is hardly any padding. The
    size of a batch changes no label beyond float rounding. bfloat16 has 8 bits of mantissa: it
    changes labels, and is part of the teacher's digest and name.

    Args:
        teacher: over a wav2vec2 or WavLM encoder, or an ensemble of such.
        precision: of matrix products and convolutions; the rest stays float32.
        batch_seconds: most seconds of sound in a batch, padding included; None leaves it.

    Raises:
        BadInput: another kind of teacher, or a budget below 0.
    """
    if batch_seconds is not None and not 0 < batch_seconds <= 100_000:
        raise BadInput(f"{batch_seconds:g} seconds a batch; expected more than 0, at most 100000")
    if precision == "float32" and batch_seconds is None:
        return teacher
    if isinstance(teacher, Ensemble):
        members = tuple(tuned(member, precision, batch_seconds) for member in teacher.members)
        return replace(teacher, members=members)
    if not isinstance(teacher, WaveTeacher):
        raise BadInput(
            f"{teacher.name} has no precision or size of batches to choose: only teachers over "
            "wav2vec2 and WavLM have; leave the option out"
        )
    if batch_seconds is not None:
        teacher = replace(teacher, batch_seconds=batch_seconds)
    if precision == "float32":
        return teacher
    return replace(
        teacher,
        name=f"{teacher.name}, {precision}",
        digest=_weights.digest([], [teacher.digest, precision]),
        precision=precision,
    )
