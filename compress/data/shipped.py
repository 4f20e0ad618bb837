"""The real speech that comes with edgeemo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgeemo import types
from edgeemo.compress.data.clips import DataSet
from edgeemo.compress.data.folders import open_dataset

SPEECH = Path(types.__file__).parent / "speech"
"""Folder with the shipped speech; its README.md has the licences and the notices."""


def shipped_speech() -> DataSet:
    """The shipped speech: 285 clips of 73 speakers, 16 minutes, all free to pass on.

    Acted emotions in German (emodb_full, thorsten) and English (cremad, with listeners' votes),
    and read English speech of 60 people (librispeech, without labels). Nothing has human
    arousal, dominance and valence.
    """
    return replace(open_dataset(SPEECH), name="shipped")
