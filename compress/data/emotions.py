"""Words for emotions: how corpora write them, and which class each one votes for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgeemo.types import CLASSES

WORDS: Mapping[str, str | None] = {name: name for name in CLASSES} | {
    "calm": "neutral",
    "excitement": "happiness",
    "boredom": None,
    "frustration": None,
    "other": None,
    "no agreement": None,
}
"""The words that `Clip.emotion` may hold, each with the class that it votes for, or None."""

_SPELLINGS: Mapping[str, str] = {
    "angry": "anger",
    "bored": "boredom",
    "contemptuous": "contempt",
    "disgusted": "disgust",
    "excited": "excitement",
    "fearful": "fear",
    "afraid": "fear",
    "scared": "fear",
    "frustrated": "frustration",
    "happy": "happiness",
    "joy": "happiness",
    "joyful": "happiness",
    "neutral state": "neutral",
    "sad": "sadness",
    "surprised": "surprise",
}

SPELLED = (*WORDS, *_SPELLINGS)
"""All that `read_word` understands, but for capitals."""


def read_word(text: str) -> str:
    """The word of `WORDS` that `text` spells ("Angry" is "anger").

    Raises:
        KeyError: with the text, if it is none. The reader who knows file and line reports it.
    """
    word = text.strip().lower()
    word = _SPELLINGS.get(word, word)
    if word.startswith("other"):  # "Other-annoyed", "other (bored)"
        word = "other"
    if word not in WORDS:
        raise KeyError(text)
    return word


def share_votes(words: Iterable[tuple[str, float]]) -> tuple[dict[str, float] | None, float]:
    """Votes by word to shares by class.

    Args:
        words: pairs of a word of `WORDS` and its number of votes, 0 or more. A word may come often.

    Returns:
        votes: share by class, summing to 1, in the order of CLASSES, or None if no vote names one.
        other: share of all votes that name no class, 0..1.
    """
    counts = dict.fromkeys(CLASSES, 0.0)
    outside = 0.0
    for word, number in words:
        name = WORDS[word]
        if name is None:
            outside += number
        else:
            counts[name] += number
    inside = sum(counts.values())
    if inside == 0:
        return None, 1.0 if outside else 0.0
    return {k: n / inside for k, n in counts.items() if n}, outside / (inside + outside)
