"""Students. A module in this folder is imported and may register any number of them."""

import importlib
import pkgutil

from .base import (
    Student,
    StudentOutput,
    load_student,
    make_student,
    register_student,
    save_student,
    student_names,
    time_mask,
)

__all__ = [
    "Student",
    "StudentOutput",
    "load_student",
    "make_student",
    "register_student",
    "save_student",
    "student_names",
    "time_mask",
]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
