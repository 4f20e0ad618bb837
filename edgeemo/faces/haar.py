"""The Viola-Jones cascade for frontal faces that comes with OpenCV 3 and 4."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeemo.errors import BadInput, require
from edgeemo.faces.boxes import Face, as_square, distinct
from edgeemo.vision.images import Pixels, grey, validate_image

CASCADE = "haarcascade_frontalface_default.xml"

SMALLEST = 36
"""Pixels: the cascade's boxes are no smaller; as for BlazeFace, a fiftieth of a large picture."""

_NEIGHBOURS = 6  # hits that must agree; fewer find faces in leaves
_GROW, _LIFT = 1.01, -0.03  # to the boxes of BlazeFace; benchmarks/detection.py


class Haar:
    """A detector; see `edgeemo.faces.detectors.Detector`."""

    name = "haar"

    def __init__(self) -> None:
        """Load the cascade.

        Raises:
            MissingExtra: OpenCV is not installed (extra "vision").
            BadInput: this OpenCV has no cascades: 5 dropped them.
        """
        cv2 = require("cv2", "vision")
        if not hasattr(cv2, "CascadeClassifier"):
            raise BadInput(
                f"OpenCV {cv2.__version__} has no cascades; take --detector blazeface, "
                "or: pip install 'opencv-python-headless<5'"
            )
        self._cascade: Any = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / CASCADE))

    def find(self, image: Pixels) -> list[Face]:
        """All faces of SMALLEST pixels or more, the surest first."""
        image = validate_image(image)
        smallest = max(SMALLEST, max(image.shape[:2]) // 50)
        boxes, _, weights = self._cascade.detectMultiScale3(
            grey(image), 1.1, _NEIGHBOURS, minSize=(smallest, smallest), outputRejectLevels=True
        )
        return distinct(
            [
                Face(as_square((x, y, x + w, y + h), _GROW, _LIFT), 1 / (1 + math.exp(-weight)))
                for (x, y, w, h), weight in zip(np.array(boxes).tolist(), weights, strict=True)
            ]
        )

    def follow(self, image: Pixels, known: Sequence[Face]) -> list[Face]:
        """See `Detector.follow`; what is known does not help."""
        return self.find(image)
