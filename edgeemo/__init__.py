"""Tiny speech-emotion models: run one, or make your own from a large teacher.

    import edgeemo
    from edgeemo.audio import read_audio

    session = edgeemo.load("wav2small-stream")
    print(session.predict(read_audio("clip.wav")))

Names are imported when they are first used, so `import edgeemo` itself costs almost nothing.
`edgeemo.compress` (teachers, students, distillation) and `edgeemo.export` (quantization, parity)
need the extras `train` and `export`; nothing here imports them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeemo import errors
    from edgeemo.artifacts.card import Card
    from edgeemo.devices import camera, microphone
    from edgeemo.features import FeatureSpec, LogMel, log_mel
    from edgeemo.session import Session, load
    from edgeemo.speech.profile import Baseline
    from edgeemo.speech.smoothing import Smoothing
    from edgeemo.speech.stream import Stream
    from edgeemo.types import Emotion
    from edgeemo.vision.images import ImageSpec

__version__ = "0.1.0"

__all__ = [
    "Baseline",
    "Card",
    "Emotion",
    "FeatureSpec",
    "ImageSpec",
    "LogMel",
    "Session",
    "Smoothing",
    "Stream",
    "__version__",
    "camera",
    "errors",
    "load",
    "log_mel",
    "microphone",
]

_HOME = {
    "Baseline": "edgeemo.speech.profile",
    "Card": "edgeemo.artifacts.card",
    "Emotion": "edgeemo.types",
    "FeatureSpec": "edgeemo.features",
    "ImageSpec": "edgeemo.vision.images",
    "LogMel": "edgeemo.features",
    "Session": "edgeemo.session",
    "Smoothing": "edgeemo.speech.smoothing",
    "Stream": "edgeemo.speech.stream",
    "camera": "edgeemo.devices",
    "load": "edgeemo.session",
    "log_mel": "edgeemo.features",
    "microphone": "edgeemo.devices",
}


def __getattr__(name: str) -> object:
    if name == "errors":
        return importlib.import_module("edgeemo.errors")
    if name not in _HOME:
        raise AttributeError(f"module 'edgeemo' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
