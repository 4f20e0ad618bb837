"""Estimates as a stream of the Lab Streaming Layer, for recordings beside other signals."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from edgeemo.artifacts.card import Card
from edgeemo.errors import MissingExtra, one_line, require
from edgeemo.fusion import Fused
from edgeemo.live.state import Item, State
from edgeemo.types import CLASSES, DIMENSIONS

NAME = "edgeemo"
"""Of the stream."""

CHANNELS = (*DIMENSIONS, *CLASSES, "confidence", "speech")
"""In their order; NaN where an estimate has no such number. `speech` is 1 or 0."""

# As long as the outlet lives, liblsl listens. This keeps what it sends on this machine, and its
# discovery too; no setting binds the ports for data and time (liblsl 1.18).
CONFIGURATION = (
    "[multicast]\nResolveScope = machine\nListenAddress = 127.0.0.1\n"
    "[ports]\nIPv6 = disable\n[log]\nlevel = -3\n"
)
"""Of liblsl, in its own form."""

LISTENS = (
    "while it runs, liblsl listens on a TCP and a UDP port of all network addresses, and whoever "
    "reaches these can read the estimates"
)
"""What no setting prevents, in words."""


class Lsl(AbstractContextManager["Lsl"]):
    """An outlet while it is entered."""

    def __init__(self, cards: Callable[[], Sequence[Card]]) -> None:
        """Load the library and confine it to this machine, before it does anything.

        Args:
            cards: of the models; asked for when the outlet begins.

        Raises:
            MissingExtra: pylsl is not installed (extra "lsl"), or has no liblsl that works here.
        """
        try:
            self._pylsl: Any = require("pylsl", "lsl")
            self._pylsl.set_config_content(CONFIGURATION)
        except (RuntimeError, OSError) as error:  # NotImplementedError: liblsl before 1.17.7
            raise MissingExtra(
                f"pylsl finds no liblsl of 1.17.7 or later ({one_line(error)}); "
                "install it with: pip install 'edgeemo[lsl]'"
            ) from None
        self._cards = cards
        self._outlet: Any = None

    def __enter__(self) -> Lsl:
        self._outlet = self._pylsl.StreamOutlet(self._info())
        print(f"edgeemo: LSL stream {NAME!r} on this machine; {LISTENS}", file=sys.stderr)
        return self

    def __exit__(self, *exc: object) -> None:
        """Take the stream away."""
        self._outlet = None

    def show(self, state: State, item: Item) -> None:
        """Push an estimate.

        Args:
            state: what is known, this item included.
            item: a piece of sound, a picture or an estimate.
        """
        if isinstance(item, Fused):
            self._outlet.push_sample(sample(item))

    def _info(self) -> Any:
        irregular = self._pylsl.IRREGULAR_RATE
        info = self._pylsl.StreamInfo(NAME, "Emotion", len(CHANNELS), irregular, "float32", NAME)
        described = info.desc().append_child("channels")
        for name in CHANNELS:
            described.append_child("channel").append_child_value("label", name)
        models = info.desc().append_child("models")
        for card in self._cards():
            model = models.append_child("model")
            model.append_child_value("name", card.name)
            model.append_child_value("licence", card.licence)
        return info


def sample(estimate: Fused) -> list[float]:
    """The numbers of CHANNELS."""
    given: list[float | None] = [getattr(estimate, name) for name in DIMENSIONS]
    given += [estimate.classes.get(name) for name in CLASSES]
    given += [estimate.confidence, estimate.speech]
    return [float("nan") if value is None else float(value) for value in given]
