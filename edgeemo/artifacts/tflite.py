"""What is inside a TFLite file, read without any runtime and before any runtime sees it.

A file is a flatbuffer with a ZIP behind it: the card and the labels of the outputs. The runtimes
trust a flatbuffer, so `flatbuffer` checks each offset of it and `tflite_check` the graph.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from edgeemo.artifacts.card import Card, from_json
from edgeemo.artifacts.card_zip import split
from edgeemo.artifacts.reading import checked
from edgeemo.artifacts.tflite_graph import read_graph
from edgeemo.artifacts.tflite_operators import check_operators
from edgeemo.errors import BadArtifact


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
    model, card_bytes = split(data)
    card = from_json(card_bytes)
    if digest(model) != card.digest:
        raise BadArtifact("the content does not fit the digest in its card; the file is damaged")
    check_operators(read_graph(model), card)
    return TfliteFile(model, card, len(data))


def digest(model: bytes) -> str:
    """sha256 (hex) of the flatbuffer: all that stands before the ZIP."""
    return hashlib.sha256(model).hexdigest()
