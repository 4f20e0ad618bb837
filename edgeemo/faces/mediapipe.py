"""MediaPipe Tasks' face detector, with the same network as `blazeface`, on whole pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeemo.artifacts import teachers_package
from edgeemo.errors import require
from edgeemo.faces.blazeface import FILE, GROW, LIFT, SURE
from edgeemo.faces.boxes import Face, as_square, distinct
from edgeemo.vision.images import Pixels, validate_image


class MediaPipe:
    """A detector; see `edgeemo.faces.detectors.Detector`.

    It looks at the whole picture only, so it finds faces of some 15 % of its longer side or more.
    """

    name = "mediapipe"

    def __init__(self) -> None:
        """Load the network.

        Raises:
            MissingExtra: MediaPipe is not installed (extra "mediapipe").
        """
        self._mp: Any = require("mediapipe", "mediapipe")
        tasks = require("mediapipe.tasks.python", "mediapipe")
        vision = tasks.vision
        self._detector: Any = vision.FaceDetector.create_from_options(
            vision.FaceDetectorOptions(
                base_options=tasks.BaseOptions(model_asset_path=str(teachers_package.need(FILE))),
                min_detection_confidence=SURE,
            )
        )

    def find(self, image: Pixels) -> list[Face]:
        """Faces, the surest first."""
        image = validate_image(image)
        if image.ndim == 2:
            image = np.repeat(image[..., np.newaxis], 3, axis=2)
        taken = self._mp.Image(self._mp.ImageFormat.SRGB, np.ascontiguousarray(image))
        found = []
        for one in self._detector.detect(taken).detections:
            box, score = one.bounding_box, one.categories[0].score
            left, top = box.origin_x, box.origin_y
            square = as_square((left, top, left + box.width, top + box.height), GROW, LIFT)
            found.append(Face(square, float(score)))
        return distinct(found)

    def follow(self, image: Pixels, known: Sequence[Face]) -> list[Face]:
        """See `Detector.follow`; what is known does not help."""
        return self.find(image)
