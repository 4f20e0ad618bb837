"""Estimates as Open Sound Control, for programs of music, light and stage.

Source: The Open Sound Control 1.0 Specification, M. Wright, 2002
(https://opensoundcontrol.stanford.edu/spec-1_0.html).
"""

from __future__ import annotations

import re
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from edgeemo.errors import BadInput, printable
from edgeemo.fusion import Fused
from edgeemo.live.state import Item, State
from edgeemo.types import CLASSES, DIMENSIONS

HOST = "127.0.0.1"
"""Where it is sent unless a host is named."""

_AT_ONCE = 1  # the time tag of a bundle that is for now


class Osc(AbstractContextManager["Osc"]):
    """Sends each estimate as one UDP packet; nothing is listened for."""

    def __init__(self, target: str) -> None:
        """Open the socket; a host that is named by a name is looked up.

        Args:
            target: PORT of this machine, or HOST:PORT; an IPv6 address in brackets.

        Raises:
            BadInput: no such form, port or host.
        """
        host, port = _parsed(target)
        self._family, self._address = _resolved(host, port)
        self._name = f"{host}:{port}"
        self._sent = self._failed = 0
        self._reason = ""

    def __enter__(self) -> Osc:
        self._socket = socket.socket(self._family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        print(
            f"edgeemo: estimates go to {printable(self._name)} by OSC; sound and pictures do not",
            file=sys.stderr,
        )
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the socket, and say what could not be sent."""
        self._socket.close()
        if self._failed:
            print(
                f"edgeemo: {self._failed} of {self._sent + self._failed} estimates were not sent "
                f"by OSC ({self._reason})",
                file=sys.stderr,
            )

    def show(self, state: State, item: Item) -> None:
        """Send an estimate.

        Args:
            state: what is known, this item included.
            item: a piece of sound, a picture or an estimate.
        """
        if not isinstance(item, Fused):
            return
        try:
            self._socket.sendto(bundle(item), self._address)
            self._sent += 1
        except OSError as error:  # a network that is gone must not end the listening
            self._failed += 1
            self._reason = error.strerror or str(error)


def bundle(estimate: Fused) -> bytes:
    """An OSC bundle of an estimate's messages; what is absent has none.

    `/edgeemo/time` (seconds), `/edgeemo/speech` (1 or 0), `/edgeemo/arousal`, `/edgeemo/dominance`,
    `/edgeemo/valence`, `/edgeemo/class/NAME` and `/edgeemo/confidence` (0..1),
    `/edgeemo/expression` (the name of a class).
    """
    parts = (_message(f"/edgeemo/{name}", value) for name, value in _values(estimate))
    packed = b"".join(struct.pack(">i", len(part)) + part for part in parts)
    return _text("#bundle") + struct.pack(">Q", _AT_ONCE) + packed


def _values(estimate: Fused) -> Iterator[tuple[str, float | int | str]]:
    yield "time", float(estimate.end)
    if estimate.speech is not None:
        yield "speech", int(estimate.speech)
    for name in DIMENSIONS:
        value = getattr(estimate, name)
        if value is not None:
            yield name, float(value)
    for name in CLASSES:
        if name in estimate.classes:
            yield f"class/{name}", float(estimate.classes[name])
    if estimate.expression is not None:
        yield "expression", estimate.expression
    yield "confidence", float(estimate.confidence)


def _message(address: str, value: float | int | str) -> bytes:
    if isinstance(value, str):
        return _text(address) + _text(",s") + _text(value)
    kind = "i" if isinstance(value, int) else "f"
    return _text(address) + _text(f",{kind}") + struct.pack(f">{kind}", value)


def _text(text: str) -> bytes:
    """Bytes with one to four zeros behind, to a multiple of four."""
    data = text.encode("ascii", "replace")
    return data + b"\0" * (4 - len(data) % 4)


def _parsed(target: str) -> tuple[str, int]:
    found = re.fullmatch(r"(?:(\[[0-9A-Fa-f:.%\w]+\]|[^:\s\[\]]+):)?(\d{1,5})", target, re.ASCII)
    if found is None or not 1 <= int(found[2]) <= 65535:
        raise BadInput(
            f"--osc {printable(target)}: expected PORT or HOST:PORT, the port from 1 to 65535"
        )
    host = (found[1] or HOST).strip("[]")
    # That name is the same everywhere: no look-up is needed.
    return (HOST if host.lower() == "localhost" else host), int(found[2])


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        raise BadInput(
            f"--osc {printable(host)}:{port}: no such host; give its address, or the port alone "
            "for this machine"
        ) from None
    family, _, _, _, address = found[0]
    return family, address
