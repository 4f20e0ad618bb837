"""A flatbuffer read without any library: each offset is checked before it is followed.

The tables are those of a TFLite model that edgeemo writes; a field that is not listed is refused.
Table numbers: schema.fbs of TensorFlow Lite, version 3.
"""

from __future__ import annotations

import struct

from edgeemo.errors import BadArtifact

# Fields of a table: a number's bytes, "text", "[n]" for a vector of numbers of n bytes, or the
# kind of table, "[Kind]" for many. Numbers that are not listed are refused.
_TABLES: dict[str, dict[int, str]] = {
    "Model": {
        0: "4",
        1: "[OperatorCode]",
        2: "[SubGraph]",
        3: "text",
        4: "[Buffer]",
        5: "[4]",
        6: "[Metadata]",
        7: "[SignatureDef]",
    },
    "OperatorCode": {0: "1", 2: "4", 3: "4"},
    "SubGraph": {0: "[Tensor]", 1: "[4]", 2: "[4]", 3: "[Operator]", 4: "text", 5: "4"},
    "Tensor": {0: "[4]", 1: "1", 2: "4", 3: "text", 4: "Quantization", 5: "1", 7: "[4]", 8: "1"},
    "Quantization": {2: "[4]", 3: "[8]", 4: "1", 6: "4"},
    "Operator": {
        0: "4",
        1: "[4]",
        2: "[4]",
        3: "1",
        4: "Options",
        6: "1",
        7: "[1]",
        8: "[4]",
        13: "4",
    },
    "Buffer": {0: "[1]"},
    "Metadata": {},
    "SignatureDef": {0: "[TensorMap]", 1: "[TensorMap]", 2: "text", 4: "4"},
    "TensorMap": {0: "text", 1: "4"},
}


MOST = 4096
"""Tables that are reached in a file, and numbers of one list; the largest shipped model has 409.
Offsets may meet, so that a small file would have any number of them."""

_MOST_FIELDS = 64  # of a table; the schema's largest has 19


class Table:
    """A table of a flatbuffer, each access within bounds.

    Args:
        data: the flatbuffer.
        at: where the table begins.
        kind: key of the list of tables above, or "Options".

    Raises:
        BadArtifact: the table does not lie in the flatbuffer.
    """

    def __init__(self, data: memoryview, at: int, kind: str) -> None:
        self.data, self.at, self.kind = data, at, kind
        vtable = at - self._number("<i", at)
        size = self._number("<H", vtable)
        self.size = self._number("<H", vtable + 2)
        if size < 4 or size % 2 or self.size < 4 or size > 4 + 2 * _MOST_FIELDS:
            raise self._wrong("its list of fields is damaged")
        self._span(vtable, size)
        self._span(at, self.size)
        self._fields = struct.unpack_from(f"<{size // 2 - 2}H", data, vtable + 4)

    def place(self, field: int, size: int = 1) -> int | None:
        """Where a field lies, or None if it is left at its default.

        Args:
            field: its number in the schema.
            size: bytes that it takes.

        Raises:
            BadArtifact: it lies outside of the table.
        """
        offset = self._fields[field] if field < len(self._fields) else 0
        if offset and offset + size > self.size:
            raise self._wrong(f"field {field} lies outside")
        return self.at + offset if offset else None

    def number(self, field: int, kind: str = "<i", default: int = 0) -> int:
        """A number; `kind` is a format of struct.

        Args:
            field: its number in the schema.
            kind: format of struct, with the order of bytes.
            default: what it is where it is left out.

        Raises:
            BadArtifact: it lies outside of the table.
        """
        place = self.place(field, struct.calcsize(kind))
        return default if place is None else self._number(kind, place)

    def table(self, field: int, kind: str) -> Table | None:
        """A table that this one points to.

        Args:
            field: its number in the schema.
            kind: of the table, as for `Table`.

        Raises:
            BadArtifact: it does not lie in the flatbuffer.
        """
        place = self.place(field, 4)
        return None if place is None else Table(self.data, self._follow(place), kind)

    def tables(self, field: int, kind: str) -> list[Table]:
        """All tables of a list.

        Args:
            field: its number in the schema.
            kind: of each table, as for `Table`.

        Raises:
            BadArtifact: one does not lie in the flatbuffer, or there are more than MOST.
        """
        start, count = self.vector(field, 4, MOST)
        places = range(start, start + 4 * count, 4)
        return [Table(self.data, self._follow(place), kind) for place in places]

    def vector(self, field: int, size: int, most: int | None = None) -> tuple[int, int]:
        """Start and length of a vector of elements of `size` bytes; 0, 0 if there is none.

        Args:
            field: its number in the schema.
            size: bytes of an element.
            most: elements that it may have; None for any number.

        Raises:
            BadArtifact: it does not lie in the flatbuffer, or has too many elements.
        """
        place = self.place(field, 4)
        if place is None:
            return 0, 0
        start = self._follow(place)
        count = self._number("<I", start)
        self._span(start + 4, count * size)
        if most is not None and count > most:
            raise self._wrong(f"{count} elements of field {field}; at most {most} are read")
        return start + 4, count

    def numbers(self, field: int, kind: str = "i") -> tuple[int, ...]:
        """A vector of numbers; `kind` is a letter of struct.

        Args:
            field: its number in the schema.
            kind: letter of struct, without the order of bytes.

        Raises:
            BadArtifact: it does not lie in the flatbuffer, or has more than MOST numbers.
        """
        start, count = self.vector(field, struct.calcsize(f"<{kind}"), MOST)
        return struct.unpack_from(f"<{count}{kind}", self.data, start) if count else ()

    def verify(self) -> int:
        """Check all fields of this table and of those it leads to; how many tables that are.

        Raises:
            BadArtifact: one does not lie in the flatbuffer, or there are more than MOST.
        """
        if self.kind == "Options":
            for field in range(len(self._fields)):
                self.place(field)
            return 1
        known = _TABLES[self.kind]
        count = 1
        for field in range(len(self._fields)):
            if self.place(field) is None:
                continue
            what = known.get(field)
            if what is None:
                raise self._wrong(f"field {field} is not expected")
            for table in self._verify_field(field, what):
                count += table.verify()
                if count > MOST:
                    raise self._wrong(f"more than {MOST} tables")
        return count

    def _verify_field(self, field: int, what: str) -> list[Table]:
        """Check a field; the tables that it leads to."""
        inner = what.strip("[]")
        if what.isdigit():
            self.place(field, int(what))
        elif what == "text":
            start, count = self.vector(field, 1)
            self._span(start + count, 1)  # a zero that the count leaves out
            if self.data[start + count]:
                raise self._wrong(f"text {field} has no end")
        elif inner.isdigit():
            self.vector(field, int(inner))
        elif what.startswith("["):
            return self.tables(field, inner)
        else:
            found = self.table(field, inner)
            assert found is not None
            return [found]
        return []

    def _follow(self, place: int) -> int:
        return place + self._number("<I", place)

    def _number(self, kind: str, place: int) -> int:
        self._span(place, struct.calcsize(kind))
        return int(struct.unpack_from(kind, self.data, place)[0])

    def _span(self, start: int, size: int) -> None:
        if start < 0 or start + size > len(self.data):
            raise self._wrong("an offset leads out of the file")

    def _wrong(self, why: str) -> BadArtifact:
        return BadArtifact(f"truncated, or not an edgeemo model: {self.kind}: {why}")
