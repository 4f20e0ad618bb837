"""Teachers: large speech models whose labels the students learn.

`load_teacher(name, folder or TOML)` gives an object with `label(clips)`; `check_teacher` refuses
one whose outputs cannot teach. Adapters load torch, transformers or onnxruntime only when used.
"""

from .base import Teacher, TeacherOutput, check_teacher
from .registry import TeacherInfo, known_teachers, load_teacher, register_teacher

__all__ = [
    "Teacher",
    "TeacherInfo",
    "TeacherOutput",
    "check_teacher",
    "known_teachers",
    "load_teacher",
    "register_teacher",
]
