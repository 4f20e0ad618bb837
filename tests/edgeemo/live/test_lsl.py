"""The Lab Streaming Layer as another program receives it, and what it reaches for."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from edgeemo import cli
from edgeemo.artifacts.card import Card
from edgeemo.errors import MissingExtra
from edgeemo.fusion import Fused
from edgeemo.live.lsl import CHANNELS, Lsl
from edgeemo.live.state import State

from .conftest import COMMAND

ESTIMATE = Fused(0.25, None, 1.0, {"anger": 0.75, "fear": 0.25}, 0.5, True, 0.5, 1.5)

# A second program: finds the stream, prints its description and its first three samples. It is
# confined too, so that this test sends nothing to a network.
READER = """
import sys, pylsl
from edgeemo.live.lsl import CONFIGURATION
pylsl.set_config_content(CONFIGURATION)
(found,) = pylsl.resolve_byprop("uid", sys.argv[1], timeout=20)
assert found.name() == "edgeemo"
inlet = pylsl.StreamInlet(found)
inlet.open_stream(20)
print("open", flush=True)
for _ in range(3):
    values, _ = inlet.pull_sample(20)
    print(*values, flush=True)
print(inlet.info(20).as_xml(), flush=True)
"""


def test_another_program_receives_what_was_shown(card: Card) -> None:
    absent = Fused(None, None, None, speech=None)
    with Lsl(lambda: (card,)) as view:
        uid = view._outlet.get_info().uid()  # another stream of that name may run here
        command = [sys.executable, "-c", READER, uid]
        reader = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert reader.stdout is not None and reader.stdout.readline() == "open\n"
        for estimate in (ESTIMATE, absent, ESTIMATE):
            view.show(State(), estimate)
        out, _ = reader.communicate(timeout=60)
    first, second, third, xml = out.split("\n", 3)
    read = dict(zip(CHANNELS, map(float, first.split()), strict=True))
    assert {name: value for name, value in read.items() if not math.isnan(value)} == {
        **{"arousal": 0.25, "valence": 1.0, "anger": 0.75, "fear": 0.25},
        **{"confidence": 0.5, "speech": 1.0},
    }
    assert np.isnan([float(v) for v in second.split()]).sum() == len(CHANNELS) - 1
    assert third == first
    info = ElementTree.fromstring(xml)
    assert [e.text for e in info.iter("label")] == [*CHANNELS]
    assert [e.text for e in info.iter("licence")] == ["CC0-1.0"]


def addresses(lines: list[str], calls: str) -> set[str]:
    """Internet addresses that some system calls name."""
    named = [line for line in lines if re.search(rf"\b({calls})\(", line)]
    pattern = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
    return {a or b for line in named for a, b in pattern.findall(line)}


def test_nothing_is_sent_beyond_this_machine(clip: Path, tmp_path: Path) -> None:
    """Also what docs/security.md says of the ports that no setting binds."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed; .ci/run installs it")
    log = tmp_path / "trace.txt"
    watch = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", str(log), "-e", "trace=network"]
    command = [*watch, *COMMAND, "--wav", str(clip), "--fast", "--json", "--lsl"]
    subprocess.run(command, check=True, capture_output=True)
    lines = log.read_text().splitlines()
    assert addresses(lines, "sendto|sendmsg|connect") <= {"127.0.0.1"}
    # Who joins a group announces that to the network.
    assert not any("MEMBERSHIP" in line for line in lines)
    assert addresses(lines, "bind") == {"0.0.0.0", "127.0.0.1"}
    assert not any(
        "AF_NETLINK" in line and "sendto" in line and "AF_INET" in line for line in lines
    )


def test_help_says_what_listens(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["live", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "liblsl listens on a TCP and a UDP port of all network addresses" in text


def test_without_pylsl_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pylsl", None)
    with pytest.raises(MissingExtra, match=r"pip install 'edgeemo\[lsl\]'"):
        Lsl(lambda: ())
