"""What must be known of public corpora beside their labels: licence, and who must stay together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Known:
    """Facts about one corpus.

    Attributes:
        licence: of the sound.
        people: name under which its speakers are counted, where another corpus has the same people.
        one_group: its few speakers never lie in two parts of a split.
        same: speakers who are, or may be, one person: name to the name used instead.
    """

    licence: str
    people: str | None = None
    one_group: bool = False
    same: Mapping[str, str] = field(default_factory=dict)


KNOWN: Mapping[str, Known] = {
    "affectnet": Known("research use, by agreement with the University of Denver"),
    "ased": Known("research use; no licence stated"),
    "cremad": Known("ODbL 1.0 and DbCL 1.0"),
    "emodb": Known("research use; no licence stated"),
    # The whole sentences of the same ten people.
    "emodb_full": Known("CC0 1.0", people="emodb"),
    "emotale": Known("research use; no licence stated"),
    # Votes are MIT; the pictures were collected from the web for a challenge in 2013.
    "fer2013": Known("research use; rights in the pictures not settled"),
    "ferplus": Known("votes MIT; pictures research use, rights not settled"),
    "iemocap": Known("research use, by agreement with USC"),
    "kread": Known("CC BY-NC-ND 4.0", one_group=True),
    "librispeech": Known("CC BY 4.0"),
    "london": Known("CC BY 4.0"),
    "msp_podcast": Known("research use, by agreement with UT Dallas"),
    "nemo": Known("CC BY-NC-SA 4.0"),
    "rafdb": Known("research use, by agreement with its makers"),
    "ravdess": Known("CC BY-NC-SA 4.0"),
    "ravdess_full": Known("CC BY-NC-SA 4.0", people="ravdess"),
    # Emotional and neutral recordings of two of the speakers carry different codes.
    "selvas": Known("research use", same={"nea": "ema", "neb": "emb"}),
    "tess": Known("research use; no licence stated", one_group=True, same={"OA": "OAF"}),
    "thorsten": Known("CC0 1.0"),
    "turev": Known("CC BY-NC-ND 4.0"),
    "vocal": Known("CC BY-NC-ND 4.0"),
}

_UNKNOWN = Known("not stated")


def licence_of(corpus: str) -> str:
    """The licence of a corpus known by its folder's name, else "not stated"."""
    return KNOWN.get(corpus, _UNKNOWN).licence


def speaker_and_group(corpus: str, name: str) -> tuple[str, str]:
    """Full name of a speaker ("corpus/name") and the group that no split may cut."""
    facts = KNOWN.get(corpus, _UNKNOWN)
    people = facts.people or corpus
    speaker = f"{people}/{facts.same.get(name, name)}"
    return speaker, people if facts.one_group else speaker
