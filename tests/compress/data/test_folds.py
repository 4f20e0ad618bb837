"""Who is held out, by chance, by a column, by name; and what is told by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeemo.compress.data import Clip, Span, shipped_speech
from edgeemo.compress.data.folds import check_doubles, deal, folds_of_column, groups_of_speakers
from edgeemo.errors import BadData, BadInput


def clip(speaker: str, number: int = 0, **fields: object) -> Clip:
    made = Clip(f"{speaker}-{number}", speaker.split("/")[0], speaker, Span(Path("x")))
    return replace(made, **fields)


def test_one_corpus_is_dealt_as_a_pack_of_cards() -> None:
    people = [f"emotale/{i:03d}" for i in range(14)]
    folds = deal([clip(p) for p in reversed(people)], 7, seed=2)
    drawn = np.random.default_rng(2).permutation(people).tolist()
    assert folds == [{drawn[i], drawn[i + 7]} for i in range(7)]
    assert deal([clip(p) for p in people], 7, seed=3) != folds


def test_each_corpus_is_in_each_fold() -> None:
    folds = deal([clip(f"{c}/{i}") for c in "abc" for i in range(5)], 5, seed=0)
    assert sorted(g for fold in folds for g in fold) == sorted(
        f"{c}/{i}" for c in "abc" for i in range(5)
    )
    assert all({g[0] for g in fold} == set("abc") for fold in folds)


@pytest.mark.parametrize("folds", [1, 4])
def test_folds_that_cannot_be(folds: int) -> None:
    with pytest.raises(BadInput, match=f"{folds} folds of 3 speakers; expected 2 to 3"):
        deal([clip(f"a/{i}") for i in range(3)], folds, 0)


def test_folds_of_a_column() -> None:
    clips = [clip(f"a/{i}", n, tags={"fold": str(i % 3)}) for i in range(7) for n in range(2)]
    assert folds_of_column(clips, "fold") == [{"a/0", "a/3", "a/6"}, {"a/1", "a/4"}, {"a/2", "a/5"}]
    shared = [*clips, clip("a/4", 9, tags={"fold": "2"})]
    with pytest.raises(BadData, match="the speaker 'a/4' is in the folds '1' and '2'"):
        folds_of_column(shared, "fold")
    with pytest.raises(BadData, match="a/0-0: no value in the column 'flod'; did you mean 'fold'"):
        folds_of_column(clips, "flod")
    bare = [*clips, clip("a/7", 0, tags={"fold": ""})]
    with pytest.raises(BadData, match="no value in the column 'fold'; give each clip a fold"):
        folds_of_column(bare, "fold")
    with pytest.raises(BadData, match="expected 2 or more"):
        folds_of_column(clips[:2], "fold")


def test_named_speakers() -> None:
    clips = [clip("a/1"), clip("a/2", group="a/pair"), clip("b/1")]
    assert groups_of_speakers(clips, ["a/1", "2"]) == {"a/1", "a/pair"}
    with pytest.raises(BadData, match=r"test speaker '1' is not one person.*which of a/1, b/1"):
        groups_of_speakers(clips, ["1"])
    with pytest.raises(BadData, match=r"test speaker 'a/11'.*did you mean 'a/1'"):
        groups_of_speakers(clips, ["a/11"])


def test_one_sound_under_two_names_is_told() -> None:
    clips = list(shipped_speech().clips[:5])
    check_doubles(clips)
    copy = replace(clips[2], id="mine/x", corpus="mine", speaker="mine/bob", group="mine/bob")
    with pytest.raises(
        BadData, match=f"{clips[2].id} of {clips[2].speaker} and mine/x of mine/bob"
    ):
        check_doubles([*clips, copy])
    check_doubles([*clips, replace(copy, group=clips[2].group)])
