"""What is inside a TFLite file, read without any runtime and before any runtime sees it.

A file is a flatbuffer with a ZIP behind it: the card and the labels of the outputs. The runtimes
trust a flatbuffer's offsets, so each of them is checked here, with all that they take for granted:
shapes that fit their bytes, strides that are not 0, indexes that exist, operators that are known.
Everything that edgeemo's own writer does not write is refused.

Table numbers: schema.fbs of TensorFlow Lite, version 3.
"""

from __future__ import annotations

import hashlib
import io
import math
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from edgeemo.artifacts.card import MAX_BYTES as MAX_CARD
from edgeemo.artifacts.card import Card, from_json
from edgeemo.artifacts.reading import read_bytes
from edgeemo.errors import BadArtifact

CARD_NAME = "edgeemo.card.json"
"""Name of the card in the ZIP."""

MAX_BYTES = 64 * 2**20
"""Largest file that is read. The models this is for have some 100 KB."""

OPERATORS = {
    0: "ADD",
    1: "AVERAGE_POOL_2D",
    2: "CONCATENATION",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    9: "FULLY_CONNECTED",
    14: "LOGISTIC",
    17: "MAX_POOL_2D",
    18: "MUL",
    19: "RELU",
    21: "RELU6",
    22: "RESHAPE",
    25: "SOFTMAX",
    34: "PAD",
    39: "TRANSPOSE",
    40: "MEAN",
    41: "SUB",
    42: "DIV",
    43: "SQUEEZE",
    45: "STRIDED_SLICE",
    65: "SLICE",
    74: "SUM",
    114: "QUANTIZE",
    117: "HARD_SWISH",
    126: "BATCH_MATMUL",
}
"""Operators that a file may use, by number. None of them runs other code or reads other files."""

_MAX_ENTRIES = 8
_MAX_ELEMENTS = 2**28
_MAX_PAD = 4096
_TYPE_BYTES = {0: 4, 2: 4, 4: 8, 7: 2, 9: 1}  # float32, int32, int64, int16, int8

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
    "Quantization": {0: "[4]", 1: "[4]", 2: "[4]", 3: "[8]", 4: "1", 6: "4"},
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

# Operator, the number of its options' kind, and the options that must be 1 or more: a stride of 0
# is a division by zero in a runtime.
_POSITIVE = {3: (1, (1, 2)), 4: (2, (1, 2, 3)), 1: (5, (1, 2, 3, 4)), 17: (5, (1, 2, 3, 4))}
_DILATIONS = {3: (4, 5), 4: (5, 6)}
_RESHAPE_OPTIONS = 17


@dataclass(frozen=True)
class TfliteFile:
    """A file that has been checked.

    Attributes:
        model: the flatbuffer, without what lies behind it.
        card: the card, its digest compared with the flatbuffer.
        bytes: of the whole file.
    """

    model: bytes
    card: Card
    bytes: int


def read_tflite(path: Path) -> TfliteFile:
    """Read and check a file.

    Raises:
        BadArtifact: not there, too large, truncated, not TFLite, without a card, or holding
            something that edgeemo's writer does not write.
    """
    data = read_bytes(path, MAX_BYTES)
    try:
        return check(data)
    except BadArtifact as error:
        raise BadArtifact(f"{path}: {error}") from None


def check(data: bytes) -> TfliteFile:
    """The parts of a file's bytes.

    Raises:
        BadArtifact: see `read_tflite`; the message lacks the file's name.
    """
    if data[4:8] != b"TFL3":
        raise BadArtifact("not a TFLite model (another format, or a version other than 3)")
    model, card_bytes = _split(data)
    card = from_json(card_bytes)
    if digest(model) != card.digest:
        raise BadArtifact("the content does not fit the digest in its card; the file is damaged")
    check_model(model)
    return TfliteFile(model, card, len(data))


def digest(model: bytes) -> str:
    """sha256 (hex) of the flatbuffer: all that stands before the ZIP."""
    return hashlib.sha256(model).hexdigest()


