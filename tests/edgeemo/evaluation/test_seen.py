"""Who was in a training: by name, by equal clips under other names, by a sample of the clips."""

from __future__ import annotations

from dataclasses import replace

from edgeemo.artifacts.trained_on import MODEL, TEACHER, HashSet, clip_hash, make, speaker_hash
from edgeemo.evaluation.seen import Item, find_seen


def items(corpus: str, people: int, clips: int, source: str = "") -> list[Item]:
    """`clips` of each of `people`; `source` is the corpus that the bytes come from."""
    return [
        Item(corpus, f"{corpus}/{p}", f"{source or corpus} {p} {c}")
        for p in range(people)
        for c in range(clips)
    ]


def trained(known: list[Item], who: int = MODEL):
    return make(
        HashSet({speaker_hash(i.speaker): who for i in known}),
        HashSet({clip_hash(i.digest): who for i in known}),
        {i.corpus for i in known},
    )


KNOWN = items("old", 20, 60)


def test_the_same_people_are_seen_and_others_of_their_corpus_are_not() -> None:
    others = [Item("old", f"old/{p}", f"new {p} {c}") for p in range(20, 26) for c in range(30)]
    seen = find_seen(trained(KNOWN, TEACHER), [*KNOWN[:300], *others])
    assert seen.by == (TEACHER,) * 300 + (0,) * 180
    assert (seen.clips(MODEL), seen.clips(TEACHER), seen.people()) == (0, 300, 5)
    assert seen.unseen == tuple(range(300, 480)) and seen.corpora == ("old",)
    assert "300 of 480 clips, 5 of 11 speakers by the teacher" in str(seen)


def test_equal_clips_under_other_names_are_seen() -> None:
    """All of them, though a card keeps a fifth of the clips and some people have none in it."""
    seen = find_seen(trained(KNOWN), items("renamed", 20, 3, source="old"))
    assert set(seen.by) == {MODEL}
    assert seen.corpora == ()


def test_another_corpus_is_new() -> None:
    seen = find_seen(trained(KNOWN), items("other", 50, 40))
    assert seen.clips() == 0 and "all 2000 clips are of people unseen" in str(seen)


def test_some_copied_people_do_not_make_a_corpus_seen() -> None:
    copied, own = items("mixed", 4, 60, source="old"), items("mixed2", 16, 60)
    data = [*copied, *(Item("mixed", f"mixed/own{i.speaker}", i.digest) for i in own)]
    seen = find_seen(trained(KNOWN), data)
    assert seen.people() == 4 and seen.clips() == 240


def test_pictures_of_nobody_known_go_with_their_corpus() -> None:
    """Each is a person of its own; a card has hashes of few of them."""
    known = [Item("faces", f"faces/{i}", f"picture {i}") for i in range(5000)]
    card = make(HashSet(), HashSet({clip_hash(i.digest): MODEL for i in known}), ["faces"])
    train, test = known[:1000], [Item("faces", f"faces/t{i}", f"test {i}") for i in range(1000)]
    assert set(find_seen(card, train).by) == {MODEL}
    assert find_seen(card, test).clips() == 0


def test_a_clip_without_its_bytes_says_nothing() -> None:
    """Most people of a renamed corpus have their sound at hand; the others go with them."""
    known = items("old", 4, 10)  # few enough for a card to keep all of their clips
    data = [
        replace(item, digest="") if item.speaker == "renamed/3" else item
        for item in items("renamed", 4, 10, "old")
    ]
    assert set(find_seen(trained(known), data).by) == {MODEL}
