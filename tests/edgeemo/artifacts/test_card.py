from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from typing import Any

import pytest

from edgeemo.artifacts.card import MAX_BYTES, Card, Output, Quantization, from_json, to_json
from edgeemo.errors import BadArtifact
from edgeemo.io import schema


def changed(card: Card, path: str, value: Any) -> str:
    """JSON of the card with one value replaced, or added."""
    tree = json.loads(to_json(card))
    *parents, last = path.split(".")
    at = tree
    for key in parents:
        at = at[int(key) if key.isdigit() else key]
    at[last] = value
    return json.dumps(tree)


def test_a_card_comes_back_as_it_went(card: Card) -> None:
    assert from_json(to_json(card)) == card
    assert to_json(from_json(to_json(card))) == to_json(card)
    assert "\n" not in to_json(card)


@pytest.mark.parametrize(
    ("quantization", "told"),
    [
        (Quantization(), "float"),
        (Quantization("int8", "minmax", 8), "int8"),
        (Quantization("int8", "minmax", 7), "int8"),
        (Quantization("int8", "minmax", 4), "int4"),
    ],
)
def test_people_read_a_word_for_how_numbers_are_stored(
    quantization: Quantization, told: str
) -> None:
    assert quantization.precision == told


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("colour", "red", r"\$\.colour: unknown key"),
        ("spec.hopp", 1, r"\$\.spec\.hopp: unknown key; did you mean 'hop'"),
        ("outputs.0.unit", "V", r"\$\.outputs\[0\]\.unit: unknown key"),
        ("spec.window", 1024, "card: .*window"),
        ("parameters", "many", r"\$\.parameters: expected int, got str"),
        ("parameters", True, r"\$\.parameters: expected int"),
        ("parameters", -1, r"\$\.parameters: expected 0"),
        ("task", "music", r"\$\.task: expected one of 'speech'"),
        ("name", "../../etc/passwd", r"\$\.name"),
        ("digest", "F" * 64, r"\$\.digest"),
        ("outputs", [], r"\$\.outputs"),
        ("outputs.0.high", 0.0, r"outputs\[0\]: low"),
        ("outputs.1.labels", ["a", "a"], r"outputs\[1\]\.labels"),
        ("outputs.1.labels", ["a", " "], r"outputs\[1\]\.labels: expected 1 to 64 characters"),
        ("outputs.1.labels", ["a", "b" * 65], r"outputs\[1\]\.labels: expected 1 to 64"),
        ("calibration.class_temperature", 0.0, "class_temperature"),
        ("calibration.class_prior", [0.5, 0.5], r"class_prior: 2 shares"),
        ("calibration.class_prior", [0.25] * 8, r"class_prior: 8 shares that sum to 2"),
        ("schema", 3, "schema 3, this edgeemo reads 1; update edgeemo"),
        ("schema", True, "schema True"),
        ("min_edgeemo", "99.0.0", "needs edgeemo 99.0.0"),
        ("min_edgeemo", "next", r"\$\.min_edgeemo"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(
    card: Card, path: str, value: Any, message: str
) -> None:
    with pytest.raises(BadArtifact, match=message) as caught:
        from_json(changed(card, path, value), "m.onnx")
    assert str(caught.value).startswith("m.onnx: ")
    assert "\n" not in str(caught.value)


def test_every_key_is_needed_or_has_a_default(card: Card) -> None:
    optional = {f.name for f in dataclasses.fields(Card) if f.default is not dataclasses.MISSING}
    for key in schema.write(card):
        tree = json.loads(to_json(card))
        tree.pop(key, None)  # what is not known is absent already
        if key in optional:
            from_json(json.dumps(tree))
            continue
        with pytest.raises(BadArtifact, match=r"missing|schema"):
            from_json(json.dumps(tree))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "1",
        '"a"',
        "NaN",
        "[" * 100_000,
        "9" * 10_000,
        b"\xff\xfe",
        '{"schema": 1, "schema": 1}',
        '{"schema": 1, "parameters": Infinity}',
        "\ud800",
    ],
    ids=lambda t: repr(t)[:20],
)
def test_what_is_no_card_is_refused(text: str | bytes) -> None:
    with pytest.raises(BadArtifact):
        from_json(text)


def test_a_huge_card_is_refused_unread(card: Card) -> None:
    with pytest.raises(BadArtifact, match=f"at most {MAX_BYTES}"):
        from_json(to_json(card) + " " * MAX_BYTES)


def test_output_by_name(card: Card) -> None:
    assert card.output("adv") == Output("adv", ("arousal", "dominance", "valence"))
    assert card.output("hidden") is None


def test_a_card_is_checked_when_it_is_made(card: Card) -> None:
    with pytest.raises(BadArtifact, match="name"):
        replace(card, name="Tiny Model")
