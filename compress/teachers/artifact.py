"""A file that `edgeemo export` wrote, as a teacher: its card says what its outputs mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeemo.artifacts.card import Card
from edgeemo.session import Session, load
from edgeemo.types import CLASSES, DIMENSIONS

from .base import TeacherOutput, check_clips, check_faces


class ArtifactTeacher:
    """A student of before, which now teaches.

    Args:
        path: ONNX or TFLite.

    Raises:
        BadArtifact: no file of `edgeemo export`.
    """

    def __init__(self, path: Path) -> None:
        self._session: Session = load(path)
        self.card: Card = self._session.card
        self.name, self.licence = self.card.name, self.card.licence
        self.attributions, self.task = self.card.attributions, self.card.task
        self.digest = self.card.digest

    def label(self, clips: Sequence[Any]) -> TeacherOutput:
        """See Teacher.label; the whole of a clip counts, whoever speaks in it."""
        face = self.task == "face"
        inputs = check_faces(clips) if face else check_clips(clips)
        found = self._session.predict_batch(inputs, gate=None)
        rows = [[getattr(e, d) for d in DIMENSIONS] for e in found]
        dimensions = np.array([[np.nan if v is None else v for v in row] for row in rows])
        probs = np.array([[e.classes.get(c, 0.0) for c in CLASSES] for e in found], np.float32)
        embed = self.card.embedding > 0
        return TeacherOutput(
            None if np.isnan(dimensions).all() else dimensions.astype(np.float32),
            probs if probs.any() else None,
            np.stack([self._session.embed(x, gate=None) for x in inputs]) if embed else None,
        )
