"""Checks that the tables of a recipe share; each message has the key's path."""

from __future__ import annotations

from collections.abc import Mapping

from edgeemo.errors import BadRecipe, nearest

LOSSES = (
    "ccc",
    "mse",
    "annotator_ccc",
    "std_match",
    "kl",
    "votes",
    "interval",
    "class_consistency",
    "class_cooccurrence",
    "embedding",
    "tokens",
)
"""Names that a table of loss weights may hold; what is not named weighs 0."""


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside its range.

    Args:
        name: path of the key, without "$.".
        value: what the recipe says.
        low: smallest value that is allowed.
        high: largest value that is allowed.

    Raises:
        BadRecipe: outside; the message has path, value and range.
    """
    if not low <= value <= high:
        said, least, most = (_shown(v) for v in (value, low, high))
        raise BadRecipe(f"$.{name}: {said}; expected {least} to {most}")


def _shown(value: float) -> str:
    """A number as short as it can be and still differ from the limit that it breaks."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def check_pair(name: str, pair: tuple[float, float], low: float, high: float) -> None:
    """Refuse a range that is not ordered or not inside another.

    Args:
        name: path of the key, without "$.".
        pair: smallest and largest value.
        low: smallest value that is allowed.
        high: largest value that is allowed.

    Raises:
        BadRecipe: not ordered, or outside.
    """
    if not low <= pair[0] <= pair[1] <= high:
        raise BadRecipe(
            f"$.{name}: {list(pair)}; expected [smallest, largest] inside {low:g} to {high:g}"
        )


def check_losses(name: str, weights: Mapping[str, float]) -> None:
    """Refuse loss weights of unknown names, out of range, or all 0.

    Args:
        name: path of the table, without "$.".
        weights: by name of LOSSES.

    Raises:
        BadRecipe: with the path of the weight.
    """
    for key, weight in weights.items():
        if key not in LOSSES:
            raise BadRecipe(f"$.{name}.{key}: unknown loss; {nearest(key, LOSSES)}")
        check_range(f"{name}.{key}", weight, 0, 1000)
    if not any(weights.values()):
        raise BadRecipe(f"$.{name}: every weight is 0; nothing would be learned")
