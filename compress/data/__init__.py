"""Speech with labels: clips, data sets, corpora as they are distributed, splits by speaker."""

from .clips import Clip, DataSet, Span, readable, shard_of
from .folders import open_dataset
from .intervals import interval
from .shipped import shipped_speech
from .splits import speaker_folds, split_by_speaker

__all__ = [
    "Clip",
    "DataSet",
    "Span",
    "interval",
    "open_dataset",
    "readable",
    "shard_of",
    "shipped_speech",
    "speaker_folds",
    "split_by_speaker",
]
