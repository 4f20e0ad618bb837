"""No person lies in two parts, whatever the clips, the shares and the seed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeemo.compress.data import Clip, Span, shipped_speech, speaker_folds, split_by_speaker
from edgeemo.errors import BadInput


def clips_of(sizes: dict[str, int], group: str = "") -> list[Clip]:
    return [
        Clip(f"{who}-{i}", who.split("/")[0], who, Span(Path("x")), group=group)
        for who, n in sizes.items()
        for i in range(n)
    ]


speakers = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.integers(0, 9)).map(lambda t: f"{t[0]}/{t[1]}"),
    st.integers(1, 30),
    min_size=3,
)


@settings(max_examples=80, deadline=None)
@given(speakers, st.integers(0, 1000))
def test_parts_share_no_speaker_and_lose_no_clip(sizes: dict[str, int], seed: int) -> None:
    clips = clips_of(sizes)
    parts = split_by_speaker(clips, seed)
    assert all(parts)
    people = [{clip.speaker for clip in part} for part in parts]
    assert len(set.union(*people)) == sum(map(len, people)) == len(sizes)
    assert sorted(c.id for part in parts for c in part) == sorted(c.id for c in clips)


@settings(max_examples=60, deadline=None)
@given(speakers, st.integers(0, 1000), st.integers(2, 5))
def test_each_speaker_is_held_out_once(sizes: dict[str, int], seed: int, k: int) -> None:
    clips = clips_of(sizes)
    if k > len(sizes):
        with pytest.raises(BadInput, match=f"{k} folds of {len(sizes)} speakers"):
            speaker_folds(clips, k, seed)
        return
    folds = speaker_folds(clips, k, seed)
    assert sorted(c.id for _, held in folds for c in held) == sorted(c.id for c in clips)
    for train, held in folds:
        assert held and not {c.speaker for c in train} & {c.speaker for c in held}
        assert len(train) + len(held) == len(clips)
    for corpus in "abc":
        counts = [len({c.speaker for c in held if c.corpus == corpus}) for _, held in folds]
        assert max(counts) - min(counts) <= 1


def test_order_of_clips_does_not_matter_and_the_seed_does() -> None:
    clips = clips_of({f"a/{i}": 3 + i for i in range(12)})
    mixed = clips[:]
    random.Random(0).shuffle(mixed)
    assert split_by_speaker(clips, 5) == split_by_speaker(mixed, 5)
    assert speaker_folds(clips, 4, 5) == speaker_folds(mixed, 4, 5)
    assert len({str([c.id for c in split_by_speaker(clips, s)[2]]) for s in range(8)}) > 3


def test_shares_are_kept_within_a_speaker() -> None:
    clips = clips_of({f"{c}/{i}": 10 for c in "ab" for i in range(50)})
    sizes = [len(part) for part in split_by_speaker(clips, 1, (0.7, 0.2, 0.1))]
    assert [abs(n - want) <= 10 for n, want in zip(sizes, (700, 200, 100), strict=True)] == [
        True
    ] * 3
    assert [len(p) for p in split_by_speaker(clips, 1, (0.5, 0.5, 0))] == [500, 500, 0]


def test_a_group_is_not_cut() -> None:
    clips = clips_of({"a/1": 4, "a/2": 4}, group="a") + clips_of({"b/1": 4, "b/2": 4})
    for train, held in speaker_folds(clips, 3, 0):
        assert len({c.corpus == "a" for c in held}) == 1
        assert not {c.group for c in train} & {c.group for c in held}
    with pytest.raises(BadInput, match="1 speaker for 3 splits"):
        split_by_speaker(clips_of({"a/1": 4, "a/2": 4}, group="a"), 0)


@pytest.mark.parametrize("shares", [(0.8, 0.3, -0.1), (0.5, 0.1, 0.1)])
def test_impossible_shares(shares: tuple[float, ...]) -> None:
    with pytest.raises(BadInput, match="sum to 1"):
        split_by_speaker(clips_of({"a/1": 1}), 0, shares)


def test_a_split_stays_as_it_is() -> None:
    """Splits belong to the data: a change here makes every earlier figure another one."""
    _, valid, test = split_by_speaker(shipped_speech(), 1)
    emodb = [sorted({c.speaker for c in p if c.corpus == "emodb_full"}) for p in (valid, test)]
    assert emodb == [["emodb/14"], ["emodb/08"]]
