"""The built-in teacher: the first layers of Whisper tiny.en with heads for emotion, in one file.

It needs no download and no torch: an ONNX file of some 6 MB that onnxruntime runs. How it was
made is in export/builtin_teacher.py; what it reaches on unseen speakers is on its card.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeemo.artifacts import teachers_package
from edgeemo.artifacts.card import Card
from edgeemo.artifacts.onnx import read_onnx
from edgeemo.errors import require
from edgeemo.features import WHISPER80, log_mel
from edgeemo.types import SAMPLE_RATE

from .base import Floats, TeacherOutput, check_clips, label_in_batches

FILE = "zoo/teacher.onnx"
"""Inside the package edgeemo-teachers."""

OPEN_FILE = "zoo/teacher-open.onnx"
"""The one that may be given away with what it teaches (export/open_teacher.py)."""

TOKENS_PER_SECOND = 50.0
"""Whisper's encoder halves the 100 frames a second of its log-mel."""
LONGEST_SECONDS = 29.0
"""Whisper's table of positions ends at 30 s."""

_SHORTEST = WHISPER80.window + 3 * WHISPER80.hop
"""Samples of four frames: two tokens, so that there is a mean over time."""

_OUTPUTS = {"dimensions": "adv", "probs": "probs", "embedding": "embedding"}
"""Fields of TeacherOutput and the file's outputs."""


class BuiltinTeacher:
    """An ONNX file that takes log-mel "whisper80" and gives some of a teacher's outputs.

    Args:
        model: the file's bytes.
        name, licence: see Teacher.
        attributions: whom a student's card must name.
        card: of the file, which says what the teacher was trained on; None for a backbone alone.
    """

    def __init__(
        self,
        model: bytes,
        name: str,
        licence: str,
        attributions: tuple[str, ...] = (),
        card: Card | None = None,
    ) -> None:
        ort = require("onnxruntime", "onnx")
        self.name, self.licence, self.attributions = name, licence, attributions
        self.card = card
        self.digest = hashlib.sha256(model).hexdigest()
        options = ort.SessionOptions()
        options.intra_op_num_threads = _processors()
        options.log_severity_level = 3
        self._session: Any = ort.InferenceSession(model, options, ["CPUExecutionProvider"])
        self._names = [output.name for output in self._session.get_outputs()]

    def label(self, clips: Sequence[Floats]) -> TeacherOutput:
        """See Teacher.label. Clips over 29 s run in equal pieces, and outputs are averaged."""
        return label_in_batches(check_clips(clips, _SHORTEST), self._run, 0.0)

    def _run(self, clips: list[Floats]) -> TeacherOutput:
        (clip,) = clips
        pieces = np.array_split(clip, math.ceil(len(clip) / (LONGEST_SECONDS * SAMPLE_RATE)))
        runs = [self._session.run(None, {"features": log_mel(p, WHISPER80)[None]}) for p in pieces]
        outputs = {name: [run[i][0] for run in runs] for i, name in enumerate(self._names)}
        rows: dict[str, Any] = {
            field: np.mean([outputs[name]], axis=1, dtype=np.float32)
            for field, name in _OUTPUTS.items()
            if name in outputs
        }
        tokens = np.concatenate(outputs["tokens"]).astype(np.float16)
        return TeacherOutput(**rows, tokens=(tokens,), tokens_per_second=TOKENS_PER_SECOND)


def load(device: str = "cpu", file: str = FILE, name: str = "builtin") -> BuiltinTeacher:
    """A shipped teacher. It runs on the processor, whatever `device` says: it is small.

    Args:
        device: of other teachers.
        file: inside edgeemo-teachers.
        name: of the teacher.

    Raises:
        BadArtifact: the shipped file is damaged.
        MissingExtra: edgeemo-teachers or onnxruntime is not installed.
    """
    found = read_onnx(teachers_package.need(file))
    card = found.card
    return BuiltinTeacher(found.data, name, card.licence, card.attributions, card)


def _processors() -> int:
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return int(limit) if limit.isdigit() and int(limit) > 0 else os.cpu_count() or 1
