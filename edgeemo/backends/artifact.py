"""What the backends of exported files have in common: whole clips, and step models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.card import Card
from edgeemo.artifacts.step_model import ArtifactStepModel
from edgeemo.errors import BadInput

Floats = NDArray[np.float32]
States = Mapping[str, NDArray[Any]]


class ArtifactBackend(ABC):
    """A file in a runtime that knows whole clips only.

    Attributes:
        name: key of `edgeemo.backends.BACKENDS`.
        card: the card of the file, checked.
        streams: whether it is a step model, `card.hop` above 0.
    """

    name: str

    def __init__(self, path: Path, card: Card) -> None:
        self.card = card
        self.streams = card.hop > 0
        self._path = path

    def run(self, values: Floats) -> dict[str, Floats]:
        """Outputs by name; see `edgeemo.backends.Backend`."""
        return self.step_model().of(values[0]) if self.streams else self._whole(values)

    def step_model(self) -> ArtifactStepModel:
        """A state of its own; see `edgeemo.backends.StepModel`.

        Raises:
            BadInput: the file is for whole clips.
        """
        if not self.streams:
            raise BadInput(
                f"{self._path}: takes whole clips; `edgeemo export --step` makes step models"
            )
        start, pooled = self._initial()
        shape = self.card.features.bands, pooled
        return ArtifactStepModel(self._step, start, self.card.hop, shape)

    @abstractmethod
    def _whole(self, values: Floats) -> dict[str, Floats]:
        """Outputs for a whole clip or a face."""

    @abstractmethod
    def _initial(self) -> tuple[States, int]:
        """States before the first frame, and the width of the pooled mean."""

    @abstractmethod
    def _step(
        self, features: Floats, mean: Floats, states: States
    ) -> tuple[dict[str, Floats], States]:
        """Outputs of a step, the token among them, and the next states."""
