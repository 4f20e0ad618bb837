"""Files of programs for annotation: ELAN (.eaf) and Audacity's labels (.txt).

Sources: ELAN Annotation Format 3.0, its schema EAFv3.0.xsd of the Max Planck Institute for
Psycholinguistics; "Importing and Exporting Labels" of the Audacity manual.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from edgeemo.results.cues import Cue
from edgeemo.types import DIMENSIONS

_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"  # a name; nothing is fetched
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
# The schema asks for a date. The same estimates shall give the same bytes.
_DATE = "1970-01-01T00:00:00+00:00"


def audacity(cues: Sequence[Cue]) -> str:
    """A label track: start and end in seconds, and text, with tabs between them."""
    return "".join(
        f"{cue.start / 1000:.6f}\t{cue.end / 1000:.6f}\t{cue.who}: {cue.text()}\n" for cue in cues
    )


def eaf(cues: Sequence[Cue], notes: Sequence[str], media: str | None) -> str:
    """An ELAN file: for each voice or face a tier of classes, and under it one a dimension.

    Args:
        cues: in the order of time.
        notes: kept as properties of the file.
        media: address of the recording as seen from the file; None without one.
    """
    root = Element(
        "ANNOTATION_DOCUMENT",
        {
            **{"AUTHOR": "edgeemo", "DATE": _DATE, "FORMAT": "3.0", "VERSION": "3.0"},
            f"{{{_INSTANCE}}}noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    header = SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    if media is not None:
        place = {"MEDIA_URL": media, "RELATIVE_MEDIA_URL": media}
        SubElement(header, "MEDIA_DESCRIPTOR", place, MIME_TYPE="unknown")
    for note in notes:
        SubElement(header, "PROPERTY", NAME="edgeemo").text = note
    order = SubElement(root, "TIME_ORDER")
    _Tiers(root, order, cues)
    SubElement(root, "LINGUISTIC_TYPE", _type("expression", alignable=True))
    SubElement(root, "LINGUISTIC_TYPE", _type("dimension", alignable=False))
    SubElement(
        root,
        "CONSTRAINT",
        DESCRIPTION="1-1 association with a parent annotation",
        STEREOTYPE="Symbolic_Association",
    )
    ElementTree.register_namespace("xsi", _INSTANCE)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"


def _type(name: str, *, alignable: bool) -> dict[str, str]:
    shape = {} if alignable else {"CONSTRAINTS": "Symbolic_Association"}
    times = {"TIME_ALIGNABLE": str(alignable).lower(), "GRAPHIC_REFERENCES": "false"}
    return {"LINGUISTIC_TYPE_ID": name, **shape, **times}


class _Tiers:
    """Tiers and time slots of cues, numbered through."""

    def __init__(self, root: Element, order: Element, cues: Sequence[Cue]) -> None:
        self._root, self._order = root, order
        self._slots, self._ids = count(1), count(1)
        for who in dict.fromkeys(cue.who for cue in cues):
            self._tier(who, [cue for cue in cues if cue.who == who])

    def _tier(self, who: str, cues: Sequence[Cue]) -> None:
        tier = SubElement(self._root, "TIER", LINGUISTIC_TYPE_REF="expression", TIER_ID=who)
        named = [(self._stretch(tier, cue), cue) for cue in cues]
        for name in DIMENSIONS:
            having = [(parent, cue) for parent, cue in named if name in cue.dimensions]
            if not having:
                continue
            below = {"LINGUISTIC_TYPE_REF": "dimension", "PARENT_REF": who}
            tier = SubElement(self._root, "TIER", below, TIER_ID=f"{who} {name}")
            for parent, cue in having:
                of = {"ANNOTATION_ID": f"a{next(self._ids)}", "ANNOTATION_REF": parent}
                annotation = SubElement(SubElement(tier, "ANNOTATION"), "REF_ANNOTATION", of)
                SubElement(annotation, "ANNOTATION_VALUE").text = f"{cue.dimensions[name]:.2f}"

    def _stretch(self, tier: Element, cue: Cue) -> str:
        """Add a cue to its tier; the name of the annotation."""
        name = f"a{next(self._ids)}"
        slots = {f"TIME_SLOT_REF{i}": self._slot(t) for i, t in enumerate((cue.start, cue.end), 1)}
        annotation = SubElement(
            SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", slots, ANNOTATION_ID=name
        )
        SubElement(annotation, "ANNOTATION_VALUE").text = cue.expression
        return name

    def _slot(self, ms: int) -> str:
        name = f"ts{next(self._slots)}"
        SubElement(self._order, "TIME_SLOT", TIME_SLOT_ID=name, TIME_VALUE=str(ms))
        return name
