from __future__ import annotations

from typing import Any

from edgeemo.results.cues import cues_of


def row(start: float, end: float, **more: Any) -> dict[str, Any]:
    return {"start": start, "end": end, "arousal": 0.5, "classes": {}} | more


def spans(*rows: dict[str, Any]) -> list[tuple[str, int, int]]:
    return [(cue.who, cue.start, cue.end) for cue in cues_of(rows)]


def test_neighbours_touch() -> None:
    """The same time is the same millisecond, be it an end or a start."""
    found = spans(row(0, 1.2347), row(1.2347, 2.0004), row(2.0004, 3))
    assert found == [("voice", 0, 1235), ("voice", 1235, 2000), ("voice", 2000, 3000)]


def test_a_face_that_is_seen_on_has_no_gap() -> None:
    """Rows end with the last frame of their second, here of 25 frames a second."""
    found = spans(
        row(0, 0.96, face=1), row(1, 1.96, face=1), row(5, 5, face=1), row(1.04, 1.96, face=2)
    )
    assert found == [
        ("face 1", 0, 1000),
        ("face 1", 1000, 1960),
        ("face 2", 1040, 1960),
        ("face 1", 5000, 5040),
    ]


def test_the_pauses_of_a_voice_stay() -> None:
    assert spans(row(0, 0.9), row(1.0, 2)) == [("voice", 0, 900), ("voice", 1000, 2000)]


def test_without_numbers_there_is_no_cue() -> None:
    nothing = {"start": 0.0, "end": 3.0, "arousal": None, "classes": {}, "speech": False}
    assert cues_of([nothing, {"path": "a", "error": "cut"}]) == []


def test_the_text_is_one_line() -> None:
    (cue,) = cues_of([row(0, 1, valence=0.25, classes={"an\nger": 0.75, "fear": 0.25})])
    assert cue.text() == "an ger 0.75, arousal 0.50, valence 0.25"
