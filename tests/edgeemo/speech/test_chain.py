"""The chain in C and the chain in Python: the same estimates of the same sound, every number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgeemo
from edgeemo.audio import read_audio
from edgeemo.speech.chain import EngineChain, Plan, PythonChain, open_chain
from edgeemo.speech.profile import SpeakerProfile
from edgeemo.speech.smoothing import SMOOTHING, Smoothing

RATE = 16_000
Clip = NDArray[np.float32]


@pytest.fixture(scope="module")
def sound(speech_files: list[Path]) -> Clip:
    """Speech, soft noise of uneven length, speech, digital silence."""
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 0.002, 4 * RATE + 77).astype(np.float32)
    first, second = read_audio(speech_files[0]), read_audio(speech_files[1])
    return np.concatenate([first, noise, second, np.zeros(RATE, np.float32), first])


@pytest.fixture(scope="module")
def session() -> edgeemo.Session:
    return edgeemo.load("wav2small-stream", "c")


def plan(seconds: float = 3.0, stride: float = 0.25, **options: Any) -> Plan:
    known = {"gate": "energy", "smoothing": SMOOTHING, "abstain": 0.0, "profile": None}
    return Plan(round(seconds * RATE), round(stride * RATE), **known | options)


@pytest.mark.parametrize(
    "wanted",
    [
        plan(),
        plan(gate=None, smoothing=None),
        plan(1.0, 0.1, smoothing=Smoothing(0.3, 0.0, 0.5)),
        plan(10.0, 3.0, abstain=0.45),
    ],
    ids=["default", "raw", "short", "shy"],
)
def test_both_chains_give_the_same(session: edgeemo.Session, sound: Clip, wanted: Plan) -> None:
    """Through blocks of random sizes, gaps, and a reset."""
    in_c, in_python = open_chain(session, wanted), PythonChain(session, wanted)
    assert isinstance(in_c, EngineChain)
    least = -(-min(RATE, wanted.window) // wanted.stride) * wanted.stride
    rng = np.random.default_rng(5)
    for _ in range(2):
        seen, count, next_end = 0, 0, least
        silent = 0
        while seen < len(sound):
            n = int(min(rng.integers(1, 3000), next_end - seen, len(sound) - seen))
            lost = bool(rng.random() < 0.1)
            part = np.zeros(n, np.float32) if lost else sound[seen : seen + n]
            in_c.push(part, lost)
            in_python.push(part, lost)
            seen += n
            if seen == next_end:
                a, b = in_c.estimate(False), in_python.estimate(False)
                assert a == b, f"at {seen / RATE} s"
                silent += a.arousal is None
                count, next_end = count + 1, next_end + wanted.stride
        assert in_c.estimate(True) == in_python.estimate(True)
        assert count > 2 and (silent > 0 or wanted.gate is None)
        in_c.reset()
        in_python.reset()


def test_what_c_does_not_know_goes_through_python(session: edgeemo.Session) -> None:
    """A fitted head, a gate of one's own, another backend."""
    rows = ((0.0,) * 11,) * 3
    head = SpeakerProfile(1, "labelled", 0.0, "", "", (0.0,) * 3, rows, 30.0, 20)
    calm = SpeakerProfile(1, "calm", 3.0, "", "", (), (), 30.0, 20)
    assert isinstance(open_chain(session, plan(profile=calm)), EngineChain)
    assert isinstance(open_chain(session, plan(profile=head)), PythonChain)

    class Always:
        block = 160

        def push(self, samples: Clip) -> NDArray[np.bool_]:
            return np.ones(len(samples) // 160, np.bool_)

        def reset(self) -> None:
            """Nothing is kept."""

    assert isinstance(open_chain(session, plan(gate=Always())), PythonChain)
    onnx = edgeemo.load("wav2small-stream", "onnx")
    assert isinstance(open_chain(onnx, plan()), PythonChain)
