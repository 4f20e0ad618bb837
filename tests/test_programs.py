"""The guide for programs: each of its examples runs, and its costs are those that were measured."""

from __future__ import annotations

import asyncio
import json
import queue
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import edgeemo
from edgeemo.compress.data import shipped_speech
from edgeemo.devices import sound_file, video_file
from edgeemo.fusion import Fused

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "guides" / "programs.md").read_text()
VIDEO = ROOT / "tests" / "data" / "video" / "grid_pwij3p.mpg"
RATE = 16_000


@pytest.fixture(scope="module")
def speech() -> NDArray[np.float32]:
    """Some 6 s of speech, and 3 s of silence."""
    clips = [clip.samples() for clip in shipped_speech().clips[:2]]
    return np.concatenate([*clips, np.zeros(3 * RATE, np.float32)])


def names(heading: str) -> dict[str, Any]:
    """What the example under a heading defines."""
    text = PAGE.split(f"\n## {heading}")[1]
    block = re.search(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert block
    space: dict[str, Any] = {}
    exec(block[1], space)
    return space


def test_every_example_is_run_here() -> None:
    assert PAGE.count("```python\n") == 4


def test_the_service_serves_fifty_connections(speech: NDArray[np.float32]) -> None:
    """On loopback, in one process; each gets what a stream of its own gives."""
    client = pytest.importorskip("websockets.asyncio.client")
    server = pytest.importorskip("websockets.asyncio.server")
    listen = names("An asyncio service")["listen"]
    sound = np.round(speech[: 3 * RATE] * 32767).astype(np.int16)
    packets = [packet.tobytes() for packet in np.split(sound, 150)]

    async def one(port: int) -> list[dict[str, float]]:
        address = f"ws://127.0.0.1:{port}"
        async with client.connect(address, compression=None, proxy=None) as socket:
            for packet in packets:
                await socket.send(packet)
            return [json.loads(await socket.recv()) for _ in range(9)]

    async def main() -> list[list[dict[str, float]]]:
        async with server.serve(listen, "127.0.0.1", 0, compression=None) as running:
            port = running.sockets[0].getsockname()[1]
            return await asyncio.gather(*(one(port) for _ in range(50)))

    found = asyncio.run(asyncio.wait_for(main(), 120))
    want = edgeemo.load("wav2small-stream").stream().push(sound)
    assert found == [[{"end": e.end, "arousal": e.arousal} for e in want]] * 50


def test_the_desktop_program_hands_estimates_over(
    speech: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "speech.wav", speech, RATE)
    monkeypatch.setattr(
        edgeemo, "microphone", lambda: sound_file(tmp_path / "speech.wav", fast=True), raising=False
    )
    space = names("A desktop program")
    space["thread"].join()
    found: queue.Queue[Any] = space["found"]
    assert found.qsize() == len(speech) // 4000 - 3


def test_the_robot_joins_two_clocks(speech: NDArray[np.float32]) -> None:
    pytest.importorskip("cv2")
    space = names("A robot")
    stream = edgeemo.load("wav2small-stream").stream()
    follower = edgeemo.Faces(edgeemo.load("mobilenetv1-face")).follower()
    now = 50.0  # the computer's clock
    space["time"] = SimpleNamespace(perf_counter=lambda: now)
    for block in np.split(speech[: 2 * RATE], 40):
        now += 0.05
        space["on_sound"](stream, block)
    results: list[Fused] = []
    with video_file(VIDEO, fast=True) as pictures:
        for seconds, image in pictures:
            now = 52 + seconds
            results.append(space["on_picture"](follower, 100 + seconds, image))
            if len(results) == 3:
                break
    # The camera counted 98 s before the microphone began; on the sound's clock that is now.
    assert [r.end for r in results] == pytest.approx([2.0, 2.04, 2.08], abs=1e-3)
    assert all(r.sides == ("voice", "face") and r.box is not None for r in results)


def test_the_voice_agent_gives_one_estimate_a_turn(speech: NDArray[np.float32]) -> None:
    stream = edgeemo.load("wav2small-stream").stream()
    blocks = np.split(np.resize(speech, len(speech) // 320 * 320), len(speech) // 320)
    turns = list(names("A voice agent")["turns"](stream, [*blocks, *blocks]))
    assert len(turns) == 2 and all(0 <= v <= 1 for turn in turns for v in turn)


def costs() -> str:
    """The table of costs as markdown."""
    results = json.loads((ROOT / "benchmarks" / "results" / "programs.json").read_text())
    lines = [
        "| backend | rate, Hz | gate | streams a core | KB a stream |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += ["| " + " | ".join(str(v) for v in row.values()) + " |" for row in results["rows"]]
    return "\n".join(lines)


def test_the_costs_are_those_that_were_measured() -> None:
    assert costs() in PAGE
    service = json.loads((ROOT / "benchmarks" / "results" / "programs.json").read_text())["service"]
    share = service["processor seconds a second of all streams' sound"]
    assert service["streams"] == 50 and service["ms, 99 percent"] < 25
    words = " ".join(PAGE.split())
    assert f"{share} of one core" in words
    assert f"within {service['ms, 99 percent']} ms" in words
