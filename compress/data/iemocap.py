"""IEMOCAP as it is distributed: `Session*/dialog/EmoEvaluation/*.txt` and `sentences/wav/`.

A summary has a paragraph for each utterance (columns are parted by tabs):

    [6.2901 - 8.2357]  Ses01F_impro01_F000  neu  [2.5000, 2.5000, 2.5000]
    C-E2:  Neutral;  ()
    A-E3:  val 3; act 2; dom  2;  ()

The brackets hold valence, activation, dominance, 1..5: the order is not ours. C lines are
categories, A lines attributes, E evaluators; the speakers' own judgements (C-F1, A-M1) are left
out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import pstdev

from .clips import Clip, Span
from .corpus_info import licence_of
from .emotions import share_votes
from .tables import Row

CORPUS = "iemocap"

_HEAD = re.compile(r"\[([\d.]+) - ([\d.]+)\]\t(\w+)\t(\w+)\t\[([-\d., ]+)\]")
_NAME = re.compile(r"(Ses0\d)[FM]_\w+_([FM])[^_]*")
_CATEGORY = re.compile(r"C-E\d+:\t(.*?)(?:\t|$)")
_ATTRIBUTES = re.compile(r"A-E\d+:\t(.*?)(?:\t|$)")
_RATING = re.compile(r"(val|act|dom)\s+([\d.]+)")
_WORDS = {
    "ang": "anger",
    "dis": "disgust",
    "exc": "excitement",
    "fea": "fear",
    "fru": "frustration",
    "hap": "happiness",
    "neu": "neutral",
    "oth": "other",
    "sad": "sadness",
    "sur": "surprise",
    "xxx": "no agreement",
}


@dataclass
class _Utterance:
    """One paragraph while it is read. Ratings by attribute, one value an evaluator."""

    name: str
    speaker: tuple[str, str]  # session and sex
    emotion: str
    seconds: float
    mean: dict[str, float]
    votes: list[tuple[str, float]] = field(default_factory=list)
    ratings: dict[str, list[float]] = field(default_factory=dict)


def find_summaries(folder: Path) -> list[Path]:
    """The summaries of all sessions; none if `folder` is no copy of IEMOCAP."""
    found = folder.glob("Session*/dialog/EmoEvaluation/*.txt")
    # Archives made on a Mac carry a hidden twin of each file.
    return sorted(path for path in found if not path.name.startswith("."))


def read_iemocap(folder: Path) -> Iterator[Clip]:
    """Clips of all sessions. Both speakers of a session are one group: each is in both recordings.

    Attributes go from 1..5 to 0..1 as (x - 1) / 4 and into the order arousal, dominance, valence.

    Raises:
        BadData: a line that cannot be understood; the message has file and line.
    """
    for path in find_summaries(folder):
        session = path.relative_to(folder).parts[0]
        for utterance in _utterances(path):
            yield _clip(folder, session, path.stem, utterance)


def _utterances(path: Path) -> Iterator[_Utterance]:
    now: _Utterance | None = None
    # Comments of the evaluators are not always UTF-8.
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), start=1):
        row = Row(f"{path}:{number}", {})
        if line.startswith("["):
            if now:
                yield now
            now = _head(row, line)
        elif now and (match := _CATEGORY.match(line)):
            words = [word.strip() for word in match[1].split(";") if word.strip()]
            # An evaluator has one vote, whatever number of categories he named.
            now.votes += [(_word(row, word), 1 / len(words)) for word in words]
        elif now and (match := _ATTRIBUTES.match(line)):
            for name, value in _RATING.findall(match[1]):
                now.ratings.setdefault(name, []).append(row.as_number(value, name, 0.5, 5.5))
    if now:
        yield now


def _head(row: Row, line: str) -> _Utterance:
    match = _HEAD.match(line)
    if match is None:
        raise row.fault(f"{line[:60]!r}; expected [start - end], name, emotion, [val, act, dom]")
    start, end, name, code, triple = match.groups()
    if code not in _WORDS:
        raise row.fault(f"emotion is {code!r:.40}; expected one of {', '.join(_WORDS)}")
    speaker = _NAME.fullmatch(name)
    if speaker is None:
        raise row.fault(f"name is {name!r:.60}; expected one such as Ses01F_impro01_F000")
    values = [row.as_number(x, "attribute", 0.5, 5.5) for x in triple.split(",")]
    if len(values) != 3:
        raise row.fault(f"{len(values)} attributes; expected valence, activation, dominance")
    first, last = row.as_number(start, "start", 0, 1e6), row.as_number(end, "end", 0, 1e6)
    mean = dict(zip(("val", "act", "dom"), values, strict=True))
    return _Utterance(name, (speaker[1], speaker[2]), _WORDS[code], max(0.0, last - first), mean)


def _word(row: Row, text: str) -> str:
    word = Row(row.where, {"category": text}).word("category")
    assert word is not None  # text is not empty
    return word


def _clip(folder: Path, session: str, dialog: str, utterance: _Utterance) -> Clip:
    where, sex = utterance.speaker
    id = f"{session}/sentences/wav/{dialog}/{utterance.name}.wav"
    votes, other = share_votes(utterance.votes or [(utterance.emotion, 1.0)])
    mean, ratings = utterance.mean, utterance.ratings
    # One annotation has no spread; 0 would read as perfect agreement.
    annotated = all(len(ratings.get(name, ())) > 1 for name in ("act", "dom", "val"))
    return Clip(
        id=id,
        corpus=CORPUS,
        speaker=f"{CORPUS}/{where}{sex}",
        span=Span(folder / id),
        sex=sex,
        language="en",
        emotion=utterance.emotion,
        dimensions=(_unit(mean["act"]), _unit(mean["dom"]), _unit(mean["val"])),
        dimensions_sd=(_sd(ratings["act"]), _sd(ratings["dom"]), _sd(ratings["val"]))
        if annotated
        else None,
        votes=votes,
        other=other,
        seconds=utterance.seconds,
        licence=licence_of(CORPUS),
        group=f"{CORPUS}/{where}",
        tags={"dialog": dialog},
    )


def _unit(value: float) -> float:
    # A few means lie at 5.5, beyond the scale.
    return min(1.0, max(0.0, (value - 1) / 4))


def _sd(values: list[float]) -> float:
    return pstdev(values) / 4
