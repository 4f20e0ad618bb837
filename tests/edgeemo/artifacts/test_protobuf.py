"""Messages of any number of fields are refused before they take minutes."""

from __future__ import annotations

import pytest

from edgeemo.artifacts.onnx_graph import read_graph
from edgeemo.artifacts.protobuf import MOST_FIELDS, fields, numbers
from edgeemo.errors import BadArtifact


def field(number: int, body: bytes) -> bytes:
    size = b""
    left = len(body)
    while left > 127:
        size, left = size + bytes([left & 127 | 128]), left >> 7
    return bytes([number << 3 | 2]) + size + bytes([left]) + body


def test_fields_are_counted() -> None:
    data = field(1, b"") * MOST_FIELDS
    assert len(list(fields(memoryview(data), "graph", (1,)))) == MOST_FIELDS
    with pytest.raises(BadArtifact, match=f"graph has more than {MOST_FIELDS} fields"):
        list(fields(memoryview(data + field(1, b"")), "graph", (1,)))
    with pytest.raises(BadArtifact, match="tensor has more than 64 fields"):
        list(fields(memoryview(field(1, b"") * 65), "tensor", (1,), 64))


def test_packed_numbers_are_counted() -> None:
    assert numbers(memoryview(bytes([5, 0x80, 1])), "dims") == [5, 128]
    with pytest.raises(BadArtifact, match=f"dims has more than {MOST_FIELDS} numbers"):
        numbers(memoryview(b"\1" * (MOST_FIELDS + 1)), "dims")


@pytest.mark.parametrize(
    ("graph", "says"),
    [
        (field(1, field(4, b"Relu") + field(3, b"x" * 2**20)), "beside its constants"),
        (field(13, b"x" * 2**20) + field(13, b"x"), "beside its constants"),
        (field(5, field(1, b"") * 100), "more than 64 fields"),
        (field(5, field(1, b"\x7f" * 9000)), "is too large"),
        (field(13, b"") * (MOST_FIELDS + 1), "more than 10000 fields"),
    ],
    ids=["one node", "descriptions", "a tensor's fields", "a tensor's axes", "values"],
)
def test_what_takes_long_to_read(graph: bytes, says: str) -> None:
    with pytest.raises(BadArtifact, match=says):
        read_graph(memoryview(graph))
