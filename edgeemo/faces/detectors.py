"""What every detector of faces is, and the detectors by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from edgeemo.errors import BadInput, nearest
from edgeemo.faces.boxes import Face
from edgeemo.vision.images import Pixels, validate_image

DEFAULT = "blazeface"
"""The detector that is used when none is named."""


class Detector(Protocol):
    """Finds faces in pictures. One thread at a time.

    Attributes:
        name: key of DETECTORS.
    """

    name: str

    def find(self, image: Pixels) -> list[Face]:
        """All faces of a picture, the surest first, each once.

        Args:
            image: uint8 [height, width, 3], RGB.

        Raises:
            BadInput: not such a picture.
        """
        ...

    def follow(self, image: Pixels, known: Sequence[Face]) -> list[Face]:
        """The faces of a frame of a video, fast.

        Args:
            image: as for `find`.
            known: faces of the frame before.
        """
        ...


class Whole:
    """For pictures that are cut to a face already: the whole picture is the face."""

    name = "none"

    def find(self, image: Pixels) -> list[Face]:
        """One face, as large as the picture."""
        height, width = validate_image(image).shape[:2]
        return [Face((0.0, 0.0, float(width), float(height)), 1.0)]

    def follow(self, image: Pixels, known: Sequence[Face]) -> list[Face]:
        """See `Detector.follow`; what is known does not help."""
        return self.find(image)


def open_detector(name: str = DEFAULT) -> Detector:
    """Load a detector.

    Args:
        name: key of DETECTORS.

    Raises:
        BadInput: no detector of that name; the message lists the nearest.
        MissingExtra: its package, or edgeemo-teachers with its network, is not installed.
    """
    if name not in DETECTORS:
        raise BadInput(f"no detector {name!r}; {nearest(name, DETECTORS, 'there is')}")
    return DETECTORS[name]()


def _blazeface() -> Detector:
    from edgeemo.faces.blazeface import BlazeFace

    return BlazeFace()


def _haar() -> Detector:
    from edgeemo.faces.haar import Haar

    return Haar()


def _mediapipe() -> Detector:
    from edgeemo.faces.mediapipe import MediaPipe

    return MediaPipe()


DETECTORS: Mapping[str, Callable[[], Detector]] = MappingProxyType(
    {"blazeface": _blazeface, "mediapipe": _mediapipe, "haar": _haar, "none": Whole}
)
"""Name of each detector and what loads it."""
