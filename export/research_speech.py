"""The clips that teach the models for research: speech, and sounds of the voice without words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgeemo.compress.data import Clip, DataSet, open_dataset
from edgeemo.compress.data.labels import read_labels
from edgeemo.compress.data.sounds import burst_class

from .open_teacher import BURSTS, FOLDERS


def research_speech(data: Path) -> DataSet:
    """All corpora of speech, and bursts of the voice with the class that people were asked for.

    Args:
        data: holds speech/ and voices/.
    """
    speech = open_dataset(data / "speech")
    bursts = (_with_class(clip) for clip in read_labels(data / FOLDERS[BURSTS], BURSTS))
    return replace(speech, clips=(*speech.clips, *bursts))


def _with_class(clip: Clip) -> Clip:
    """A burst as a clip of one text, which no class has for itself: there are no words."""
    name = burst_class(clip) or None
    return replace(
        clip,
        id=f"{BURSTS}/{clip.id}",
        emotion=name,
        votes={name: 1.0} if name else None,
        text_id="none",
    )
