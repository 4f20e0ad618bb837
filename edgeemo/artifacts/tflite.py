"""What is inside a TFLite file, read without any runtime and before any runtime sees it.

A file is a flatbuffer with a ZIP behind it: the card and the labels of the outputs. The runtimes
trust a flatbuffer, so `flatbuffer` checks each offset of it and `tflite_check` the graph.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from edgeemo.artifacts.card import MAX_BYTES as MAX_CARD
from edgeemo.artifacts.card import Card, from_json
from edgeemo.artifacts.reading import checked
from edgeemo.artifacts.tflite_graph import read_graph
from edgeemo.artifacts.tflite_operators import check_operators
from edgeemo.errors import BadArtifact

CARD_NAME = "edgeemo.card.json"
"""Name of the card in the ZIP."""

_MAX_ENTRIES = 8


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
    return checked(path, check)


def check(data: bytes) -> TfliteFile:
    """The same of a file's bytes.

    Raises:
        BadArtifact: see `read_tflite`; the message lacks the file's name.
    """
    if data[4:8] != b"TFL3":
        raise BadArtifact("not a TFLite model (another format, or a version other than 3)")
    model, card_bytes = _split(data)
    card = from_json(card_bytes)
    if digest(model) != card.digest:
        raise BadArtifact("the content does not fit the digest in its card; the file is damaged")
    check_operators(read_graph(model), card)
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
    # zipfile lists all entries before it says how many there are: give it no more than the card
    # and what stands beside it may take. Offsets then count from where this begins.
    start = max(0, len(data) - 2 * MAX_CARD)
    tail = data[start:]
    try:
        with zipfile.ZipFile(io.BytesIO(tail)) as archive:
            entries = archive.infolist()
            if not 1 <= len(entries) <= _MAX_ENTRIES:
                raise BadArtifact(f"{len(entries)} files in its ZIP; at most {_MAX_ENTRIES}")
            for entry in entries:
                if entry.compress_size > len(tail) - entry.header_offset:
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
            return data[: start + min(e.header_offset for e in entries)], card
    except faults as error:
        raise BadArtifact(
            f"truncated, or without the card that `edgeemo export` puts behind a model "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__:.80})"
        ) from None
