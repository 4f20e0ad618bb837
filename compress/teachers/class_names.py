"""Foreign names of emotion categories, and how their probabilities become edgeemo's classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import BadData, BadRecipe
from edgeemo.types import CLASSES

from .base import Floats

NO_CLASS = ("other", "unknown", "boredom", "-")
"""Categories without a class: their share is dropped and the rest made to sum to 1 again."""

_ALIASES = {
    "calm": "neutral",
    "happy": "happiness",
    "joy": "happiness",
    "surprised": "surprise",
    "sad": "sadness",
    "angry": "anger",
    "disgusted": "disgust",
    "fearful": "fear",
    "contemptuous": "contempt",
}

Values = Literal["probabilities", "logits"]


def columns(names: Sequence[str]) -> list[int | None]:
    """Where each foreign category goes among `CLASSES`; None for those without a class.

    Args:
        names: categories in the order of the model's outputs; upper and lower case are alike.

    Raises:
        BadRecipe: a name that is not known, or no name that is a class.
    """
    places: list[int | None] = []
    for name in names:
        own = _ALIASES.get(name.lower(), name.lower())
        if own in CLASSES:
            places.append(CLASSES.index(own))
        elif own in NO_CLASS:
            places.append(None)
        else:
            known = ", ".join([*CLASSES, *_ALIASES, *NO_CLASS])
            raise BadRecipe(f"class name {name!r} is not known; expected one of {known}")
    if all(place is None for place in places):
        raise BadRecipe(f"class names {list(names)}: none of them is a class of edgeemo")
    return places


def to_classes(scores: NDArray[np.float64], places: Sequence[int | None], values: Values) -> Floats:
    """Probabilities over `CLASSES` from a model's scores.

    Two categories of one class (calm and neutral) add up. A class that the model does not know gets
    0. Where all the mass is on categories without a class, nothing is known: each class gets 1/8.

    Args:
        scores: [N, len(places)].
        places: of `columns`.
        values: "probabilities" (rows sum to 1), or "logits" (a softmax is taken here).

    Returns:
        float32 [N, 8], rows sum to 1.

    Raises:
        BadData: scores are not finite, or probabilities are negative or do not sum to 1.
    """
    wide = scores.astype(np.float64)
    if not np.isfinite(wide).all():
        raise BadData("a teacher gave class scores that are not finite")
    if values == "logits":
        wide = np.exp(wide - wide.max(axis=1, keepdims=True))
        wide /= wide.sum(axis=1, keepdims=True)
    sums = wide.sum(axis=1)
    worst = int(np.argmax(np.abs(sums - 1)))
    if abs(sums[worst] - 1) > 1e-3 or wide.min() < -1e-6:
        raise BadData(
            f"class scores sum to {sums[worst]:g} (smallest {wide.min():g}), so they are no "
            'probabilities; if they are logits, say values = "logits"'
        )
    made = np.zeros((len(wide), len(CLASSES)))
    for column, place in enumerate(places):
        if place is not None:
            made[:, place] += np.maximum(wide[:, column], 0)
    kept = made.sum(axis=1, keepdims=True)
    known = kept > 1e-9
    shares: Floats = np.where(known, made / np.where(known, kept, 1), 1 / len(CLASSES)).astype(
        np.float32
    )
    return shares
