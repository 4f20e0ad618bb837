"""The real speech that comes with edgeemo-teachers."""

from __future__ import annotations

from dataclasses import replace

from edgeemo.artifacts import teachers_package

from .clips import DataSet
from .folders import open_dataset


def shipped_speech() -> DataSet:
    """The shipped speech: 285 clips of 73 speakers, 16 minutes, all free to pass on.

    Acted emotions in German (emodb_full, thorsten) and English (cremad, with listeners' votes),
    and read English speech of 60 people (librispeech, without labels). Nothing has human
    arousal, dominance and valence. The folder's README.md has the licences and the notices.

    Raises:
        MissingExtra: edgeemo-teachers is not installed.
    """
    return replace(open_dataset(teachers_package.need("speech")), name="shipped")
