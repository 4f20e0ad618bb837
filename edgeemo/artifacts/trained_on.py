"""What taught a model and its teachers: speakers and clips as short hashes, a few KB on a card.

A name's hash has BITS bits, so a set of n names takes another name for one of its own with a
probability of n / 2^BITS: 0.015 % for 628 speakers. It is no secret: whoever knows a name can look
whether it is there. Sets that are larger than a card has room for keep the hashes below a limit, a
sample that is the same for every model, so that sets can be joined.
"""

from __future__ import annotations

import binascii
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from edgeemo.errors import BadArtifact

BITS = 22
"""Of a hash."""

MODEL, TEACHER = 1, 2
"""Who was trained on a name: the model itself, one of its teachers, or both (3)."""

MOST_SPEAKERS, MOST_CLIPS = 1000, 240
"""Hashes that a card keeps."""

_FULL = 1 << BITS
_HEAD = 3 + 2 + 1  # bytes of limit, count, and parameter with the usual value


def speaker_hash(name: str) -> int:
    """Hash of a speaker.

    Args:
        name: "corpus/speaker"; capitals do not matter.
    """
    return _hash("speaker", name.casefold())


def clip_hash(digest: str) -> int:
    """Hash of a clip.

    Args:
        digest: sha256 (hex) of its encoded bytes.
    """
    return _hash("clip", digest)


def _hash(kind: str, text: str) -> int:
    whole = hashlib.sha256(f"edgeemo {kind} {text}".encode()).digest()
    return int.from_bytes(whole[:4], "big") >> (32 - BITS)


@dataclass(frozen=True)
class HashSet:
    """Hashes, and who was trained on each.

    Attributes:
        by: MODEL, TEACHER or both, by hash.
        limit: hashes from here on are not kept, whether they were seen or not.
    """

    by: Mapping[int, int] = field(default_factory=dict)
    limit: int = _FULL

    def of(self, hash: int) -> int | None:
        """Who was trained on it: MODEL, TEACHER, both, 0 for neither; None where no sample says."""
        return None if hash >= self.limit else self.by.get(hash, 0)

    @property
    def whole(self) -> bool:
        """Whether all hashes are kept."""
        return self.limit == _FULL

    def joined(self, other: HashSet, most: int) -> HashSet:
        """Both sets as one.

        Args:
            other: is joined.
            most: hashes that are kept.
        """
        limit = min(self.limit, other.limit)
        by = {h: self.by.get(h, 0) | other.by.get(h, 0) for h in {*self.by, *other.by} if h < limit}
        if len(by) > most:
            limit = sorted(by)[most]
        return HashSet({h: who for h, who in by.items() if h < limit}, limit)

    def seen_by(self, who: int) -> HashSet:
        """The same hashes with this answer for each."""
        return HashSet(dict.fromkeys(self.by, who), self.limit)

    def encode(self) -> str:
        """Base64 of Rice-coded differences of the sorted hashes, each followed by who saw it.

        Source of the code: R. F. Rice, JPL Publication 79-22, 1979.
        """
        hashes = sorted(self.by)
        usual = Counter(self.by.values()).most_common(1)[0][0] if hashes else MODEL
        # The parameter that is best for differences of geometric distribution.
        k = max(0, (self.limit // max(1, len(hashes)) * 7 // 10).bit_length() - 1)
        bits: list[str] = []
        for before, hash in pairwise([-1, *hashes]):
            quotient, rest = divmod(hash - before - 1, 1 << k)
            bits.append("1" * quotient + "0" + (f"{rest:0{k}b}" if k else ""))
            others = [who for who in (1, 2, 3) if who != usual]
            bits.append("0" if self.by[hash] == usual else f"1{others.index(self.by[hash])}")
        text = "".join(bits)
        body = bytes(int(text[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(text), 8))
        head = (self.limit - 1).to_bytes(3, "big") + len(hashes).to_bytes(2, "big")
        return binascii.b2a_base64(head + bytes([k << 2 | usual]) + body, newline=False).decode()

    @classmethod
    def decode(cls, text: str) -> HashSet:
        """Read what `encode` gives; "" is the empty set.

        Raises:
            BadArtifact: damaged, or not such a set.
        """
        if not text:
            return cls()
        try:
            data = binascii.a2b_base64(text, strict_mode=True)
        except (binascii.Error, ValueError):
            raise BadArtifact("trained_on: hashes are no base64; the card is damaged") from None
        limit, count = int.from_bytes(data[:3], "big") + 1, int.from_bytes(data[3:5], "big")
        if len(data) < _HEAD or limit > _FULL:
            raise BadArtifact("trained_on: hashes begin with an impossible head")
        k, usual = data[5] >> 2, data[5] & 3
        others = [who for who in (1, 2, 3) if who != usual]
        bits, by, hash = _Bits(data[_HEAD:]), dict[int, int](), -1
        for _ in range(count):
            quotient = 0
            while bits.take(1):
                quotient += 1
            hash += 1 + (quotient << k | bits.take(k))
            if hash >= limit or not usual:
                raise BadArtifact("trained_on: a hash is beyond its limit; the card is damaged")
            by[hash] = others[bits.take(1)] if bits.take(1) else usual
        return cls(by, limit)


class _Bits:
    """Bits of bytes, the highest first."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> int:
        """The next bits as a number."""
        if self._at + count > 8 * len(self._data):
            raise BadArtifact("trained_on: hashes end too early; the card is damaged")
        value = 0
        for at in range(self._at, self._at + count):
            value = value << 1 | self._data[at >> 3] >> (7 - (at & 7)) & 1
        self._at += count
        return value


@dataclass(frozen=True)
class TrainedOn:
    """Who and what a model and its teachers were trained on; the last stage's choice counts too.

    Attributes:
        speakers, clips: `HashSet.encode` of them.
        corpora: names of all corpora, those of the teachers among them.
        unknown: teachers of whom nobody knows what they were trained on.
    """

    speakers: str = ""
    clips: str = ""
    corpora: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @cached_property
    def speaker_hashes(self) -> HashSet:
        """The set `speakers`. BadArtifact if it is damaged."""
        return HashSet.decode(self.speakers)

    @cached_property
    def clip_hashes(self) -> HashSet:
        """The set `clips`. BadArtifact if it is damaged."""
        return HashSet.decode(self.clips)

    def as_teacher(self) -> TrainedOn:
        """What a student must say of this model once it was its teacher."""
        return make(
            self.speaker_hashes.seen_by(TEACHER),
            self.clip_hashes.seen_by(TEACHER),
            self.corpora,
            self.unknown,
        )

    def joined(self, other: TrainedOn) -> TrainedOn:
        """Both as one."""
        return make(
            self.speaker_hashes.joined(other.speaker_hashes, MOST_SPEAKERS),
            self.clip_hashes.joined(other.clip_hashes, MOST_CLIPS),
            (*self.corpora, *other.corpora),
            (*self.unknown, *other.unknown),
        )


def make(
    speakers: HashSet, clips: HashSet, corpora: Iterable[str], unknown: Iterable[str] = ()
) -> TrainedOn:
    """From sets, with at most as many hashes as a card keeps.

    Args:
        speakers: hashes of them.
        clips: hashes of them.
        corpora: their names.
        unknown: teachers of whom nobody knows what they were trained on.
    """
    return TrainedOn(
        speakers.joined(HashSet(), MOST_SPEAKERS).encode(),
        clips.joined(HashSet(), MOST_CLIPS).encode(),
        tuple(sorted(set(corpora))),
        tuple(sorted(set(unknown))),
    )
