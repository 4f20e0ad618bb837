"""What a finished run says of a student that no teacher of any use has taught."""

from __future__ import annotations

from typing import Any

from edgeemo.artifacts.card import Calibration, ReceptiveField, Source
from edgeemo.compress.run import SCHEMA, RunSummary
from edgeemo.compress.students import Student
from edgeemo.compress.students.cost import macs_per_second, parameters


def summary_of(student: Student, **more: Any) -> RunSummary:
    """Facts for the card of a student of speech.

    Args:
        student: in evaluation mode.
        more: fields that shall be otherwise.
    """
    facts: dict[str, Any] = {
        "name": "made",
        "task": "speech",
        "student": student.name,
        "options": dict(student.options),
        "spec": student.spec,
        "window": ReceptiveField(0.1, 0.1),
        "teachers": (Source("made up", "CC0-1.0"),),
        "data": (Source("emodb_full", "CC0-1.0"),),
        "licence": "Apache-2.0",
        "metrics": (),
        "ceiling": {},
        "calibration": Calibration(),
        "parameters": parameters(student),
        "macs_per_second": round(macs_per_second(student)),
        "best_epoch": 1,
        "seed": 1,
        "clips": {},
        "skipped": 0,
    }
    return RunSummary(schema=SCHEMA, **facts | more)
