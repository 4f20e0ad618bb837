"""Protobuf messages read field by field, without any library; each length is checked first.

Wire format: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from edgeemo.errors import BadArtifact

Field = tuple[int, int | memoryview]

MOST_FIELDS = 10_000
"""Fields of one message, or numbers of one list. The graph of the largest shipped model has 1,000;
without a bound a file of some MB keeps its reader busy for minutes."""


def fields(
    data: memoryview, name: str, repeated: Collection[int] = (), most: int = MOST_FIELDS
) -> Iterator[Field]:
    """Number and value of each field of a message: an int, or the bytes of a field.

    Args:
        data: the message.
        name: what it is, for messages.
        repeated: fields that may come more than once. Readers do not agree on what a second one
            means for the others.
        most: fields that it may have.

    Raises:
        BadArtifact: it ends inside a field, has a field twice or of a kind that there is not, or
            too many.
    """
    seen: set[int] = set()
    for count, (at, value) in enumerate(_fields(data, name)):
        if count >= most:
            raise BadArtifact(f"{name} has more than {most} fields")
        if at in seen and at not in repeated:
            raise BadArtifact(f"not an ONNX model: {name} has two fields {at}")
        seen.add(at)
        yield at, value


def _fields(data: memoryview, name: str) -> Iterator[Field]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at, name)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise BadArtifact(f"not an ONNX model: {name} has a field 0")
        if wire == 0:
            value, at = _varint(data, at, name)
            yield number, value
            continue
        if wire == 2:
            length, at = _varint(data, at, name)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise BadArtifact(f"not an ONNX model: {name} has a field of wire type {wire}")
        if length > len(data) - at:
            raise BadArtifact(f"truncated, or not an ONNX model: {name} ends too early")
        yield number, data[at : at + length]
        at += length


def message(value: int | memoryview | bytes, name: str) -> memoryview:
    """A field that must be bytes.

    Args:
        value: of a field.
        name: of the field, for messages.

    Raises:
        BadArtifact: it is a number.
    """
    if isinstance(value, int):
        raise BadArtifact(f"not an ONNX model: {name} is a number")
    return memoryview(value)


def text(value: int | memoryview | bytes, name: str) -> str:
    """A field that must be text; bytes that are no UTF-8 are replaced.

    Args:
        value: of a field.
        name: of the field, for messages.

    Raises:
        BadArtifact: it is a number.
    """
    return bytes(message(value, name)).decode("utf-8", "replace")


def number(value: int | memoryview, name: str) -> int:
    """A field that must be a number, with its sign: 64 bits in two's complement.

    Args:
        value: of a field.
        name: of the field, for messages.

    Raises:
        BadArtifact: it is bytes.
    """
    if not isinstance(value, int):
        raise BadArtifact(f"not an ONNX model: {name} is no number")
    return (value + 2**63) % 2**64 - 2**63


def numbers(value: int | memoryview, name: str) -> list[int]:
    """A repeated number: one of its values, or all of them packed.

    Args:
        value: of a field.
        name: of the field, for messages.

    Raises:
        BadArtifact: packed bytes that end too early, a number that is too long, or too many.
    """
    if isinstance(value, int):
        return [number(value, name)]
    values: list[int] = []
    at = 0
    while at < len(value):
        if len(values) >= MOST_FIELDS:
            raise BadArtifact(f"{name} has more than {MOST_FIELDS} numbers")
        found, at = _varint(value, at, name)
        values.append(number(found, name))
    return values


def _varint(data: memoryview, at: int, name: str) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise BadArtifact(f"truncated, or not an ONNX model: {name} ends too early")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise BadArtifact(f"not an ONNX model: {name} has a number of more than 10 bytes")
