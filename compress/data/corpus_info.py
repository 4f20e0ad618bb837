"""What must be known of public corpora beside their labels: licence, and who must stay together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CorpusInfo:
    """What is known of one corpus.

    Attributes:
        licence: of the sound.
        attribution: who made it, as a model that it taught names them; "" is its name alone.
        people: name under which its speakers are counted, where another corpus has the same people.
        one_group: its few speakers never lie in two splits.
        same: speakers who are, or may be, one person: name to the name used instead.
    """

    licence: str
    attribution: str = ""
    people: str | None = None
    one_group: bool = False
    same: Mapping[str, str] = field(default_factory=dict)


KNOWN: Mapping[str, CorpusInfo] = {
    "affectnet": CorpusInfo("research use, by agreement with the University of Denver"),
    "ased": CorpusInfo("research use; no licence stated"),
    "cremad": CorpusInfo(
        "ODbL 1.0 and DbCL 1.0",
        "Contains information from CREMA-D, which is made available here under the Open Database "
        "License (ODbL) 1.0. H. Cao, D. G. Cooper, M. K. Keutmann, R. C. Gur, A. Nenkova, "
        "R. Verma, IEEE Transactions on Affective Computing 5(4), 2014.",
    ),
    "emodb": CorpusInfo("research use; no licence stated"),
    # The whole sentences of the same ten people.
    "emodb_full": CorpusInfo(
        "CC0 1.0",
        "Emo-DB, Berlin Database of Emotional Speech (CC0 1.0). F. Burkhardt, A. Paeschke, "
        "M. Rolfes, W. F. Sendlmeier, B. Weiss, Interspeech 2005.",
        people="emodb",
    ),
    "emogator": CorpusInfo(
        "Apache-2.0",
        "EmoGator (Apache License 2.0, https://www.apache.org/licenses/LICENSE-2.0). "
        "F. W. Buhl, arXiv 2301.00508.",
    ),
    "emotale": CorpusInfo("research use; no licence stated"),
    # Votes are MIT; the pictures were collected from the web for a challenge in 2013.
    "fer2013": CorpusInfo("research use; rights in the pictures not settled"),
    "ferplus": CorpusInfo("votes MIT; pictures research use, rights not settled"),
    "iemocap": CorpusInfo("research use, by agreement with USC"),
    "kread": CorpusInfo("CC BY-NC-ND 4.0", one_group=True),
    # Labels are Apache-2.0; the pictures are press photographs.
    "lfw": CorpusInfo("labels Apache-2.0; pictures research use, rights not settled"),
    "librispeech": CorpusInfo(
        "CC BY 4.0",
        "LibriSpeech (CC BY 4.0, https://creativecommons.org/licenses/by/4.0/). V. Panayotov, "
        "G. Chen, D. Povey, S. Khudanpur, ICASSP 2015. A model learned from a part of it.",
    ),
    "london": CorpusInfo(
        "CC BY 4.0",
        "Face Research Lab London Set (CC BY 4.0, https://creativecommons.org/licenses/by/4.0/). "
        "L. DeBruine, B. Jones, 2017, figshare 5047666. A model learned from a part of it.",
    ),
    "msp_podcast": CorpusInfo("research use, by agreement with UT Dallas"),
    "nemo": CorpusInfo("CC BY-NC-SA 4.0"),
    "rafdb": CorpusInfo("research use, by agreement with its makers"),
    "ravdess": CorpusInfo("CC BY-NC-SA 4.0"),
    "ravdess_full": CorpusInfo("CC BY-NC-SA 4.0", people="ravdess"),
    # Emotional and neutral recordings of two of the speakers carry different codes.
    "selvas": CorpusInfo("research use", same={"nea": "ema", "neb": "emb"}),
    # Performers and 50 to 100 observers: L. Chen, J. Cho, Y. Tseng, 2013.
    "taiwan": CorpusInfo("research use; no licence stated"),
    "tess": CorpusInfo("research use; no licence stated", one_group=True, same={"OA": "OAF"}),
    "thorsten": CorpusInfo("CC0 1.0", "Thorsten-Voice, Thorsten Mueller (CC0 1.0)."),
    "turev": CorpusInfo("CC BY-NC-ND 4.0"),
    "vocal": CorpusInfo("CC BY-NC-ND 4.0"),
}

_UNKNOWN = CorpusInfo("not stated")


def licence_of(corpus: str) -> str:
    """The licence of a corpus known by its folder's name, else "not stated"."""
    return KNOWN.get(corpus, _UNKNOWN).licence


def attribution_of(corpus: str, licence: str) -> str:
    """How a model names a corpus that taught it.

    Args:
        corpus: its name.
        licence: named for a corpus that is not known.
    """
    return KNOWN.get(corpus, _UNKNOWN).attribution or f"{corpus} ({licence})."


def speaker_and_group(corpus: str, name: str) -> tuple[str, str]:
    """Full name of a speaker ("corpus/name") and the group that no split may cut.

    Args:
        corpus: name of the corpus.
        name: of the speaker in it.
    """
    info = KNOWN.get(corpus, _UNKNOWN)
    people = info.people or corpus
    speaker = f"{people}/{info.same.get(name, name)}"
    return speaker, people if info.one_group else speaker
