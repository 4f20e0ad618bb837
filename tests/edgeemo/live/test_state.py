from __future__ import annotations

import numpy as np
import pytest

from edgeemo.fusion import Fused
from edgeemo.live.state import SILENT_DB, TRACE_SECONDS, Block, Picture, State
from edgeemo.types import Emotion


@pytest.mark.parametrize(
    ("samples", "level", "peak"),
    [
        # A sine of full scale has 3.01 dB less in the mean than at its peak.
        (np.sin(np.arange(1600) * 2 * np.pi / 16), -3.01, 0.0),
        (np.full(800, 0.1), -20.0, -20.0),
        (np.zeros(800), SILENT_DB, SILENT_DB),
        (np.zeros(0), SILENT_DB, SILENT_DB),
    ],
)
def test_level(samples: np.ndarray, level: float, peak: float) -> None:
    state = State()
    state.heard(Block(samples.astype(np.float32), 2.0))
    assert (state.level, state.peak) == (
        pytest.approx(level, abs=0.01),
        pytest.approx(peak, abs=1e-3),
    )
    assert state.seconds == 2.0


def test_the_trace_is_a_minute() -> None:
    state = State()
    for number in range(400):
        state.tell(Fused(0.5, 0.5, 0.5, end=number / 4))
    assert state.num_estimates == 400
    assert state.trace[-1].end - state.trace[0].end == TRACE_SECONDS


def test_what_is_ignored_is_told() -> None:
    face = Emotion(0.5, None, 0.5, end=2.0, box=(0, 0, 9, 9))
    image = np.zeros((9, 9, 3), np.uint8)
    state = State(sources={"voice": "mic", "face": "cam"}, overruns=2, muted_seconds=3.0)
    state.tell(Fused(None, None, None, ignored={"voice": "nobody speaks", "face": "1.2 s old"}))
    state.seen(Picture(image, 2.0, (face, face, face)))
    assert state.notes() == [
        "voice: nobody speaks",
        "face: 1.2 s old",
        "2 more in the picture: only the largest face counts",
        "the sound is all zeros: is the microphone muted?",
        "sound was lost 2 times: this machine was too busy",
    ]
    state.seen(Picture(image, 3.0, ()))
    assert state.notes()[1] == "face: none in the picture"
    state.ended["face"] = "camera 0 gives no more pictures"
    assert state.notes()[1] == "face: camera 0 gives no more pictures"
    assert State().notes() == ["voice: no microphone in use", "face: no camera in use"]
