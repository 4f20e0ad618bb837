"""Fusion of voice and face: weights, missing sides, times."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edgeemo.errors import BadInput
from edgeemo.fusion import EXPONENTS, STALE_SECONDS, VOICE_SHARE, Clock, Fused, Fusion
from edgeemo.types import DIMENSIONS, Emotion

RESULT = Path(__file__).parents[2] / "benchmarks" / "results" / "fusion.json"

VOICE = Emotion(
    0.8,
    0.7,
    0.3,
    {"neutral": 0.1, "anger": 0.7, "happiness": 0.2},
    0.7,
    True,
    7.0,
    10.0,
    expression="anger",
)
FACE = Emotion(
    0.6,
    None,
    0.8,
    {"neutral": 0.2, "anger": 0.1, "happiness": 0.7},
    0.7,
    None,
    10.0,
    10.0,
    (10, 20, 110, 140),
    "happiness",
)


def fused(voice: Emotion | None, face: Emotion | None, at: float = 10.0) -> Fused:
    fusion = Fusion()
    if voice is not None:
        fusion.voice(voice)
    if face is not None:
        fusion.face(face)
    return fusion.estimate(at)


def test_the_weights_are_those_that_were_fitted() -> None:
    result = json.loads(RESULT.read_text())
    assert dict(EXPONENTS) == result["exponents"]
    assert dict(VOICE_SHARE) == result["voice_share"]
    means = {name: figure["mean"] for name, figure in result["nats_a_vote"].items()}
    assert min(means, key=means.__getitem__) == "fitted"


def test_both_sides_by_hand() -> None:
    found = fused(VOICE, FACE)
    assert found.sides == ("voice", "face") and found.ignored == {}
    assert found.valence == pytest.approx(0.199 * 0.3 + 0.801 * 0.8)
    assert found.arousal == pytest.approx(0.294 * 0.8 + 0.706 * 0.6)
    assert found.dominance == 0.7  # only the voice has it
    # By hand: (p + .05) ** exponent of each side, normalized.
    products = {
        "neutral": 0.15**0.496 * 0.25**0.969,
        "happiness": 0.25**0.496 * 0.75**0.969,
        "anger": 0.75**0.496 * 0.15**0.969,
    }
    expected = {name: p / sum(products.values()) for name, p in products.items()}
    assert found.classes == pytest.approx(expected)
    assert list(found.classes) == list(expected)  # in the order of CLASSES
    assert found.expression == "happiness"
    assert found.confidence == max(found.classes.values())
    assert (found.start, found.end, found.speech, found.box) == (7.0, 10.0, True, FACE.box)


@pytest.mark.parametrize("side", ["voice", "face"])
def test_one_side_alone_is_unchanged(side: str) -> None:
    only = VOICE if side == "voice" else FACE
    found = fused(VOICE if side == "voice" else None, FACE if side == "face" else None)
    same = (
        "arousal",
        "dominance",
        "valence",
        "classes",
        "confidence",
        "expression",
        "start",
        "speech",
        "box",
    )
    assert {n: getattr(found, n) for n in same} == {n: getattr(only, n) for n in same}
    assert found.sides == (side,)
    assert found.ignored == {"face" if side == "voice" else "voice": "nothing yet"}


def test_no_side_is_no_number() -> None:
    found = fused(None, None)
    assert all(getattr(found, name) is None for name in DIMENSIONS)
    assert (found.classes, found.confidence, found.sides, found.speech) == ({}, 0.0, (), None)


def test_a_side_fades_and_is_then_dropped() -> None:
    fusion = Fusion()
    fusion.face(FACE)
    valences = []
    for at in (10.0, 10.25, 10.5, 10.75, 10.0 + STALE_SECONDS, 12.0):
        fusion.voice(replace(VOICE, end=at))
        found = fusion.estimate(at)
        valences.append(found.valence)
        assert ("face" in found.sides) == (at < 10 + STALE_SECONDS)
    # From the face's .8 to the voice's .3, a step each time.
    assert all(later < before for before, later in pairwise(valences[:5]))
    assert valences[-1] == 0.3
    assert found.ignored == {"face": "2.0 s old"}


def test_the_future_is_not_used() -> None:
    fusion = Fusion()
    fusion.face(replace(FACE, end=9.9))
    fusion.face(replace(FACE, end=10.3, valence=0.0))
    fusion.voice(VOICE)
    assert fusion.estimate(10.0).box == FACE.box
    assert fusion.estimate(10.0).valence > 0.5
    assert fusion.estimate(10.3).valence < 0.2


def test_silence_is_not_an_estimate() -> None:
    fusion = Fusion()
    fusion.voice(VOICE)
    fusion.voice(Emotion(None, None, None, speech=False, start=7.25, end=10.25))
    fusion.face(replace(FACE, end=10.2))
    found = fusion.estimate(10.25)
    assert found.sides == ("face",) and found.valence == FACE.valence
    assert found.ignored == {"voice": "nobody speaks"} and found.speech is False


def test_an_abstaining_side_is_told() -> None:
    unsure = Emotion(None, None, None, confidence=0.2, speech=True, start=7.0, end=10.0)
    assert fused(unsure, FACE).ignored == {"voice": "not sure enough"}


def test_a_voice_of_long_ago_does_not_say_that_somebody_speaks() -> None:
    assert fused(VOICE, replace(FACE, end=12.0), at=12.0).speech is None


def test_confidence_shifts_the_weight() -> None:
    sure = fused(VOICE, FACE).valence
    doubtful = fused(VOICE, replace(FACE, confidence=0.1))
    assert doubtful.valence < sure - 0.1
    assert doubtful.expression == "anger"


def test_a_model_without_classes_counts() -> None:
    plain = replace(VOICE, classes={}, confidence=0.0, expression=None)
    found = fused(plain, FACE)
    assert FACE.valence > found.valence > VOICE.valence
    assert found.classes == FACE.classes and found.sides == ("voice", "face")
    both = fused(plain, replace(FACE, classes={}, confidence=0.0, expression=None))
    assert both.valence == pytest.approx(0.199 * 0.3 + 0.801 * 0.8)


def test_certainty_of_one_side_does_not_veto() -> None:
    angry = replace(VOICE, classes={"anger": 1.0, "happiness": 0.0}, confidence=1.0)
    happy = replace(FACE, classes={"anger": 0.0, "happiness": 1.0}, confidence=1.0)
    found = fused(angry, happy)
    assert sum(found.classes.values()) == pytest.approx(1)
    assert 0.05 < found.classes["anger"] < found.classes["happiness"] < 0.95


def test_time_goes_forward() -> None:
    fusion = Fusion()
    fusion.voice(VOICE)
    with pytest.raises(BadInput, match=r"voice: the estimate ends at 9 s, the last one at 10 s"):
        fusion.voice(replace(VOICE, end=9.0))
    fusion.reset()
    fusion.voice(replace(VOICE, end=9.0))
    assert fusion.estimate(9.0).sides == ("voice",)


@pytest.mark.parametrize("at", [math.nan, math.inf, "1", None])
def test_a_time_that_is_none_is_refused(at: float) -> None:
    with pytest.raises(BadInput, match=r"at_seconds is .*; expected "):
        Fusion().estimate(at)


def test_a_clock_follows_a_device_slowly() -> None:
    """A camera that counts 0.1 % too fast, with pictures that come up to 20 ms late."""
    clock, sound, rng = Clock(), Clock(), np.random.default_rng(0)
    assert clock.to(sound, 3.0) == 3.0  # nothing is known yet
    for i in range(3000):
        now = 100 + i / 25
        clock.observe((now - 98) * 1.001, now + rng.uniform(0, 0.02))
        sound.observe(now - 100, now)
    now = 100 + 2999 / 25
    assert clock.to(sound, (now - 98) * 1.001) == pytest.approx(now - 100, abs=0.03)


def test_sides_may_come_from_threads_of_their_own() -> None:
    fusion, wrong = Fusion(), []

    def take(side: str) -> None:
        try:
            for i in range(2000):
                getattr(fusion, side)(Emotion(0.5, 0.5, 0.5, end=i / 100))
                fusion.estimate(i / 100)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=take, args=(side,)) for side in ("voice", "face")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert fusion.estimate(19.99).sides == ("voice", "face")
    with pytest.raises(BadInput, match=r"reset\(stream.seconds\)"):
        fusion.voice(Emotion(0.5, 0.5, 0.5, end=float("nan")))
