"""Open Sound Control as another program receives it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import BlockingOSCUDPServer

from edgeemo import cli
from edgeemo.errors import BadInput
from edgeemo.fusion import Fused
from edgeemo.live.osc import Osc, bundle
from edgeemo.live.state import State
from edgeemo.types import CLASSES, DIMENSIONS

Capture = pytest.CaptureFixture[str]
Messages = list[tuple[str, tuple[Any, ...]]]

ESTIMATE = Fused(0.25, None, 1.0, {"anger": 0.75, "fear": 0.25}, 0.5, True, 0.5, 1.5)


@contextmanager
def receiver(family: socket.AddressFamily = socket.AF_INET) -> Iterator[tuple[int, Messages]]:
    """The port of a server on this machine, and what it has received when this is left."""
    messages: Messages = []
    dispatcher = Dispatcher()
    dispatcher.set_default_handler(lambda address, *values: messages.append((address, values)))

    class Server(BlockingOSCUDPServer):
        address_family = family

    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    with Server((host, 0), dispatcher) as server:
        yield server.server_address[1], messages
        # On one machine a packet lies in the receiver's socket when `sendto` returns.
        while waits(server.socket):
            server.handle_request()


def waits(listening: socket.socket) -> bool:
    """Whether a packet waits in a socket."""
    listening.setblocking(False)
    try:
        return bool(listening.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


def test_another_program_receives_what_json_says(clip: Path, capsys: Capture) -> None:
    with receiver() as (port, messages):
        command = ["live", "--fast", "--json", "--wav", str(clip), "--osc", str(port)]
        assert cli.main(command) == 0
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert f"estimates go to 127.0.0.1:{port} by OSC" in err
    by_address: dict[str, list[Any]] = {}
    for address, (value,) in messages:
        by_address.setdefault(address.removeprefix("/edgeemo/"), []).append(value)
    assert len(rows) > 5
    assert by_address["time"] == pytest.approx([row["end"] for row in rows], abs=1e-4)
    assert by_address["speech"] == [1] * len(rows)
    for name in (*DIMENSIONS, "confidence"):
        assert by_address[name] == pytest.approx([row[name] for row in rows], abs=1e-4)
    for name in CLASSES:
        expected = [row["classes"][name] for row in rows]
        assert by_address[f"class/{name}"] == pytest.approx(expected, abs=1e-4)
    assert len(by_address["expression"]) == len(rows)


def test_what_is_absent_has_no_message() -> None:
    with receiver() as (port, messages), Osc(f"localhost:{port}") as view:
        view.show(State(), ESTIMATE)
        view.show(State(), Fused(None, None, None, speech=False, end=2.0))
    assert messages == [
        ("/edgeemo/time", (1.5,)),
        ("/edgeemo/speech", (1,)),
        ("/edgeemo/arousal", (0.25,)),
        ("/edgeemo/valence", (1.0,)),
        ("/edgeemo/class/anger", (0.75,)),
        ("/edgeemo/class/fear", (0.25,)),
        ("/edgeemo/confidence", (0.5,)),
        ("/edgeemo/time", (2.0,)),
        ("/edgeemo/speech", (0,)),
        ("/edgeemo/confidence", (0.0,)),
    ]


def test_ipv6() -> None:
    try:
        with receiver(socket.AF_INET6) as (port, messages), Osc(f"[::1]:{port}") as view:
            view.show(State(), ESTIMATE)
    except OSError as error:
        pytest.skip(f"hardware: no IPv6 on this machine ({error})")
    assert ("/edgeemo/arousal", (0.25,)) in messages


def test_the_bytes_are_those_of_the_specification() -> None:
    """Its example of a bundle's head, and sizes in multiples of four."""
    data = bundle(ESTIMATE)
    assert data[:16] == b"#bundle\0" + bytes(7) + b"\x01"
    assert data[16:20] == np.array(24, ">i4").tobytes()
    assert data[20:44] == b"/edgeemo/time\0\0\0,f\0\0" + np.array(1.5, ">f4").tobytes()
    assert len(data) % 4 == 0


@pytest.mark.parametrize(
    "target",
    [
        "",
        "a",
        "0",
        "65536",
        "99999",
        ":9000",
        "host:",
        "a b:9000",
        "::1:9000",
        "９０００",
        "-1",
        "1.5",
    ],
)
def test_what_is_no_port_is_refused(target: str) -> None:
    with pytest.raises(BadInput, match=r"expected PORT or HOST:PORT, the port from 1 to 65535$"):
        Osc(target)


def test_a_host_that_is_not_known() -> None:
    """A name that is too long to be asked for."""
    with pytest.raises(BadInput, match=r"aaa:9000: no such host; give its address"):
        Osc(f"{64 * 'a'}:9000")


def test_this_machine_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    real = socket.getaddrinfo

    def ask(host: str, *more: Any, **options: Any) -> Any:
        asked.append(host)
        return real(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    Osc("9000"), Osc("localhost:9000"), Osc("LocalHost:9000")
    assert asked == ["127.0.0.1"] * 3


def test_a_packet_that_cannot_go_is_told_and_ends_nothing(capsys: Capture) -> None:
    """A packet to everybody needs a right that the socket does not have."""
    with Osc("255.255.255.255:9000") as view:
        view.show(State(), ESTIMATE)
    assert "1 of 1 estimates were not sent by OSC" in capsys.readouterr().err
