"""What is inside an ONNX file, read without the onnx package and before any runtime sees it.

A model file may come from anywhere. `onnx_graph` reads what edgeemo's own writer puts into a file
and refuses all else, `onnx_check` holds it to its card and to bounds of memory and work; here the
card is found and the content compared with the digest in it.

Field numbers: onnx.proto3 of ONNX 1.17 (ModelProto).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from edgeemo.artifacts.card import Card, from_json
from edgeemo.artifacts.onnx_check import check_graph
from edgeemo.artifacts.onnx_graph import check_domain, read_graph
from edgeemo.artifacts.protobuf import fields, message, number, text
from edgeemo.artifacts.reading import checked
from edgeemo.errors import BadArtifact

CARD_KEY = "edgeemo.card"
"""Key of the card in the file's metadata."""

OPSET = 17
"""Version of the operators that files use."""

_MODEL_VALUES = {1, 2, 3, 4, 5, 6, 7, 8, 14}  # no training_info, no functions


@dataclass(frozen=True)
class OnnxFile:
    """A file that has been checked.

    Attributes:
        data: its bytes.
        card: the card, its digest compared with the content.
    """

    data: bytes
    card: Card


def read_onnx(path: Path) -> OnnxFile:
    """Read and check a file.

    Raises:
        BadArtifact: not there, too large, truncated, not ONNX, without a card, or holding
            something that edgeemo's writer does not write.
    """
    return checked(path, check)


def check(data: bytes) -> OnnxFile:
    """The same of a file's bytes.

    Raises:
        BadArtifact: see `read_onnx`; the message lacks the file's name.
    """
    graphs, metadata = [], []
    for at, value in fields(memoryview(data), "model", repeated=(8, 14)):
        if at not in _MODEL_VALUES:
            raise BadArtifact(f"not an edgeemo model: field {at} of the model is not expected")
        if at == 7:
            graphs.append(message(value, "graph"))
        elif at == 8:
            _check_opset(message(value, "opset"))
        elif at == 14:
            metadata.append(message(value, "metadata"))
    if len(graphs) != 1:
        raise BadArtifact("not an ONNX model (truncated, or another format)")
    card = from_json(_card_bytes(metadata))
    if digest(data) != card.digest:
        raise BadArtifact("the content does not fit the digest in its card; the file is damaged")
    check_graph(read_graph(graphs[0]), card)
    return OnnxFile(data, card)


def _check_opset(opset: memoryview) -> None:
    check_domain(opset, 1)
    found = dict(fields(opset, "opset")).get(2, 0)
    if number(found, "version") != OPSET:
        raise BadArtifact(f"operator set {found!r}; edgeemo writes and runs {OPSET}")


def digest(data: bytes) -> str:
    """sha256 (hex) of an ONNX file's fields, in order, without its metadata."""
    sha = hashlib.sha256()
    for at, value in fields(memoryview(data), "model", repeated=(8, 14)):
        if at == 14:
            continue
        body = value if isinstance(value, memoryview) else str(value).encode()
        # The length keeps two neighbours from sharing a byte.
        sha.update(f"{at}:{len(body)};".encode())
        sha.update(body)
    return sha.hexdigest()


def _card_bytes(metadata: list[memoryview]) -> bytes:
    cards = []
    for entry in metadata:
        pair = dict(fields(entry, "metadata"))
        if text(pair.get(1, b""), "metadata key") == CARD_KEY:
            cards.append(bytes(message(pair.get(2, b""), "card")))
    if len(cards) != 1:
        raise BadArtifact(f"has {len(cards) or 'no'} card; a file made by `edgeemo export` has one")
    return cards[0]
