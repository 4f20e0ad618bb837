"""The values that edgeemo gives: emotion dimensions, expression classes and one estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SAMPLE_RATE = 16_000
"""Of speech in edgeemo unless a model's card says otherwise, Hz."""

DIMENSIONS = ("arousal", "dominance", "valence")
"""Order of the three dimensions everywhere in edgeemo. Each lies in 0..1."""

CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
"""Order of the expression classes everywhere in edgeemo, for speech and for faces."""

SOUNDS = ("laughter", "crying", "screaming", "coughing", "sighing", "music", "other")
"""Order of the sounds that a model of speech may tell. Coughing includes clearing one's throat,
sighing breathing aloud; other is any further sound of a mouth."""


@dataclass(frozen=True)
class Emotion:
    """One estimate: how a stretch of speech or a face would be perceived by annotators.

    It is not what a person feels.

    Attributes:
        arousal: calm 0 to excited 1, or None where the model does not give it.
        dominance: submissive 0 to dominant 1, or None.
        valence: unpleasant 0 to pleasant 1, or None.
        classes: probability by class name, summing to 1; empty where the model gives none.
        expression: the class to show: the likeliest one; in a smoothed stream it gives way only
            to one that is clearly likelier. None without classes.
        confidence: 0..1, the probability that the model's card tells (`calibration.confidence`);
            without one, that of the likeliest class. 0 where nobody speaks.
        speech: True if somebody speaks, False if nobody does, None if not judged.
        start: seconds from the first sample.
        end: seconds from the first sample.
        box: face box (left, top, right, bottom) in pixels, or None for speech.
        sounds: of speech: share 0..1 of the time in which somebody speaks ("speech") and in which
            each of SOUNDS is heard, never smoothed; also where nobody speaks. Empty where
            nothing is heard at all, and of models that do not tell.
    """

    arousal: float | None
    dominance: float | None
    valence: float | None
    classes: Mapping[str, float] = field(default_factory=dict)
    confidence: float = 0.0
    speech: bool | None = None
    start: float = 0.0
    end: float = 0.0
    box: tuple[int, int, int, int] | None = None
    expression: str | None = None
    sounds: Mapping[str, float] = field(default_factory=dict, kw_only=True)

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name as plain values, which `json.dumps` takes; `box` is a list."""
        box = None if self.box is None else list(self.box)
        return vars(self) | {"classes": dict(self.classes), "box": box, "sounds": dict(self.sounds)}
