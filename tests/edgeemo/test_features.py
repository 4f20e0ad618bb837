"""FeatureSpec, log_mel and LogMel: what is refused and how, and the invariants of the stream."""

from __future__ import annotations

import math
import sys
import threading
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeemo import _native
from edgeemo.errors import BadInput
from edgeemo.features import LOGMEL40, SPECS, WAV2SMALL, FeatureSpec, LogMel, log_mel
from edgeemo.io import schema

QUICK = settings(max_examples=60, deadline=None)


@st.composite
def specs(draw: st.DrawFn) -> FeatureSpec:
    """Any spec that can be used, save for its prenorm."""
    fft = draw(st.sampled_from([64, 128, 256, 512, 1024]))
    rate = draw(st.sampled_from([8000, 16000, 22050, 44100]))
    low = draw(st.floats(0, rate / 2 - 1))
    choices = {name: draw(st.sampled_from(words)) for name, words in _native.choices().items()}
    return FeatureSpec(
        sample_rate=rate,
        fft=fft,
        window=draw(st.integers(2, fft)),
        hop=draw(st.integers(1, 2 * fft)),
        bands=draw(st.integers(1, fft // 2)),
        low_hz=low,
        high_hz=draw(st.floats(low + 1, rate / 2)),
        floor=draw(st.floats(1e-30, 1)),
        **choices,
    )


def noise(n: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1, 1, n).astype(np.float32)


def same_bits(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()


# ---- the stream ----


@QUICK
@given(specs(), st.lists(st.integers(0, 700), max_size=12), st.booleans())
@example(replace(LOGMEL40, hop=900), [0, 399, 1, 500, 400, 3], False)
def test_any_cut_gives_the_same_frames(spec: FeatureSpec, sizes: list[int], shorts: bool) -> None:
    clip = noise(sum(sizes))
    if shorts:
        clip = (clip * 32767).astype(np.int16)
    stream, at, frames = LogMel(spec), 0, [np.empty((0, spec.bands), np.float32)]
    for size in sizes:
        frames.append(stream.push(clip[at : at + size]))
        at += size
    frames.append(stream.flush())
    whole = log_mel(clip, spec)
    assert len(whole) == spec.frames(len(clip))
    assert same_bits(np.concatenate(frames), whole)


@QUICK
@given(specs(), st.integers(0, 3000), st.sampled_from(["reset", "flush"]))
def test_reset_is_as_new(spec: FeatureSpec, before: int, how: str) -> None:
    stream, clip = LogMel(spec), noise(2500)
    stream.push(noise(before, seed=1))
    getattr(stream, how)()
    assert same_bits(stream.push(clip), log_mel(clip, spec))


@QUICK
@given(specs(), st.integers(0, 2**32 - 1))
def test_frames_depend_only_on_their_own_samples(spec: FeatureSpec, seed: int) -> None:
    """Frame k of a clip is frame 0 of the clip from k*hop on."""
    clip = noise(spec.window + 5 * spec.hop, seed)
    k = seed % 6
    assert same_bits(log_mel(clip, spec)[k : k + 1], log_mel(clip[k * spec.hop :], spec)[:1])


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_int16_is_float_over_32768(spec: FeatureSpec) -> None:
    shorts = np.concatenate(
        [np.array([-32768, 32767], np.int16), (noise(5000) * 3e4).astype("<i2")]
    )
    floats = shorts.astype(np.float32) / np.float32(32768)
    assert same_bits(log_mel(shorts, spec), log_mel(floats, spec))


def test_nothing_grows_in_a_stream() -> None:
    """The size of the C state is known from the start and stays."""
    stream = _native.Frontend(LOGMEL40)
    before, out = sys.getsizeof(stream), np.empty((100, 40), np.float32)
    for _ in range(100):
        stream.push(noise(1600), out)
    assert sys.getsizeof(stream) == before < 20_000


# ---- values ----


@QUICK
@given(specs())
def test_features_are_finite_and_above_the_floor(spec: FeatureSpec) -> None:
    clip = np.concatenate([np.zeros(1024, np.float32), noise(1024), np.full(1024, 1e6, np.float32)])
    features = log_mel(clip, spec)
    floor = math.log(spec.floor) if spec.log == "natural" else 10 * math.log10(spec.floor)
    assert np.isfinite(features).all()
    assert (features >= floor - 1e-5 * max(1, abs(floor))).all()


def test_silence_is_the_floor() -> None:
    assert np.allclose(log_mel(np.zeros(400, np.float32)), math.log(1e-6), rtol=1e-7)
    assert np.allclose(log_mel(np.zeros(64, np.int16), WAV2SMALL), -100, rtol=1e-7)


def test_a_tone_is_loudest_in_its_band() -> None:
    t = np.arange(16000) / 16000
    tone = np.sin(2 * np.pi * 1000 * t).astype(np.float32)
    # 40 bands of 60-7600 Hz have corners every 1.05 mel from 0.9; 1000 Hz is mel 15, corner 13.4.
    assert set(log_mel(tone).argmax(1).tolist()) == {12}


def test_prenorm_makes_level_and_offset_irrelevant() -> None:
    clip = noise(4000)
    want = log_mel(clip, WAV2SMALL)
    got = log_mel(clip * np.float32(0.25) + np.float32(0.5), WAV2SMALL)
    assert np.abs(got - want)[:, 1:].max() < 0.02  # dB; 1e-7 beside the variance leaves this much


def test_prenorm_of_silence_and_of_nothing() -> None:
    assert log_mel(np.full(64, 0.5, np.float32), WAV2SMALL).shape == (1, 26)
    assert log_mel(np.zeros(0, np.float32), WAV2SMALL).shape == (0, 26)


@pytest.mark.parametrize("n", [0, 1, 399, 400, 559, 560, 16000])
def test_number_of_frames_and_seconds(n: int) -> None:
    frames = len(log_mel(np.zeros(n, np.float32)))
    assert frames == LOGMEL40.frames(n) == max(0, 1 + (n - 400) // 160)
    assert LOGMEL40.seconds(frames) == (0 if frames == 0 else (240 + 160 * frames) / 16000)


def test_views_and_byte_orders_are_taken() -> None:
    clip = noise(4000)
    assert same_bits(log_mel(clip[::2]), log_mel(clip[::2].copy()))
    assert same_bits(log_mel(clip.astype(">f4")), log_mel(clip))
    frozen = clip.copy()
    frozen.flags.writeable = False
    assert same_bits(log_mel(frozen), log_mel(clip))


# ---- what is refused ----


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fft": 500}, "fft is 500"),
        ({"fft": 32, "window": 20}, "fft is 32"),
        ({"fft": 2048}, "fft is 2048"),
        ({"fft": 2**40}, "fft is 1099511627776"),
        ({"window": 513}, "window is 513 samples; expected 2 to 512"),
        ({"window": 1}, "window is 1"),
        ({"hop": 0}, "hop is 0"),
        ({"hop": 1.5}, "hop is 1.5; expected an integer"),
        ({"hop": True}, "hop is True"),
        ({"bands": 0}, "bands is 0"),
        ({"bands": 257}, "bands is 257; expected 1 to 256"),
        ({"sample_rate": 999}, "sample_rate is 999"),
        ({"high_hz": 8000.5}, "high_hz is 8000.5; .* <= 8000 Hz"),
        ({"low_hz": -1.0}, "low_hz is -1"),
        ({"low_hz": 7600.0}, "low_hz is 7600 and high_hz is 7600"),
        ({"low_hz": math.nan}, "low_hz is nan"),
        ({"high_hz": math.inf}, "high_hz is inf"),
        ({"floor": 0.0}, "floor is 0"),
        ({"floor": math.nan}, "floor is nan"),
        ({"floor": "x"}, "floor is 'x'; expected a number"),
        ({"log": "log10"}, "log is 'log10'; expected one of 'natural', 'db'"),
        ({"window_shape": None}, "window_shape is None; expected one of 'hann'"),
        ({"prenorm": "clip"}, "prenorm is 'clip'"),
    ],
    ids=str,
)
def test_bad_specs_name_the_value(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        replace(LOGMEL40, **change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros((2, 800), np.float32), r"shape \[2, 800\]; expected one axis"),
        (np.float32(1), r"shape \[\]"),
        (np.zeros(800), "samples are float64"),
        (np.zeros(800, np.uint8), "samples are uint8"),
        (["a"], "samples are <U1"),
        (np.array([0, 0, np.nan] * 200, np.float32), "sample 2 is nan"),
        (np.array([0] * 700 + [-np.inf], np.float32), "sample 700 is -inf"),
        (np.array([2e6], np.float32), "sample 0 is 2e.06"),
    ],
    ids=["stereo", "scalar", "float64", "uint8", "text", "nan", "inf", "huge"],
)
@pytest.mark.parametrize("spec", [LOGMEL40, WAV2SMALL], ids=["logmel40", "wav2small"])
def test_bad_samples_are_named(samples: Any, words: str, spec: FeatureSpec) -> None:
    with pytest.raises(BadInput, match=words):
        log_mel(samples, spec)


def test_wrong_rate_is_refused() -> None:
    with pytest.raises(BadInput, match="rate is 44100 Hz; expected 16000 Hz"):
        log_mel(np.zeros(800, np.float32), rate=44100)
    with pytest.raises(BadInput, match="rate is 8000"):
        LogMel().push(np.zeros(800, np.float32), rate=8000)
    assert log_mel(np.zeros(800, np.float32), rate=16000).shape == (3, 40)


def test_a_refused_block_leaves_the_stream_as_it_was() -> None:
    clip, stream = noise(2000), LogMel()
    first = stream.push(clip[:700])
    with pytest.raises(BadInput, match="sample 1 is nan"):
        stream.push(np.array([0, np.nan, 0], np.float32).repeat([1, 1, 3000]))
    assert same_bits(np.concatenate([first, stream.push(clip[700:])]), log_mel(clip))


def test_a_stream_cannot_normalize_the_utterance() -> None:
    with pytest.raises(BadInput, match="prenorm is 'utterance'"):
        LogMel(WAV2SMALL)


# ---- facts that stand in two places ----


def test_words_of_the_spec_are_those_of_the_header() -> None:
    hints = get_type_hints(FeatureSpec)
    for name, words in _native.choices().items():
        assert get_args(hints[name]) == words


def test_specs_go_through_json() -> None:
    for spec in SPECS.values():
        assert schema.read(FeatureSpec, schema.write(spec), BadInput) == spec
        assert set(schema.write(spec)) == {f.name for f in fields(FeatureSpec)}


def test_a_whole_number_of_hertz_is_the_same_spec() -> None:
    spec = replace(LOGMEL40, low_hz=60)
    assert spec == LOGMEL40 and schema.write(spec) == schema.write(LOGMEL40)
    assert repr(spec) == repr(LOGMEL40)


# ---- the native module by itself: wrong use is an error, never a crash ----


def test_native_refuses_what_is_no_buffer_of_samples() -> None:
    stream, out = _native.Frontend(LOGMEL40), np.empty((3, 40), np.float32)
    for samples in (np.zeros(800), b"x" * 800, "x", None):
        with pytest.raises((TypeError, BufferError)):
            stream.push(samples, out)  # type: ignore[arg-type]
    with pytest.raises((TypeError, BufferError, ValueError)):
        stream.push(np.zeros(1600, np.float32)[::2], out)
    out.flags.writeable = False
    with pytest.raises((TypeError, BufferError, ValueError)):
        stream.push(np.zeros(800, np.float32), out)
    with pytest.raises(AttributeError, match="sample_rate"):
        _native.Frontend(None)


@pytest.mark.parametrize("name", _native.choices())
def test_native_refuses_an_unknown_word(name: str) -> None:
    values = schema.write(LOGMEL40)
    assert _native.check_spec(SimpleNamespace(**values)) == "EDGEEMO_OK"
    assert _native.check_spec(SimpleNamespace(**values | {name: "x"})) == "EDGEEMO_ERR_CHOICE"
    with pytest.raises(ValueError, match="not one of its values"):
        _native.Frontend(SimpleNamespace(**values | {name: "x"}))


def test_native_refuses_too_little_room() -> None:
    stream = _native.Frontend(LOGMEL40)
    assert stream.push(np.zeros(800, np.float32), np.empty((2, 40), np.float32)) < 0
    assert stream.push(np.zeros(800, np.float32), np.empty((3, 40), np.float32)) == 3
    for rows, frames in ((2, -1), (4, -1), (3, 3)):
        assert stream.whole(np.zeros(800, np.float32), np.empty((rows, 40), np.float32)) == frames


def test_two_threads_cannot_share_a_stream_but_may_have_one_each() -> None:
    clip = noise(1_600_000)
    want = log_mel(clip)
    shared, refused, results = LogMel(), [], []
    start = threading.Barrier(3)

    def share() -> None:
        start.wait()
        try:
            for _ in range(5):
                shared.push(clip)
        except BadInput as error:
            refused.append(str(error))

    def own() -> None:
        results.append(log_mel(clip))

    for job in (share, own):
        threads = [threading.Thread(target=job) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert refused and all("another thread" in text for text in refused)
    assert len(results) == 3 and all(same_bits(result, want) for result in results)
