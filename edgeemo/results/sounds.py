"""The sound that a model has told, as a word for people."""

from __future__ import annotations

from collections.abc import Mapping

HEARD_SHARE = 0.2
"""Share of the time from which on a sound is shown."""

_WORDS = {
    "laughter": "laughs",
    "crying": "cries",
    "screaming": "screams",
    "coughing": "coughs",
    "sighing": "sighs",
    "music": "music",
}


def heard(sounds: Mapping[str, float]) -> str:
    """The sound with the largest share, as a word: "laughs"; empty if none has much of the time.

    Args:
        sounds: as in `Emotion.sounds`.
    """
    shares = {word: sounds.get(name, 0.0) for name, word in _WORDS.items()}
    most = max(shares, key=shares.__getitem__)
    return most if shares[most] >= HEARD_SHARE else ""
