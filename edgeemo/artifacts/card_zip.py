"""The ZIP behind a model that holds its card: `unzip -p FILE edgeemo.card.json` shows it."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

from edgeemo.artifacts.card import MAX_BYTES
from edgeemo.errors import BadArtifact

CARD_NAME = "edgeemo.card.json"
"""Name of the card in the ZIP."""

_MAX_ENTRIES = 8
# What zipfile raises on damaged archives, by experience with random bytes.
_FAULTS = (
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


def split(data: bytes) -> tuple[bytes, bytes]:
    """What stands before the ZIP, and the card inside it.

    Args:
        data: bytes that end with the ZIP.

    Raises:
        BadArtifact: no ZIP there, a damaged one, one without a card, or one that is too large.
    """
    # zipfile lists all entries before it says how many there are: give it no more than the card
    # and what stands beside it may take. Offsets then count from where this begins.
    start = max(0, len(data) - 2 * MAX_BYTES)
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
            card = _card(archive, [e for e in entries if e.filename == CARD_NAME])
            return data[: start + min(e.header_offset for e in entries)], card
    except _FAULTS as error:
        raise BadArtifact(
            f"truncated, or without the card that `edgeemo export` puts behind a model "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__:.80})"
        ) from None


def _card(archive: zipfile.ZipFile, cards: list[zipfile.ZipInfo]) -> bytes:
    if len(cards) != 1:
        raise BadArtifact("has no card; a file made by `edgeemo export` has one")
    promised = cards[0].file_size
    if promised > MAX_BYTES:
        raise BadArtifact(f"the card says it has {promised} bytes; at most {MAX_BYTES} are read")
    with archive.open(cards[0]) as stream:
        # One byte more than promised: an entry may lie about its size.
        card = stream.read(promised + 1)
    if len(card) != promised:
        raise BadArtifact(
            f"the card has {len(card)} bytes, its ZIP entry says {promised}; the file is damaged"
        )
    return card
