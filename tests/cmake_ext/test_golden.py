"""The C front end against the float64 reference, stage by stage, and the same bits everywhere."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeemo import _native
from edgeemo.features import LOGMEL40, FeatureSpec, log_mel

RunOnClip = Callable[..., Path]  # conftest.py
RunStages = Callable[..., dict[str, NDArray[np.float32]]]  # conftest.py

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
BATCH = sorted((GOLDEN.parents[1] / "cmake_ext" / "batch").glob("*.c"))


def import_reference() -> ModuleType:
    """tests/golden/make.py: the reference in float64."""
    spec = importlib.util.spec_from_file_location("golden_make", GOLDEN / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = import_reference()
SPECS: dict[str, FeatureSpec] = reference.GOLDEN

# The linear stages against the largest value of their frame, the logarithm against max(1, |value|).
LIMITS = {"power": 1e-6, "mel": 1e-6, "logmel": 2e-5}

# sha256 of the float32 features of the golden clip. They are what the C code gave when the stage
# tests below first passed; they change only when somebody means to change the bits, and then
# every model that was trained on the old ones must be looked at.
BITS = {
    "logmel40": "4ade9a78723c9e4bf3cab9e3b14e82e412cc5aa40a538935d2d267ab0537e82f",
    "wav2small": "19b812f6b8b9eb3b219fc5e8ba96e771a5c2781b437effcc6da6fba5b29ded2b",
    "whisper80": "a84b9badaae6a77fad33abfb6543c84dbb7ffd1833f8f231fce2977ee7b13fe1",
    "htk256": "67c39dc21ebc2d425d13c0e542b11a2ffe9a2065239f3b71ff44d12ff087b366",
    "narrow1024": "cfcefbe18c967e928879b240fbd094254f8b004f2592d0b68b1f860ad5dbda88",
}


def worst(got: NDArray[np.float32], want: NDArray[np.float32], stage: str) -> float:
    assert got.shape == want.shape
    scale = np.maximum(1, np.abs(want)) if stage == "logmel" else np.abs(want).max(1, keepdims=True)
    return float(np.max(np.abs(got.astype(np.float64) - want) / scale))


def prepared(clip: NDArray[np.int16], spec: FeatureSpec) -> NDArray[np.float32]:
    """The clip as the C stages take it: float32, normalized where the spec says so."""
    samples = clip.astype(np.float32) / np.float32(32768)
    if spec.prenorm == "utterance":
        assert _native.normalize_utterance(samples.copy(), samples) == 0
    return samples


def load(name: str) -> dict[str, NDArray[np.float32]]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        return dict(file)


@pytest.mark.parametrize("name", SPECS)
def test_golden_file_is_of_the_present_script(name: str) -> None:
    assert load(name)["script"] == hashlib.sha256((GOLDEN / "make.py").read_bytes()).hexdigest()


@pytest.mark.parametrize("name", SPECS)
def test_stages_are_the_reference(name: str, run_stages: RunStages) -> None:
    golden = load(name)
    got = run_stages("x86 -O3", prepared(golden["clip"], SPECS[name]), SPECS[name])
    errors = {stage: worst(got[stage], golden[stage], stage) for stage in LIMITS}
    assert all(errors[stage] <= LIMITS[stage] for stage in LIMITS), errors


@pytest.mark.parametrize("name", SPECS)
def test_log_mel_is_the_reference(name: str) -> None:
    golden = load(name)
    got = log_mel(golden["clip"], SPECS[name])
    assert worst(got, golden["logmel"], "logmel") <= LIMITS["logmel"]


@pytest.mark.parametrize("name", SPECS)
def test_every_target_gives_the_same_bits(name: str, target: str, run_stages: RunStages) -> None:
    clip = load(name)["clip"]
    got = run_stages(target, prepared(clip, SPECS[name]), SPECS[name])
    want = log_mel(clip, SPECS[name])
    different = np.argwhere(got["logmel"].view(np.int32) != want.view(np.int32))
    assert len(different) == 0, f"{len(different)} of {want.size} differ, first {different[0]}"


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("target", ["x86 -O3", "sanitizers"])
def test_four_side_by_side_give_the_same_bits(
    name: str, target: str, run_on_clip: RunOnClip
) -> None:
    """With AVX2, edgeemo_batch() takes eight, and no other test would reach the four."""
    clip = prepared(load(name)["clip"], SPECS[name])
    run_on_clip(target, clip, SPECS[name], Path(__file__).with_name("lanes.c"), *BATCH)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_spec_is_the_reference(data: st.DataObject) -> None:
    """White noise against a floor not far below it, so that no band's value is cancellation.

    One weight a bin gives both triangles over it, one of them as a difference: a band that barely
    touches a bin is off by up to 1.5e-7 of that bin. And an FFT's rounding is that of the whole
    frame: up to 3e-7 of its mean size in each bin, which weighs where noise has a hole.
    """
    fft = data.draw(st.sampled_from([64, 128, 256, 512, 1024]))
    low = data.draw(st.floats(0, 7000))
    words = {name: data.draw(st.sampled_from(list(w))) for name, w in _native.choices().items()}
    spec = FeatureSpec(
        fft=fft,
        window=data.draw(st.integers(16, fft)),
        hop=data.draw(st.integers(100, 900)),
        bands=data.draw(st.integers(1, fft // 4)),
        low_hz=low,
        high_hz=data.draw(st.floats(low + 200, 8000)),
        floor=data.draw(st.floats(0.1, 1)),
        prenorm=data.draw(st.sampled_from(["none", "utterance"])),
        **words,
    )
    clip = np.random.default_rng(1).standard_normal(4000).astype(np.float32)
    want = reference.stages(clip.astype(np.float64), spec)
    bank = reference.filter_bank(spec)
    # A narrow band may touch no bin near its peak: the weight there is that of its triangle.
    plain = reference.filter_bank(replace(spec, area_norm="none"))
    touched = want["power"] @ np.divide(bank, plain, out=np.zeros_like(bank), where=plain > 0).T
    share = touched / np.maximum(want["mel"], spec.floor)
    scale = 1 if spec.log == "natural" else 10 / np.log(10)
    size = np.sqrt(want["power"]) if spec.spectrum == "power" else want["power"]
    slope = 2 * size if spec.spectrum == "power" else np.ones_like(size)
    hole = np.sqrt((size**2).mean(1, keepdims=True)) * (slope @ bank.T)
    limit = LIMITS["logmel"] * np.maximum(1, np.abs(want["logmel"]))
    limit += scale * (1.5e-7 * share + 3e-7 * hole / np.maximum(want["mel"], spec.floor))
    assert (np.abs(log_mel(clip, spec) - want["logmel"]) <= limit).all(), spec


@pytest.mark.parametrize("window", [2, 3, 5, 17, 33, 63, 64])
def test_short_and_odd_windows_are_the_reference(window: int) -> None:
    """In a short window no sample is small enough to be lost unseen."""
    spec = replace(LOGMEL40, fft=64, window=window, hop=7, bands=8, floor=1e-2)
    clip = np.random.default_rng(2).standard_normal(2000).astype(np.float32)
    want = reference.stages(clip.astype(np.float64), spec)["logmel"]
    assert worst(log_mel(clip, spec), want, "logmel") <= LIMITS["logmel"]


@pytest.mark.parametrize("name", SPECS)
def test_bits_are_the_stored_ones(name: str) -> None:
    features = log_mel(load(name)["clip"], SPECS[name]).astype("<f4")
    assert hashlib.sha256(features.tobytes()).hexdigest() == BITS[name]


@pytest.mark.parametrize(
    "mistake",
    [
        {"mel_scale": "htk"},
        {"triangles": "mel"},
        {"area_norm": "none"},
        {"high_hz": 8000.0},
        {"low_hz": 0.0},
        {"spectrum": "magnitude"},
        {"floor_mode": "add", "floor": 1e-2},
        {"symmetric": True},
    ],
    ids=str,
)
def test_limit_notices_the_usual_mistakes(mistake: dict[str, object]) -> None:
    """A reference with the mistake is at least a hundred limits away."""
    symmetric = bool(mistake.get("symmetric"))
    spec = replace(LOGMEL40, **{k: v for k, v in mistake.items() if k != "symmetric"})
    clip = load("logmel40")["clip"]
    wrong = reference.stages(clip / 32768, spec, symmetric=symmetric)["logmel"]
    assert worst(log_mel(clip), wrong, "logmel") > 100 * LIMITS["logmel"]


@pytest.mark.parametrize(
    "spec",
    [
        *[spec for spec in SPECS.values() if spec.triangles == "hz"],
        replace(LOGMEL40, mel_scale="htk"),
        replace(LOGMEL40, area_norm="none"),
    ],
    ids=lambda spec: f"{spec.bands} {spec.mel_scale} {spec.area_norm}",
)
def test_reference_bank_is_librosa(spec: FeatureSpec) -> None:
    """A second witness for the corners and weights; librosa's triangles are straight in Hz."""
    librosa = pytest.importorskip("librosa")
    with np.errstate(all="ignore"):
        theirs = librosa.filters.mel(
            sr=spec.sample_rate,
            n_fft=spec.fft,
            n_mels=spec.bands,
            fmin=spec.low_hz,
            fmax=spec.high_hz,
            htk=spec.mel_scale == "htk",
            dtype=np.float64,
            norm="slaney" if spec.area_norm == "slaney" else None,
        )
    ours = reference.filter_bank(spec)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12 * ours.max())
