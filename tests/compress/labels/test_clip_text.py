"""What is known about a clip survives its text; other text is refused."""

import math
from dataclasses import replace

import pytest

from edgeemo.compress.data.clips import Blob, Clip
from edgeemo.compress.labels.clip_text import read_clip, write_clip
from edgeemo.errors import BadData

NONE = Blob(b"")


def test_clips_come_back_as_they_were(some_clips):
    for clip in some_clips:
        assert read_clip(write_clip(clip), NONE) == replace(clip, span=NONE)
    face = Clip("a", "b", "b/c", NONE, task="face", box=(1, 2, 3.5, 4), votes={"anger": 1.0})
    assert read_clip(write_clip(face), NONE) == face
    known = replace(face, dimensions=(0.25, math.nan, 1.0))
    back = read_clip(write_clip(known), NONE).dimensions
    assert back is not None and math.isnan(back[1]) and (back[0], back[2]) == (0.25, 1.0)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"id": "a", "path": "/etc/passwd"}', '{"id": "a", "dimensions": ["x"]}'],
)
def test_other_text_is_refused(text):
    with pytest.raises(BadData, match="a clip's labels"):
        read_clip(text, NONE)
