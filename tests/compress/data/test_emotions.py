"""Words for emotions, and votes as shares of classes."""

import pytest

from edgeemo.compress.data.emotions import WORDS, read_word, share_votes
from edgeemo.types import CLASSES


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (" Angry ", "anger"),
        ("Neutral state", "neutral"),
        ("Other-annoyed", "other"),
        ("calm", "calm"),
        ("no agreement", "no agreement"),
    ],
)
def test_words_as_corpora_write_them(text, word):
    assert read_word(text) == word and word in WORDS


def test_a_foreign_word_is_a_key_error():
    with pytest.raises(KeyError, match="Wut"):
        read_word("Wut")


def test_votes_are_shares_of_classes_in_their_order():
    votes, other = share_votes([("calm", 1), ("anger", 2), ("neutral", 1), ("boredom", 4)])
    assert votes == {"neutral": 0.5, "anger": 0.5} and other == 0.5
    assert list(votes) == [name for name in CLASSES if name in votes]


@pytest.mark.parametrize(("words", "other"), [([], 0.0), ([("other", 3)], 1.0)])
def test_no_class_is_no_vote(words, other):
    assert share_votes(words) == (None, other)
