"""Tiny speech-emotion models: run one, or make your own from a large teacher.

    import edgeemo

    session = edgeemo.load("wav2small-stream")
    print(session.predict(edgeemo.read_audio("clip.wav")))

Names are imported when they are first used, so `import edgeemo` itself costs almost nothing.
`edgeemo.compress` (teachers, students, distillation) and `edgeemo.export` (quantization, parity)
need the extras `train` and `export`; nothing here imports them.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeemo import errors as errors
    from edgeemo.artifacts.card import Card as Card
    from edgeemo.audio import read_audio as read_audio
    from edgeemo.devices.camera import camera as camera
    from edgeemo.devices.microphone import microphone as microphone
    from edgeemo.faces import Faces as Faces
    from edgeemo.features import FeatureSpec as FeatureSpec
    from edgeemo.features import LogMel as LogMel
    from edgeemo.features import log_mel as log_mel
    from edgeemo.fusion import Fusion as Fusion
    from edgeemo.results.records import to_records as to_records
    from edgeemo.session import Session as Session
    from edgeemo.session import load as load
    from edgeemo.speech.profile import SpeakerProfile as SpeakerProfile
    from edgeemo.speech.profile import load_profile as load_profile
    from edgeemo.speech.smoothing import Smoothing as Smoothing
    from edgeemo.speech.stream import Stream as Stream
    from edgeemo.types import Emotion as Emotion
    from edgeemo.vision.images import ImageSpec as ImageSpec

__version__ = "0.1.0"

_HOME = {
    "Card": "edgeemo.artifacts.card",
    "Emotion": "edgeemo.types",
    "Faces": "edgeemo.faces",
    "FeatureSpec": "edgeemo.features",
    "Fusion": "edgeemo.fusion",
    "ImageSpec": "edgeemo.vision.images",
    "LogMel": "edgeemo.features",
    "Session": "edgeemo.session",
    "Smoothing": "edgeemo.speech.smoothing",
    "SpeakerProfile": "edgeemo.speech.profile",
    "Stream": "edgeemo.speech.stream",
    "camera": "edgeemo.devices",
    "errors": "edgeemo",
    "load": "edgeemo.session",
    "load_profile": "edgeemo.speech.profile",
    "log_mel": "edgeemo.features",
    "microphone": "edgeemo.devices",
    "read_audio": "edgeemo.audio",
    "to_records": "edgeemo.results.records",
}

__all__ = sorted([*_HOME, "__version__"])

_RENAMED = {"Baseline": "SpeakerProfile", "load_baseline": "load_profile"}

_MOVED = {
    "edgeemo.baseline": "edgeemo.speech.profile",
    "edgeemo.bench": "edgeemo.evaluation.bench",
    "edgeemo.card": "edgeemo.artifacts.card",
    "edgeemo.confidence": "edgeemo.artifacts.confidence",
    "edgeemo.confusion": "edgeemo.evaluation.confusion",
    "edgeemo.faces.windows": "edgeemo.faces.intervals",
    "edgeemo.gate": "edgeemo.speech.vad",
    "edgeemo.images": "edgeemo.vision.images",
    "edgeemo.live.sides": "edgeemo.live.workers",
    "edgeemo.metrics": "edgeemo.evaluation.metrics",
    "edgeemo.models": "edgeemo.artifacts.models",
    "edgeemo.pictures": "edgeemo.vision.pictures",
    "edgeemo.smoothing": "edgeemo.speech.smoothing",
    "edgeemo.stream": "edgeemo.speech.stream",
    "edgeemo.video": "edgeemo.vision.video",
}


class _Moved:
    """The last of Python's finders: tells where a module went that no other finder knows."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: ModuleType | None = None) -> None:
        if name in _MOVED:
            raise ModuleNotFoundError(f"{name} is {_MOVED[name]} now", name=name)


sys.meta_path.append(_Moved)


def __getattr__(name: str) -> object:
    if name in _RENAMED:
        import warnings

        new = _RENAMED[name]
        warnings.warn(f"edgeemo.{name} is edgeemo.{new} now", DeprecationWarning, stacklevel=2)
        return __getattr__(new)
    if name not in _HOME:
        new = _MOVED.get(f"edgeemo.{name}", "")
        hint = f"; it is {new} now" if new else ""
        raise AttributeError(f"module 'edgeemo' has no attribute {name!r}{hint}")
    if _HOME[name] == "edgeemo":
        return importlib.import_module(f"edgeemo.{name}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
