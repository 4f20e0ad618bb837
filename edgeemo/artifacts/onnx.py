"""What is inside an ONNX file, read without the onnx package and before any runtime sees it.

A model file may come from anywhere. `onnx_graph` reads what edgeemo's own writer puts into a file
and refuses all else, `onnx_check` holds it to its card and to bounds of memory and work; here the
card is found and the content compared with the digest in it.

The card is a ZIP at the end of the file, as in a TFLite file, in a field that ONNX does not use:
every reader of protobuf skips it, and `unzip -p FILE edgeemo.card.json` shows it. In files of
edgeemo before 0.2 it is an entry of the metadata, which takes the card as plain text alone.

Field numbers: onnx.proto3 of ONNX 1.17 (ModelProto).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from edgeemo.artifacts.card import Card, from_json
from edgeemo.artifacts.card_zip import split
from edgeemo.artifacts.onnx_check import check_graph
from edgeemo.artifacts.onnx_graph import check_domain, read_graph
from edgeemo.artifacts.protobuf import fields, message, number, text
from edgeemo.artifacts.reading import checked
from edgeemo.errors import BadArtifact

CARD_KEY = "edgeemo.card"
"""Key of the card in the metadata of older files."""

CARD_FIELD = 2047
"""Field of the model with the ZIP that holds the card; ONNX's own numbers end at 26."""

OPSET = 17
"""Version of the operators that files use."""

INT4_OPSET = 21
"""Of files with weights of four bits, which came with it."""

_METADATA = 14
_ABOUT = (_METADATA, CARD_FIELD)  # no part of the digest
_MODEL_VALUES = {1, 2, 3, 4, 5, 6, 7, 8, *_ABOUT}  # no training_info, no functions


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
    graphs = []
    for at, value in fields(memoryview(data), "model", repeated=(8, 14)):
        if at not in _MODEL_VALUES:
            raise BadArtifact(f"not an edgeemo model: field {at} of the model is not expected")
        if at == 7:
            graphs.append(message(value, "graph"))
        elif at == 8:
            _check_opset(message(value, "opset"))
    if len(graphs) != 1:
        raise BadArtifact("not an ONNX model (truncated, or another format)")
    card = from_json(find_card(data))
    if digest(data) != card.digest:
        raise BadArtifact("the content does not fit the digest in its card; the file is damaged")
    check_graph(read_graph(graphs[0]), card)
    return OnnxFile(data, card)


def find_card(data: bytes) -> bytes:
    """The JSON of the card in a file's bytes; nothing else of them is judged.

    Raises:
        BadArtifact: no card, two, or a damaged file.
    """
    cards: list[bytes] = []
    for at, value in fields(memoryview(data), "model", repeated=(8, 14)):
        if at == CARD_FIELD:
            cards.append(split(bytes(message(value, "card")))[1])
        elif at == _METADATA:
            pair = dict(fields(message(value, "metadata"), "metadata"))
            if text(pair.get(1, b""), "metadata key") == CARD_KEY:
                cards.append(bytes(message(pair.get(2, b""), "card")))
    if len(cards) != 1:
        raise BadArtifact(f"has {len(cards) or 'no'} card; a file made by `edgeemo export` has one")
    return cards[0]


def _check_opset(opset: memoryview) -> None:
    check_domain(opset, 1)
    found = dict(fields(opset, "opset")).get(2, 0)
    if number(found, "version") not in (OPSET, INT4_OPSET):
        raise BadArtifact(f"operator set {found!r}; edgeemo writes and runs {OPSET}, {INT4_OPSET}")


def digest(data: bytes) -> str:
    """sha256 (hex) of an ONNX file's fields, in order, without metadata and card."""
    sha = hashlib.sha256()
    for at, value in fields(memoryview(data), "model", repeated=(8, 14)):
        if at in _ABOUT:
            continue
        body = value if isinstance(value, memoryview) else str(value).encode()
        # The length keeps two neighbours from sharing a byte.
        sha.update(f"{at}:{len(body)};".encode())
        sha.update(body)
    return sha.hexdigest()
