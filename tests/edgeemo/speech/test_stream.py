"""Streams: the same estimates as predict, in any blocks; gate, smoothing, abstention, misuse."""

from __future__ import annotations

import math
import threading
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import edgeemo
from edgeemo.audio import read_audio
from edgeemo.errors import BadInput
from edgeemo.features import log_mel
from edgeemo.types import Emotion

Clip = NDArray[np.float32]
RATE = 16000
GOLDEN = Path(__file__).parents[2] / "golden" / "stream-int8.tflite"

FEW = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def sound(speech_files: list[Path]) -> Clip:
    """Some 8 s: two clips of speech, silence between and behind them."""
    quiet = np.zeros(RATE * 2, np.float32)
    first, second = read_audio(speech_files[0]), read_audio(speech_files[1])
    return np.concatenate([first, quiet, second, quiet[: RATE // 3]])


def blocks(sound: Clip, sizes: list[int]) -> list[Clip]:
    """Cut a sound; the sizes are used in turn."""
    found, at = [], 0
    while at < len(sound):
        size = sizes[len(found) % len(sizes)]
        found.append(sound[at : at + size])
        at += size
    return found


def streamed(stream: edgeemo.Stream, parts: list[Clip]) -> list[Emotion]:
    return [e for part in parts for e in stream.push(part)] + stream.flush()


def timed(found: Emotion, like: Emotion) -> Emotion:
    return replace(found, start=like.start, end=like.end, speech=like.speech)


@pytest.mark.parametrize("kind", ["features", "samples"])
@pytest.mark.parametrize("model", ["tiny", "shipped"])
def test_each_estimate_is_that_of_predict(
    artifacts: dict[str, Path], sound: Clip, kind: str, model: str
) -> None:
    if model == "shipped" and kind == "samples":
        session = edgeemo.load("wav2small-stream")
    else:
        session = edgeemo.load(artifacts[kind])
    found = streamed(session.stream(smoothing=None, gate=None), blocks(sound, [1601]))
    assert len(found) == len(sound) // 4000 - 3 + 1  # from 1 s on, and the rest
    ends = [(i + 4) * 0.25 for i in range(len(found) - 1)]
    assert [e.end for e in found] == [*ends, len(sound) / RATE]
    if model == "shipped" and kind == "samples":  # on the engine: two states, half a window apart
        assert all(e.start == 0 or 1.5 <= e.end - e.start <= 3.04 for e in found)
    else:
        assert [e.start for e in found][:-1] == [max(0.0, end - 3) for end in ends]
    for e in found:
        piece = sound[round(e.start * RATE) : round(e.end * RATE)]
        assert timed(session.predict(piece, gate=None), e) == e
    assert len({e.arousal for e in found}) > 10


@given(sizes=st.lists(st.integers(0, 9000), min_size=1, max_size=8).filter(lambda s: sum(s) > 50))
@FEW
def test_any_blocks_give_the_same(artifact: Path, sound: Clip, sizes: list[int]) -> None:
    session = edgeemo.load(artifact)
    want = streamed(session.stream(context_seconds=1.5), [sound])
    got = streamed(session.stream(context_seconds=1.5), blocks(sound, sizes))
    assert got == want
    assert {e.speech for e in got} == {True, False}


@given(
    hop=st.integers(1, 60),
    window=st.integers(1, 300),
    sizes=st.lists(st.integers(1, 5000), min_size=1),
)
@FEW
def test_any_hop_and_window(
    artifact: Path, sound: Clip, hop: int, window: int, sizes: list[int]
) -> None:
    """Those that are refused say what they need."""
    session = edgeemo.load(artifact)
    try:
        stream = session.stream(
            stride_seconds=hop / 100, context_seconds=window / 100, smoothing=None, gate=None
        )
    except BadInput as error:
        assert "needs at least" in str(error)
        return
    found = streamed(stream, blocks(sound[: 3 * RATE], sizes))
    for e in found[:: max(1, len(found) // 10)]:
        assert e.end - e.start <= window / 100 + 1e-9
        piece = sound[round(e.start * RATE) : round(e.end * RATE)]
        assert timed(session.predict(piece, gate=None), e) == e


class Sums:
    """A model with a state: its outputs are a function of all frames since the reset, in order."""

    stride = 1

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.rows: list[NDArray[np.float32]] = []

    def push(self, features: NDArray[np.float32]) -> None:
        self.rows.extend(features)

    def outputs(self) -> dict[str, NDArray[np.float32]]:
        rows = np.array(self.rows)
        first, last = rows[0].mean() / 20 + 1, rows[-1].mean() / 20 + 1
        adv = np.float32([[first, last, len(rows) / 1000]])
        return {"adv": adv, "probs": np.full((1, 8), 0.125, np.float32)}


@given(
    sizes=st.lists(st.integers(1, 30000), min_size=1, max_size=6),
    window=st.sampled_from([1.0, 1.5, 2.0, 3.01]),
    gate=st.sampled_from([None, "energy"]),
)
@FEW
def test_two_states_give_the_window_that_they_claim(
    artifact: Path, sound: Clip, sizes: list[int], window: float, gate: str | None
) -> None:
    session = edgeemo.load(artifact)
    session.backend.step_model = Sums  # type: ignore[method-assign]
    session.backend.streams = True
    stream = session.stream(context_seconds=window, smoothing=None, gate=gate)
    found = [e for e in streamed(stream, blocks(sound, sizes)) if e.speech is not False]
    assert len(found) > 10
    for e in found:
        state = Sums()
        state.push(log_mel(sound[round(e.start * RATE) : round(e.end * RATE)]))
        want = np.clip(state.outputs()["adv"][0], 0, 1)
        assert [e.arousal, e.dominance, e.valence] == [float(v) for v in want]
    ages = [e.end - e.start for e in found if e.start > 0]
    assert min(ages) >= window / 2 and max(ages) <= window + 0.011


@pytest.mark.parametrize("window", [1.0, 3.0])
def test_the_engine_goes_on_frame_by_frame(sound: Clip, window: float) -> None:
    """Its two states give bit for bit what predict gives of the window that they claim."""
    session = edgeemo.load(GOLDEN, "c")
    assert session.backend.streams
    stream = session.stream(context_seconds=window, smoothing=None, gate=None)
    found = streamed(stream, blocks(sound, [1601, 7, 30000]))
    assert len(found) > 10 and len({e.arousal for e in found}) > 10
    for e in found:
        piece = sound[round(e.start * RATE) : round(e.end * RATE)]
        assert timed(session.predict(piece, gate=None), e) == e
    ages = [e.end - e.start for e in found if e.start > 0]
    assert min(ages) < window * 0.8 < max(ages)  # a backend that looks anew has one age


def test_whole_clip_files_say_that_they_do_not_go_on(artifact: Path) -> None:
    for path, backend in ((artifact, "onnx"), (GOLDEN, "tflite")):
        found = edgeemo.load(path, backend).backend
        assert not found.streams
        with pytest.raises(BadInput, match="takes whole clips"):
            found.step_model()


def test_another_rate_is_resampled_as_one_stream(artifact: Path, sound: Clip) -> None:
    import soxr

    session = edgeemo.load(artifact)
    fast = soxr.resample(sound, RATE, 44100).astype(np.float32)
    slow = soxr.resample(fast, 44100, RATE)
    got = streamed(session.stream(44100, smoothing=None, gate=None), blocks(fast, [441, 1000]))
    want = streamed(session.stream(smoothing=None, gate=None), [slow])
    assert got == want


def test_int16_is_the_same_sound(artifact: Path, sound: Clip) -> None:
    session = edgeemo.load(artifact)
    whole = np.round(sound * 32767).astype(np.int16)
    got = streamed(session.stream(), [whole])
    assert got == streamed(session.stream(), [whole.astype(np.float32) / 32768])


def test_reset_and_flush_make_it_new(artifact: Path, sound: Clip) -> None:
    session = edgeemo.load(artifact)
    stream = session.stream()
    want = streamed(stream, [sound])
    assert stream.seconds == 0
    stream.push(sound[::-1][:50000])
    stream.reset()
    assert streamed(stream, [sound]) == want
    assert streamed(stream, [sound]) == want


def test_nobody_speaks_no_emotion(artifact: Path) -> None:
    session = edgeemo.load(artifact)
    noise = np.random.default_rng(1).normal(0, 0.003, 10 * RATE).astype(np.float32)
    found = session.stream().push(noise)
    assert len(found) == 37
    for e in found:
        assert (e.speech, e.arousal, e.dominance, e.valence) == (False, None, None, None)
        assert (dict(e.classes), e.confidence, e.expression) == ({}, 0.0, None)
    assert all(
        e.speech is None and e.arousal is not None for e in session.stream(gate=None).push(noise)
    )


def test_abstention(artifact: Path, sound: Clip) -> None:
    session = edgeemo.load(artifact)
    raw = session.stream(smoothing=None, gate=None).push(sound)
    limit = float(np.median([e.confidence for e in raw]))
    shy = session.stream(smoothing=None, gate=None, abstain=limit).push(sound)
    assert [e.confidence for e in shy] == [e.confidence for e in raw]
    for a, b in zip(shy, raw, strict=True):
        assert (a.arousal is None) == (b.confidence < limit)
        assert (not a.classes) == (b.confidence < limit)
    assert 0 < sum(e.arousal is None for e in shy) < len(shy)


def test_short_sound_gives_one_estimate_at_the_end(artifact: Path, sound: Clip) -> None:
    session = edgeemo.load(artifact)
    stream = session.stream(smoothing=None, gate=None)
    assert stream.push(sound[:9000]) == []
    (found,) = stream.flush()
    assert found == replace(session.predict(sound[:9000], gate=None), end=9000 / RATE)
    stream.push(sound[:7000])  # less than the model's shortest clip
    assert stream.flush() == []


def test_nothing_comes_after_close(artifact: Path, sound: Clip) -> None:
    with edgeemo.load(artifact).stream() as stream:
        assert stream.push(sound)
    for call in (lambda: stream.push(sound), stream.flush, stream.reset):
        with pytest.raises(BadInput, match="closed; make another"):
            call()
    stream.close()
    assert "closed" in repr(stream)


def test_a_second_thread_is_refused(artifact: Path, sound: Clip) -> None:
    """The first one is held inside its push by a gate that waits."""
    inside, go = threading.Event(), threading.Event()

    class Waiting:
        block = 160

        def push(self, samples: Clip) -> NDArray[np.bool_]:
            inside.set()
            assert go.wait(10)
            return np.ones(len(samples) // 160, np.bool_)

        def reset(self) -> None:
            """Nothing is kept."""

    stream = edgeemo.load(artifact).stream(gate=Waiting())
    first = threading.Thread(target=stream.push, args=(sound[:8000],))
    first.start()
    assert inside.wait(10)
    with pytest.raises(BadInput, match="another thread"):
        stream.push(sound)
    go.set()
    first.join()
    assert stream.seconds == 0.5
    assert stream.push(sound[8000:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride_seconds": 0.255}, "multiple of 0.01 s"),
        ({"stride_seconds": 0}, "stride_seconds is 0"),
        ({"stride_seconds": math.nan}, "stride_seconds is nan"),
        ({"context_seconds": 61}, "context_seconds is 61; expected 0 to 60"),
        ({"context_seconds": 0.3}, "needs at least 0.5"),
        ({"gate": "loud"}, "no gate 'loud'; there is: energy, silero"),
        ({"abstain": 1.5}, "abstain is 1.5"),
        ({"rate": 0}, "rate is 0"),
    ],
)
def test_wrong_options_are_named(artifact: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        edgeemo.load(artifact).stream(**options)  # type: ignore[arg-type]


def test_bad_samples_leave_the_stream_as_it_was(artifact: Path, sound: Clip) -> None:
    session = edgeemo.load(artifact)
    want = streamed(session.stream(), [sound])
    stream = session.stream()
    found = stream.push(sound[:30000])
    for bad in (np.float32([0, math.nan]), np.zeros((2, 2), np.float32), np.array(["a"])):
        with pytest.raises(BadInput):
            stream.push(bad)
    assert found + stream.push(sound[30000:]) + stream.flush() == want


def test_an_hour_leaves_memory_flat_and_time_exact(artifact: Path, sound: Clip) -> None:
    """An hour in minutes of sound; what is kept after it is what was kept after two minutes."""
    stream = edgeemo.load(artifact).stream(stride_seconds=3.0)
    minute = np.resize(sound, 60 * RATE)
    tracemalloc.start()
    kept = []
    try:
        for i in range(60):
            found = stream.push(minute)
            assert found[-1].end == 60 * (i + 1) and found[-1].start == 60 * (i + 1) - 3
            kept.append(tracemalloc.get_traced_memory()[0])
            del found
    finally:
        tracemalloc.stop()
    assert kept[-1] - kept[1] < 20_000, kept
