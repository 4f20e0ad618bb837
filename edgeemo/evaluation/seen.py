"""Which clips of a data set a model or its teacher was trained on, by what its card says.

A person is seen if the card knows the name, or one of the person's clips. Where a card has room for
a sample of the clips alone, some people have no clip in it. If their corpus came under other names,
they go with it: it counts as seen if more than half of its sampled clips are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeemo.artifacts.trained_on import MODEL, TEACHER, TrainedOn, clip_hash, speaker_hash

_LEAST_HITS = 2  # sampled clips that a corpus must share; one may be a hash in common


@dataclass(frozen=True)
class Item:
    """A clip or picture.

    Attributes:
        corpus: its name.
        speaker: "corpus/name".
        digest: sha256 (hex) of its encoded bytes; "" where they are not at hand.
    """

    corpus: str
    speaker: str
    digest: str


@dataclass(frozen=True)
class Seen:
    """Who was trained on which of N clips.

    Attributes:
        by: N numbers: 0, or MODEL, TEACHER, or both.
        speakers: whose clips they are.
        corpora: names of the data's corpora that taught model or teacher, by whatever speakers.
        unknown: teachers of whom nobody knows what they were trained on.
    """

    by: tuple[int, ...]
    speakers: tuple[str, ...]
    corpora: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def clips(self, who: int = MODEL | TEACHER) -> int:
        """Clips that one of `who` was trained on."""
        return sum(bool(by & who) for by in self.by)

    def people(self, who: int = MODEL | TEACHER) -> int:
        """Speakers of those clips."""
        return len({s for s, by in zip(self.speakers, self.by, strict=True) if by & who})

    @property
    def unseen(self) -> tuple[int, ...]:
        """Numbers of the clips of people new to model and teacher."""
        return tuple(i for i, by in enumerate(self.by) if not by)

    def __str__(self) -> str:
        """One line for people."""
        total, all_people = len(self.by), len(set(self.speakers))
        if not self.clips():
            text = f"all {total} clips are of people unseen by model and teacher"
        else:
            parts = [
                f"{self.clips(who)} of {total} clips, {self.people(who)} of {all_people} speakers "
                f"by the {name}"
                for who, name in ((MODEL, "model"), (TEACHER, "teacher"))
                if self.clips(who)
            ]
            text = f"seen in training: {'; '.join(parts)}"
        if self.corpora:
            text += f" (corpora of the training: {', '.join(self.corpora)})"
        if self.unknown:
            text += f"; it is not known what taught {', '.join(self.unknown)}"
        return text


def find_seen(trained_on: TrainedOn, items: Sequence[Item]) -> Seen:
    """Compare a card with a data set.

    Args:
        trained_on: of the model's card.
        items: all clips of the data set: how many of a corpus are seen decides on some.

    Raises:
        BadArtifact: the card is damaged.
    """
    names, clips = trained_on.speaker_hashes, trained_on.clip_hashes
    told = [clips.of(clip_hash(item.digest)) if item.digest else None for item in items]
    by: dict[str, int] = {}
    sampled: set[str] = set()
    for item, who in zip(items, told, strict=True):
        known = by.get(item.speaker)
        if known is None:
            known = names.of(speaker_hash(item.speaker)) or 0
        by[item.speaker] = known | (who or 0)
        sampled |= set() if who is None else {item.speaker}
    majority = _majorities(items, told)
    # A list of all names that knows some of a corpus would know the others of it, too.
    named = {i.corpus for i in items if names.whole and names.of(speaker_hash(i.speaker))}
    for item in items:
        if item.speaker not in sampled and not by[item.speaker] and item.corpus not in named:
            by[item.speaker] = majority.get(item.corpus, 0)
    taught = {name.casefold() for name in trained_on.corpora}
    return Seen(
        tuple(by[item.speaker] for item in items),
        tuple(item.speaker for item in items),
        tuple(sorted({i.corpus for i in items if i.corpus.casefold() in taught})),
        trained_on.unknown,
    )


def _majorities(items: Sequence[Item], told: Sequence[int | None]) -> dict[str, int]:
    """Who saw a corpus of whose sampled clips more than half were seen."""
    counts: dict[str, list[int]] = {}
    for item, who in zip(items, told, strict=True):
        if who is not None:
            counts.setdefault(item.corpus, []).append(who)
    found = {}
    for corpus, whos in counts.items():
        hits = [who for who in whos if who]
        if len(hits) >= _LEAST_HITS and 2 * len(hits) > len(whos):
            found[corpus] = max((3, 2, 1), key=lambda w: sum(who == w for who in hits))
    return found
