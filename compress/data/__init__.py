"""Speech with labels: clips, data sets, corpora as they are distributed, splits by speaker."""

from edgeemo.compress.data.clips import RATE, Clip, DataSet, Span, readable, shard_of
from edgeemo.compress.data.folders import open_dataset
from edgeemo.compress.data.intervals import interval
from edgeemo.compress.data.shipped import shipped_speech
from edgeemo.compress.data.splits import speaker_folds, split_by_speaker

__all__ = [
    "RATE",
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
