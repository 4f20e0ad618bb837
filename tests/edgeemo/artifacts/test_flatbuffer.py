"""A flatbuffer whose offsets meet has any number of tables; they are counted."""

from __future__ import annotations

import struct

import pytest

from edgeemo.artifacts.flatbuffer import MOST, Table
from edgeemo.artifacts.tflite_check import check_model
from edgeemo.errors import BadArtifact


def shared(graphs: int, tensors: int) -> bytes:
    """A model with a list of `graphs` times one subgraph, in which one tensor is listed often."""
    out = bytearray(8)

    def table(field: int) -> int:
        """A table with one field, which is 4 bytes on; where it begins."""
        slots = [0] * field + [4]
        size = 4 + 2 * len(slots)
        out.extend(struct.pack(f"<HH{len(slots)}H", size, 8, *slots) + bytes(-size % 4))
        at = len(out)
        out.extend(struct.pack("<iI", size + -size % 4, 4))
        return at

    def listed(count: int) -> range:
        """A list of offsets, which are not known yet; where they stand."""
        out.extend(struct.pack("<I", count) + bytes(4 * count))
        return range(len(out) - 4 * count, len(out), 4)

    root = table(2)
    places = [(place, 0) for place in listed(graphs)]
    graph = table(0)
    inner = listed(tensors)
    out.extend(struct.pack("<HH", 4, 4))
    tensor = len(out)
    out.extend(struct.pack("<i", 4))
    targets = [(place, graph) for place, _ in places] + [(place, tensor) for place in inner]
    for place, target in [(0, root), *targets]:
        struct.pack_into("<I", out, place, target - place)
    out[4:8] = b"TFL3"
    return bytes(out)


def root_of(model: bytes) -> Table:
    return Table(memoryview(model), struct.unpack_from("<I", model)[0], "Model")


def test_tables_are_counted_each_time_they_are_reached() -> None:
    assert root_of(shared(3, 5)).verify() == 1 + 3 * (1 + 5)
    assert root_of(shared(1, MOST - 2)).verify() == MOST


@pytest.mark.parametrize(
    ("graphs", "tensors", "says"),
    [
        (1, MOST - 1, f"more than {MOST} tables"),
        (2000, 2000, f"more than {MOST} tables"),
        (MOST + 1, 0, f"{MOST + 1} elements of field 2"),
        (1, 10**6, "1000000 elements of field 0"),
    ],
)
def test_a_small_file_of_many_tables(graphs: int, tensors: int, says: str) -> None:
    with pytest.raises(BadArtifact, match=says):
        check_model(shared(graphs, tensors))


def test_a_table_of_many_fields() -> None:
    model = bytearray(shared(1, 1))
    (at,) = struct.unpack_from("<I", model)
    (back,) = struct.unpack_from("<i", model, at)
    struct.pack_into("<H", model, at - back, 4 + 2 * 65)
    with pytest.raises(BadArtifact, match="its list of fields is damaged"):
        check_model(bytes(model) + bytes(200))


def test_a_list_of_many_numbers() -> None:
    body = struct.pack("<HHH", 6, 8, 4) + b"\0\0" + struct.pack("<iI", 8, 4)
    body += struct.pack("<I", MOST + 1) + bytes(4 * (MOST + 1))
    with pytest.raises(BadArtifact, match=f"{MOST + 1} elements of field 0; at most {MOST}"):
        Table(memoryview(body), 8, "Tensor").numbers(0)
