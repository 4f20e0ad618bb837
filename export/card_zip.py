"""The ZIP behind a model, with its card; `edgeemo.artifacts.card_zip` reads it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

from edgeemo.artifacts.card import Card, to_json
from edgeemo.artifacts.card_zip import CARD_NAME

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest date that a ZIP can hold: same content, same bytes


def zip_of_card(card: Card, before: int = 0, beside: Mapping[str, str] | None = None) -> bytes:
    """A ZIP.

    Args:
        card: goes in, compressed.
        before: bytes of the file in front of it; offsets count from the file's begin.
        beside: further texts by name; not compressed, as TFLite's tools want them.
    """
    buffer = io.BytesIO(bytes(before))
    with zipfile.ZipFile(buffer, "a") as archive:
        entries = [(CARD_NAME, to_json(card), zipfile.ZIP_DEFLATED)]
        entries += [(name, text, zipfile.ZIP_STORED) for name, text in (beside or {}).items()]
        for name, text, how in entries:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3  # what Linux writes, everywhere
            archive.writestr(info, text, how, 9)
    return buffer.getvalue()[before:]
