"""Sets of hashes: they come back as they went, join, stay small, and refuse damaged bytes."""

from __future__ import annotations

import base64
import hashlib

import numpy as np
import pytest

from edgeemo.artifacts.trained_on import (
    BITS,
    MODEL,
    MOST_CLIPS,
    MOST_SPEAKERS,
    TEACHER,
    HashSet,
    TrainedOn,
    make,
    speaker_hash,
)
from edgeemo.errors import BadArtifact


def drawn(count: int, seed: int = 0) -> dict[int, int]:
    rng = np.random.default_rng(seed)
    hashes = rng.choice(1 << BITS, count, replace=False).tolist()
    return {h: int(who) for h, who in zip(hashes, rng.choice([1, 2, 3], count), strict=True)}


@pytest.mark.parametrize("count", [0, 1, 2, 30, 600])
def test_a_set_comes_back_as_it_went(count: int) -> None:
    found = HashSet(drawn(count))
    assert HashSet.decode(found.encode()) == found
    few = HashSet().joined(found, max(1, count // 3))
    assert HashSet.decode(few.encode()) == few and len(few.by) <= max(1, count // 3)


def test_the_hash_is_the_head_of_sha256() -> None:
    whole = hashlib.sha256(b"edgeemo speaker emotale/004").hexdigest()
    assert speaker_hash("EmoTale/004") == int(whole, 16) >> (256 - BITS)


def test_most_speakers_take_under_two_kilobytes() -> None:
    """The entropy of 1000 of 2^22 numbers is 13.5 bits each; base64 makes 4 bytes of 3."""
    text = HashSet(dict.fromkeys(drawn(MOST_SPEAKERS), MODEL)).encode()
    assert 1000 * 13.4 / 8 * 4 / 3 < len(text) < 2700


def test_joined_sets_answer_for_both() -> None:
    a, b = HashSet({5: MODEL, 9: MODEL}), HashSet({9: TEACHER, 70: TEACHER})
    both = a.joined(b, 10)
    assert [both.of(h) for h in (5, 9, 70, 71)] == [MODEL, MODEL | TEACHER, TEACHER, 0]
    sample = a.joined(b, 2)
    assert [sample.of(h) for h in (5, 9, 70, 71)] == [MODEL, MODEL | TEACHER, None, None]
    assert not sample.whole and both.whole


def test_a_sample_of_a_join_is_the_join_of_samples() -> None:
    a, b = HashSet(drawn(900, 1)), HashSet(drawn(900, 2))
    sampled = HashSet().joined(a, 300).joined(HashSet().joined(b, 300), 300)
    whole = a.joined(b, 10_000)
    assert all(sampled.of(h) in (None, whole.of(h)) for h in whole.by)
    assert 250 < len(sampled.by) <= 300


def test_a_student_of_a_student_keeps_what_both_saw() -> None:
    first = make(HashSet({1: MODEL, 2: TEACHER}), HashSet(drawn(2 * MOST_CLIPS)), ["emotale"])
    assert len(first.clip_hashes.by) == MOST_CLIPS
    second = make(HashSet({2: MODEL, 3: MODEL}), HashSet(), ["mine"], ["foreign"])
    chain = second.joined(first.as_teacher())
    assert dict(chain.speaker_hashes.by) == {1: TEACHER, 2: MODEL | TEACHER, 3: MODEL}
    assert chain.corpora == ("emotale", "mine") and chain.unknown == ("foreign",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no base64!", "no base64"),
        (base64.b64encode(b"\x3f\xff\xff\0\1").decode(), "impossible head"),
        (base64.b64encode(b"\xff\xff\xff\0\1\1\0\0").decode(), "impossible head"),
        (base64.b64encode(b"\x3f\xff\xff\xff\xff\x29" + b"\0" * 40).decode(), "end too early"),
        (base64.b64encode(b"\0\0\7\0\1\xfd" + b"\xff" * 40).decode(), "end too early|limit"),
        (base64.b64encode(b"\x3f\xff\xff\0\1\0\0\0").decode(), "beyond its limit"),
    ],
)
def test_damaged_sets_are_refused(text: str, message: str) -> None:
    with pytest.raises(BadArtifact, match=message):
        _ = TrainedOn(speakers=text).speaker_hashes
