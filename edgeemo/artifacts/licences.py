"""What a model may be used for, computed from the licences of all that taught it.

A licence is told in words, as its owner wrote it; the table here says what those words allow for a
model. Where nothing in the table fits, nothing is allowed: the answer is then "not known".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from types import MappingProxyType
from typing import Literal

from edgeemo.artifacts.card import Card, Source

Allowed = Literal["may be sold", "research only", "not known"]

MIT = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software "
    'and associated documentation files (the "Software"), to deal in the Software without '
    "restriction, including without limitation the rights to use, copy, modify, merge, publish, "
    "distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the "
    "Software is furnished to do so, subject to the following conditions:",
    "The above copyright notice and this permission notice shall be included in all copies or "
    "substantial portions of the Software.",
    'THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING '
    "BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND "
    "NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, "
    "DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING "
    "FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.",
)
"""The text of the MIT License, a paragraph each; it must be passed on with the copyright line."""

_NAMED = 3
"""Sources that a line names; the rest is counted."""


@dataclass(frozen=True)
class Terms:
    """What a licence allows and asks for, for a model that its object taught.

    Attributes:
        known: the words say anything at all; if not, every other attribute is False.
        use: the model may be used in research.
        share: it may be passed on.
        commerce: it may be part of what is sold.
        attribution: those who made the object must be named with it.
        share_alike: it may be passed on under the same licence alone.
    """

    known: bool = True
    use: bool = True
    share: bool = True
    commerce: bool = True
    attribution: bool = True
    share_alike: bool = False

    @property
    def forbids(self) -> bool:
        """The words say that it may not be sold or passed on."""
        return self.known and not (self.commerce and self.share)

    def __and__(self, other: Terms) -> Terms:
        """What both allow, and what either asks for."""
        return Terms(
            # What one forbids, the silence of the other cannot allow.
            known=self.forbids or other.forbids or (self.known and other.known),
            use=self.use and other.use,
            share=self.share and other.share,
            commerce=self.commerce and other.commerce,
            attribution=self.attribution or other.attribution,
            share_alike=self.share_alike or other.share_alike,
        )


_UNKNOWN = Terms(known=False, use=False, share=False, commerce=False, attribution=False)
_RESEARCH = Terms(share=False, commerce=False)

TABLE: Mapping[str, Terms] = MappingProxyType(
    {
        r"research|non-?commercial|no commercial|by agreement": _RESEARCH,
        r"not stated|none stated|no licence|not settled|unclear|not known": _UNKNOWN,
        r"\bCC[ -]BY-NC-SA\b": Terms(commerce=False, share_alike=True),
        # A model is no verbatim copy, and nothing else may be passed on.
        r"\bCC[ -]BY-NC-ND\b|\bCC[ -]BY-ND\b": _RESEARCH,
        r"\bCC[ -]BY-NC\b": Terms(commerce=False),
        r"\bCC[ -]BY-SA\b|\bA?GPL\b": Terms(share_alike=True),
        r"\bCC0\b|\bpublic domain\b|\bUnlicense\b|\bno weights\b": Terms(attribution=False),
        r"\bCC[ -]BY[ -]\d|\bMIT\b|\bApache\b|\bBSD\b|\bISC\b": Terms(),
        # A model is a work produced from the data base (ODbL 1.0, 4.3): it must name the data
        # base, and its own licence is free.
        r"\bODbL\b|\bDbCL\b": Terms(),
    }
)
"""Words in a licence, and what they mean for a model; in each clause the first that fits counts."""

_PATTERNS = tuple((re.compile(words, re.I), terms) for words, terms in TABLE.items())


def terms_of(licence: str) -> Terms:
    """What a licence in words allows; of several clauses, what all of them allow.

    Clauses are separated by ";", "," or "and". A clause in brackets is explanation, unless it
    restricts: "CC0 1.0 (said of the data base)" is CC0, "MIT (research only)" is not MIT.
    """
    outside = re.sub(r"\([^()]*\)", " ", licence)
    clauses = [part for part in re.split(r"[;,]|\band\b", outside) if part.strip()]
    found = [_clause(part) for part in clauses] or [_UNKNOWN]
    found += [t for t in map(_clause, re.findall(r"\(([^()]*)\)", licence)) if t.forbids]
    return reduce(Terms.__and__, found)


@dataclass(frozen=True)
class Verdict:
    """What a model may be used for.

    Attributes:
        allowed: "may be sold" (and passed on, and used), "research only", or "not known".
        why: the sources that decide it.
        terms: of all sources together.
    """

    allowed: Allowed
    why: str
    terms: Terms

    def __str__(self) -> str:
        """One plain line."""
        return f"{self.allowed}: {self.why}"


def verdict(sources: Iterable[Source]) -> Verdict:
    """What all of a model's sources allow.

    Args:
        sources: teachers, corpora and the weights that training began with. None: not known.
    """
    given = tuple(sources)
    each = [(source, terms_of(source.licence)) for source in given]
    if not given:
        return Verdict("not known", "nothing is said of what taught it", _UNKNOWN)
    terms = reduce(Terms.__and__, [found for _, found in each])
    bound = [s for s, found in each if found.forbids]
    unknown = [s for s, found in each if not found.known]
    if bound:
        return Verdict("research only", _named([*bound, *unknown]), terms)
    if unknown:
        return Verdict("not known", _named(unknown), terms)
    why = f"all that taught it allows that ({_named(given)})"
    if terms.share_alike:
        alike = [s for s, found in each if found.share_alike]
        why = f"under the licence of its sources alone ({_named(alike)})"
    return Verdict("may be sold", why, terms)


def verdict_of(card: Card) -> Verdict:
    """What a card's sources allow; what the card itself forbids is forbidden too."""
    sources = (*card.teachers, *card.data)
    found = verdict(sources)
    own = terms_of(card.licence)
    if found.allowed == "may be sold" and not (own.known and own.commerce and own.share):
        return verdict((*sources, Source("the card itself", card.licence)))
    return found


def named(card: Card, command: str = "edgeemo models") -> str:
    """The model's name and what it may be used for, in half a line.

    Args:
        card: of the model.
        command: that shows this card.
    """
    return f"{card.name} ({verdict_of(card).allowed}; `{command}` tells why)"


def weights_licence(sources: Iterable[Source]) -> str:
    """The licence that weights may carry: what stands in the card."""
    given = tuple(sources)
    found = verdict(given)
    if found.allowed == "research only":
        return f"research use only ({found.why})"
    if found.allowed == "not known":
        return f"not known ({found.why})"
    if not found.terms.share_alike:
        return "Apache-2.0"
    alike = [s.licence for s in given if terms_of(s.licence).share_alike]
    return " and ".join(dict.fromkeys(alike))


def _clause(words: str) -> Terms:
    return next((terms for pattern, terms in _PATTERNS if pattern.search(words)), _UNKNOWN)


def _named(sources: Iterable[Source]) -> str:
    given = [f"{source.name}: {source.licence}" for source in sources]
    more = f"; and {len(given) - _NAMED} more" if len(given) > _NAMED else ""
    return "; ".join(given[:_NAMED]) + more
