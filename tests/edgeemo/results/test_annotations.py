"""ELAN's files as another program reads them, and in the order that their schema asks for."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from pympi.Elan import Eaf

from edgeemo.results.annotations import audacity, eaf
from edgeemo.results.cues import Cue

CUES = [
    Cue("voice", 0, 2400, {"arousal": 0.5, "valence": 0.25}, "anger", 0.75),
    Cue("face 1", 1000, 2000, {"valence": 0.75}, "<fear>", 0.5),
    Cue("voice", 2400, 5000, {"arousal": 1.0}, "fear", 0.5),
]

# EAFv3.0.xsd: the children of ANNOTATION_DOCUMENT are a sequence; of them HEADER and TIME_ORDER
# must be there once.
ORDER = (
    *("LICENSE", "HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LOCALE", "LANGUAGE"),
    *("CONSTRAINT", "CONTROLLED_VOCABULARY", "LEXICON_REF", "REF_LINK_SET", "EXTERNAL_REF"),
)
REQUIRED = {
    "ANNOTATION_DOCUMENT": {"AUTHOR", "DATE", "VERSION"},
    "MEDIA_DESCRIPTOR": {"MEDIA_URL", "MIME_TYPE"},
    "TIME_SLOT": {"TIME_SLOT_ID"},
    "TIER": {"TIER_ID", "LINGUISTIC_TYPE_REF"},
    "ALIGNABLE_ANNOTATION": {"ANNOTATION_ID", "TIME_SLOT_REF1", "TIME_SLOT_REF2"},
    "REF_ANNOTATION": {"ANNOTATION_ID", "ANNOTATION_REF"},
    "LINGUISTIC_TYPE": {"LINGUISTIC_TYPE_ID"},
    "CONSTRAINT": {"STEREOTYPE"},
}


def test_another_program_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "a.eaf"
    path.write_text(eaf(CUES, ["tiny, licence: CC0"], "./talk.wav"))
    read = Eaf(str(path))
    assert read.get_annotation_data_for_tier("voice") == [(0, 2400, "anger"), (2400, 5000, "fear")]
    assert read.get_annotation_data_for_tier("face 1") == [(1000, 2000, "<fear>")]
    # Of a dependent tier the program gives the value of the parent, too.
    below = read.get_ref_annotation_data_for_tier("voice arousal")
    assert below == [(0, 2400, "0.50", "anger"), (2400, 5000, "1.00", "fear")]
    assert len(read.get_ref_annotation_data_for_tier("voice valence")) == 1
    assert "face 1 arousal" not in read.get_tier_names()
    assert read.get_parameters_for_tier("voice arousal")["PARENT_REF"] == "voice"
    assert read.get_properties() == [("edgeemo", "tiny, licence: CC0")]
    (media,) = read.get_linked_files()
    assert media["RELATIVE_MEDIA_URL"] == "./talk.wav"


def test_the_schema_of_elan_is_kept() -> None:
    for text in (eaf(CUES, ["note"], "./a%20b.wav"), eaf([], [], None)):
        root = ElementTree.fromstring(text)
        order = [ORDER.index(child.tag) for child in root]
        assert order == sorted(order)
        assert order.count(ORDER.index("HEADER")) == order.count(ORDER.index("TIME_ORDER")) == 1
        for element in root.iter():
            assert REQUIRED.get(element.tag, set()) <= set(element.attrib), element.tag
        ids = [e.attrib["ANNOTATION_ID"] for e in root.iter() if "ANNOTATION_ID" in e.attrib]
        assert len(ids) == len(set(ids))
        types = {e.attrib["LINGUISTIC_TYPE_ID"] for e in root.iter("LINGUISTIC_TYPE")}
        assert {e.attrib["LINGUISTIC_TYPE_REF"] for e in root.iter("TIER")} <= types


def test_the_same_estimates_give_the_same_bytes() -> None:
    assert eaf(CUES, ["note"], None) == eaf(CUES, ["note"], None)


def test_labels_are_two_times_and_a_text() -> None:
    lines = audacity(CUES).splitlines()
    assert [line.split("\t") for line in lines] == [
        ["0.000000", "2.400000", "voice: anger 0.75, arousal 0.50, valence 0.25"],
        ["1.000000", "2.000000", "face 1: <fear> 0.50, valence 0.75"],
        ["2.400000", "5.000000", "voice: fear 0.50, arousal 1.00"],
    ]
