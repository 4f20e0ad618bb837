from __future__ import annotations

import math

import pyarrow

import edgeemo
from edgeemo.faces import Tracked
from edgeemo.fusion import Fused
from edgeemo.types import CLASSES, Emotion

VOICE = Emotion(0.7, 0.5, 0.2, {"anger": 0.75, "fear": 0.25}, 0.6, True, 1.0, 2.5)
FACE = Tracked(3, Emotion(0.4, None, 0.9, start=2.0, end=2.9, box=(10, 20, 110, 140)))


def test_a_row_an_estimate_with_the_same_keys() -> None:
    first, second = edgeemo.to_records([VOICE, FACE])
    assert list(first) == list(second)
    assert (first["start"], first["end"], first["speech"]) == (1.0, 2.5, 1.0)
    assert (first["arousal"], first["anger"], first["confidence"]) == (0.7, 0.75, 0.6)
    assert math.isnan(float(first["happiness"])) and math.isnan(float(first["left"]))
    assert (second["face"], second["left"], second["bottom"]) == (3.0, 10.0, 140.0)
    assert math.isnan(float(second["dominance"])) and math.isnan(float(second["speech"]))


def test_columns_have_one_type_whatever_is_missing() -> None:
    """As a library of tables sees them: a None among numbers would make a column of objects."""
    fused = Fused(None, None, None, sides=("voice", "face"), expression="anger")
    rows = edgeemo.to_records([VOICE, FACE, fused, Emotion(None, None, None, speech=False)])
    schema = pyarrow.Table.from_pylist(rows).schema
    texts = {field.name for field in schema if field.type == pyarrow.string()}
    assert texts == {"expression", "sides"}
    assert {str(field.type) for field in schema} == {"string", "double"}
    assert set(CLASSES) < set(schema.names)
    assert rows[2]["sides"] == "voice face" and rows[2]["expression"] == "anger"
    assert rows[3]["speech"] == 0.0


def test_one_estimate_is_one_row() -> None:
    assert len(edgeemo.to_records(VOICE)) == len(edgeemo.to_records(FACE)) == 1
    assert edgeemo.to_records([]) == []
