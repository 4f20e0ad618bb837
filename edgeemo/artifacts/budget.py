"""How much memory and work a model may take; known from its shapes, before a runtime starts.

Values live from the operator that makes them to the last one that reads them. What a runtime
computes once and keeps (weights, and what follows from them) lives all the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from edgeemo.artifacts.card import Card
from edgeemo.errors import BadArtifact

USUAL_SECONDS = 1.0
"""Sound for which a file is judged when it is loaded, unless it needs more for an estimate."""

MOST_BYTES = 128 * 2**20
"""Memory of a model's values for a usual clip; the largest shipped one takes a quarter."""

MOST_WORK = 5 * 10**9
"""Multiply-accumulates for a usual clip; the built-in teacher of faces takes a seventh."""

LONGEST = 64
"""Up to so many times the usual length a file is judged; longer clips are cut before they are
given to a model. Work may grow as much, memory by LONGEST_MEMORY."""

LONGEST_MEMORY = 8

T = TypeVar("T")


class TooMuch(BadArtifact):
    """A model that takes more memory or work than any of edgeemo."""


def usual_length(card: Card) -> int:
    """Frames or samples of a usual clip; of a step its hop, of a picture its rows."""
    if card.task == "face":
        return card.image.size
    if card.hop:
        return card.hop
    spec = card.features
    seconds = max(USUAL_SECONDS, card.window.min_seconds, spec.window / spec.sample_rate)
    samples = math.ceil(seconds * spec.sample_rate)
    return samples if card.input == "samples" else max(spec.frames(samples), 1)


def check_lengths(card: Card, measure: Callable[[int], T]) -> T:
    """Judge a model at its usual length and, where the length is open, at the longest.

    Args:
        card: of its file.
        measure: infers all shapes for a length, and ends in `check_cost`.

    Returns:
        What `measure` gives for the usual length.

    Raises:
        BadArtifact: it cannot run at the usual length, or takes too much at any.
    """
    usual = usual_length(card)
    found = measure(usual)
    factor = LONGEST if None in card.shape and not card.hop else 1
    while factor > 1:
        try:
            measure(factor * usual)
            break
        except TooMuch:
            raise
        except BadArtifact:  # a model may have a longest clip, and refuses what is longer
            factor //= 2
    return found


def check_cost(
    card: Card,
    length: int,
    steps: Sequence[tuple[Sequence[object], Sequence[object]]],
    sizes: Mapping[object, int],
    kept: Collection[object],
    work: int,
) -> None:
    """Refuse a graph that takes too much.

    Args:
        card: of its file.
        length: of the input, as from `usual_length`.
        steps: inputs and outputs of each operator, in the order in which they run.
        sizes: bytes of each value.
        kept: values that live all the time.
        work: multiply-accumulates.

    Raises:
        TooMuch: more memory or work than there may be for an input of that length.
    """
    share = min(max(length / usual_length(card), 1.0), LONGEST)
    peak = _peak_bytes(steps, sizes, set(kept))
    most_bytes, most_work = MOST_BYTES * min(share, LONGEST_MEMORY), MOST_WORK * share
    if peak > most_bytes or work > most_work:
        raise TooMuch(
            f"it would take {peak / 2**20:.0f} MB and {work / 1e6:.0f} M multiply-accumulates "
            f"for {length} rows; {most_bytes / 2**20:.0f} MB and {most_work / 1e6:.0f} M are the "
            "limit"
        )


def _peak_bytes(
    steps: Sequence[tuple[Sequence[object], Sequence[object]]],
    sizes: Mapping[object, int],
    kept: set[object],
) -> int:
    last = {name: at for at, (inputs, _) in enumerate(steps) for name in inputs}
    now = peak = sum(sizes[name] for name in kept if name in sizes)
    for at, (inputs, outputs) in enumerate(steps):
        now += sum(sizes[name] for name in outputs if name not in kept)
        peak = max(peak, now)
        ended = {n for n in (*inputs, *outputs) if n not in kept and last.get(n, at) == at}
        now -= sum(sizes[name] for name in ended if name in sizes)
    return peak
