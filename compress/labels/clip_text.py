"""What is known about a clip as JSON, in a column beside its labels; its sound is not in it."""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, fields
from typing import Any

from edgeemo.errors import BadData
from edgeemo.io import schema
from edgeemo.io.loading import parse_json

from ..data.clips import Blob, Clip, Span

_TUPLES = ("dimensions", "dimensions_sd", "box")
_FIELDS = {field.name: field for field in fields(Clip) if field.name != "span"}


def write_clip(clip: Clip) -> str:
    """All that labels say of a clip.

    Args:
        clip: of speech or of a face.

    Returns:
        A JSON object with the clip's attributes but `span`; those at their default are left out.
    """
    known = {name: getattr(clip, name) for name in _FIELDS}
    told = {n: _plain(v) for n, v in known.items() if not _is_default(n, v)}
    return json.dumps(told, ensure_ascii=False, sort_keys=True)


def read_clip(text: str, span: Span | Blob) -> Clip:
    """The clip that `write_clip` wrote.

    Args:
        text: what it gave.
        span: the clip's sound or picture.

    Raises:
        BadData: not such a text.
    """
    values = parse_json(text, BadData, "a clip's labels")
    try:
        for name in _TUPLES:
            if values.get(name) is not None:
                values[name] = tuple(math.nan if v is None else float(v) for v in values[name])
        clip = Clip(span=span, **values)
        hash(clip.group)  # a list in a name's place
    except (TypeError, ValueError, AttributeError):
        raise BadData(f"a clip's labels are {text!r:.100}; label the corpus again") from None
    return clip


def _is_default(name: str, value: Any) -> bool:
    field = _FIELDS[name]
    factory = field.default_factory
    return bool(value == (field.default if factory is MISSING else factory()))


def _plain(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, tuple):
        return [None if math.isnan(v) else v for v in value]
    return schema.write(value)