def _split(data: bytes) -> tuple[bytes, bytes]:
    """The flatbuffer, and the card from the ZIP behind it."""
    # What zipfile raises on damaged archives, by experience with random bytes.
    faults = (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        OSError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        OverflowError,
        MemoryError,
    )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if not 1 <= len(entries) <= _MAX_ENTRIES:
                raise BadArtifact(f"{len(entries)} files in its ZIP; at most {_MAX_ENTRIES}")
            for entry in entries:
                if entry.compress_size > len(data) - entry.header_offset:
                    raise BadArtifact(
                        f"the ZIP entry {entry.filename!r:.40} says it has {entry.compress_size} "
                        "bytes, more than are left in the file; the file is damaged"
                    )
            cards = [e for e in entries if e.filename == CARD_NAME]
            if len(cards) != 1:
                raise BadArtifact("has no card; a file made by `edgeemo export` has one")
            if cards[0].file_size > MAX_CARD:
                raise BadArtifact(
                    f"the card says it has {cards[0].file_size} bytes; at most {MAX_CARD} are read"
                )
            with archive.open(cards[0]) as stream:
                # One byte more than promised: an entry may lie about its size.
                card = stream.read(cards[0].file_size + 1)
            if len(card) != cards[0].file_size:
                raise BadArtifact(
                    f"the card has {len(card)} bytes, its ZIP entry says "
                    f"{cards[0].file_size}; the file is damaged"
                )
            return data[: min(e.header_offset for e in entries)], card
    except faults as error:
        raise BadArtifact(
            f"truncated, or without the card that `edgeemo export` puts behind a model "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__:.80})"
        ) from None


def check_model(model: bytes) -> None:
    """Walk a flatbuffer.

    Raises:
        BadArtifact: an offset leads out of it, a part is not of the kind that edgeemo writes, or
            the graph asks for what a runtime does not check.
    """
    try:
        root = Table(memoryview(model), struct.unpack_from("<I", model)[0], "Model")
        root.verify()
        _check_graph(root)
    except (struct.error, IndexError, RecursionError):
        raise BadArtifact("truncated, or not a TFLite model: an offset leads out of it") from None


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
        if size < 4 or size % 2 or self.size < 4:
            raise self._wrong("its list of fields is damaged")
        self._span(vtable, size)
        self._span(at, self.size)
        self._fields = struct.unpack_from(f"<{size // 2 - 2}H", data, vtable + 4)

    def place(self, field: int, size: int = 1) -> int | None:
        """Where a field lies, or None if it is left at its default."""
        offset = self._fields[field] if field < len(self._fields) else 0
        if offset and offset + size > self.size:
            raise self._wrong(f"field {field} lies outside")
        return self.at + offset if offset else None

    def number(self, field: int, kind: str = "<i", default: int = 0) -> int:
        """A number; `kind` is a format of struct."""
        place = self.place(field, struct.calcsize(kind))
        return default if place is None else self._number(kind, place)

    def table(self, field: int, kind: str) -> Table | None:
        """A table that this one points to."""
        place = self.place(field, 4)
        return None if place is None else Table(self.data, self._follow(place), kind)

    def tables(self, field: int, kind: str) -> list[Table]:
        """All tables of a list."""
        start, count = self.vector(field, 4)
        places = range(start, start + 4 * count, 4)
        return [Table(self.data, self._follow(place), kind) for place in places]

    def vector(self, field: int, size: int) -> tuple[int, int]:
        """Start and length of a vector of elements of `size` bytes; 0, 0 if there is none."""
        place = self.place(field, 4)
        if place is None:
            return 0, 0
        start = self._follow(place)
        count = self._number("<I", start)
        self._span(start + 4, count * size)
        return start + 4, count

    def numbers(self, field: int, kind: str = "i") -> tuple[int, ...]:
        """A vector of numbers; `kind` is a letter of struct."""
        start, count = self.vector(field, struct.calcsize(f"<{kind}"))
        return struct.unpack_from(f"<{count}{kind}", self.data, start) if count else ()

    def verify(self) -> None:
        """Check all fields of this table and of those it leads to."""
        if self.kind == "Options":
            for field in range(len(self._fields)):
                self.place(field)
            return
        known = _TABLES[self.kind]
        for field in range(len(self._fields)):
            if self.place(field) is None:
                continue
            what = known.get(field)
            if what is None:
                raise self._wrong(f"field {field} is not expected")
            self._verify_field(field, what)

    def _verify_field(self, field: int, what: str) -> None:
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
            for table in self.tables(field, inner):
                table.verify()
        else:
            found = self.table(field, inner)
            assert found is not None
            found.verify()

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


