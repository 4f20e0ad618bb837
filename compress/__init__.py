"""Distillation: data, teachers, pseudo-labels, students, training and evaluation.

    from pathlib import Path
    from edgeemo.compress import Run, distill, load_recipe, load_teacher
    from edgeemo.compress.data import open_dataset

    run = Run.begin(Path("runs/mine"), load_recipe("wav2small-stream"), {})
    distill(run, open_dataset(Path("speech")), load_teacher("builtin"))

Imported as `edgeemo.compress`; needs the extra "train". Names are imported when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .pipeline import distill as distill
    from .recipes import load_recipe as load_recipe
    from .run import Run as Run
    from .students import make_student as make_student
    from .teachers import load_teacher as load_teacher

_HOME = {
    "Run": "edgeemo.compress.run",
    "distill": "edgeemo.compress.pipeline",
    "load_recipe": "edgeemo.compress.recipes",
    "load_teacher": "edgeemo.compress.teachers",
    "make_student": "edgeemo.compress.students",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