def _check_graph(model: Table) -> None:
    if model.number(0, "<I") != 3:
        raise BadArtifact(f"TFLite version {model.number(0, '<I')}; 3 is read")
    graphs, buffers = model.tables(2, "SubGraph"), model.tables(4, "Buffer")
    if len(graphs) != 1 or not buffers:
        raise BadArtifact(f"{len(graphs)} graphs; a model has one")
    sizes = [b.vector(0, 1) for b in buffers]
    tensors = graphs[0].tables(0, "Tensor")
    shapes = [_check_tensor(t, sizes) for t in tensors]
    codes = [_operator(code) for code in model.tables(1, "OperatorCode")]
    made = set(_indexes(graphs[0].numbers(1), len(tensors)))
    made |= {i for i, t in enumerate(tensors) if sizes[t.number(2, "<I")][1]}
    for op in graphs[0].tables(3, "Operator"):
        inputs = [i for i in op.numbers(1) if i != -1]
        outputs = _indexes(op.numbers(2), len(tensors))
        if not set(_indexes(inputs, len(tensors))) <= made or not made.isdisjoint(outputs):
            raise BadArtifact("operators are not in the order in which they can run")
        made.update(outputs)
        code = op.number(0, "<I")
        if code >= len(codes):
            raise BadArtifact(f"operator number {code} of {len(codes)}")
        _check_operator(codes[code], op, [tensors[i] for i in inputs], sizes)
    if not set(_indexes(graphs[0].numbers(2), len(tensors))) <= made:
        raise BadArtifact("an output is made by no operator")
    for signature in model.tables(7, "SignatureDef"):
        ends = [*signature.tables(0, "TensorMap"), *signature.tables(1, "TensorMap")]
        _indexes([end.number(1, "<I") for end in ends], len(tensors))
        if signature.number(4, "<I"):
            raise BadArtifact("a signature of a graph that is not there")
    if sum(math.prod(shape) for shape in shapes) > _MAX_ELEMENTS:
        raise BadArtifact("its values need too much memory")


def _operator(code: Table) -> int:
    number = max(code.number(3), code.number(0, "<b"))
    if number not in OPERATORS:
        raise BadArtifact(f"operator {number} is not one that edgeemo runs")
    return number


def _check_tensor(tensor: Table, sizes: list[tuple[int, int]]) -> tuple[int, ...]:
    shape, kind, buffer = tensor.numbers(0), tensor.number(1, "<b"), tensor.number(2, "<I")
    if kind not in _TYPE_BYTES or tensor.number(5, "<b"):
        raise BadArtifact(f"a tensor of type {kind}, or a variable; edgeemo writes neither")
    if len(shape) > 5 or any(not 0 < n < _MAX_ELEMENTS for n in shape):
        raise BadArtifact(f"a tensor of shape {shape[:8]}")
    if buffer >= len(sizes):
        raise BadArtifact(f"buffer {buffer} of {len(sizes)}")
    count = sizes[buffer][1]
    if count and count != math.prod(shape) * _TYPE_BYTES[kind]:
        raise BadArtifact(f"a tensor of shape {shape} and type {kind} has {count} bytes")
    found = tensor.table(4, "Quantization")
    if found is not None:
        scales, zeros, axis = found.numbers(2, "f"), found.numbers(3, "q"), found.number(6)
        many = len(scales) > 1
        if len(scales) != len(zeros) or (
            many and (not 0 <= axis < len(shape) or shape[axis] != len(scales))
        ):
            raise BadArtifact(f"{len(scales)} scales on a tensor of shape {shape}")
        if not all(0 < s < 1e30 for s in scales) or any(not -128 <= z <= 127 for z in zeros):
            raise BadArtifact("a scale or a zero point that int8 does not have")
    return shape


def _check_operator(
    code: int, op: Table, inputs: list[Table], sizes: list[tuple[int, int]]
) -> None:
    options = op.table(4, "Options")
    kind, positive = _POSITIVE.get(code, (0, ()))
    if kind:
        if options is None or op.number(3, "<B") != kind:
            raise BadArtifact(f"{OPERATORS[code]} without its options")
        numbers = [options.number(f) for f in positive]
        numbers += [options.number(f, default=1) for f in _DILATIONS.get(code, ())]
        if not all(0 < n <= _MAX_PAD for n in numbers):
            raise BadArtifact(f"{OPERATORS[code]} with steps of {numbers}")
    elif options is not None and op.number(3, "<B") == _RESHAPE_OPTIONS:
        options.vector(0, 4)
    if code == 34 and len(inputs) == 2:  # PAD
        start, count = sizes[inputs[1].number(2, "<I")]
        widths = struct.unpack_from(f"<{count // 4}i", op.data, start)
        if not count or not all(0 <= w <= _MAX_PAD for w in widths):
            raise BadArtifact(f"padding of {widths[:8]}")


def _indexes(found: tuple[int, ...] | list[int], count: int) -> tuple[int, ...]:
    if any(not 0 <= i < count for i in found):
        raise BadArtifact(f"tensor {next(i for i in found if not 0 <= i < count)} of {count}")
    return tuple(found)
