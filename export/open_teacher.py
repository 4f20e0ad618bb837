"""Make teacher-open, the teacher that may be given away with what it teaches.

tools/open_weights.py is the command. It hears emodb_full with the shares of listeners who
recognized the emotion, emogator, librispeech, cremad and thorsten. Nobody rated arousal, dominance
and valence in them, so heads learn what follows from facts:

1. A clip stands where the word for its emotion stands (compress/data/word_ratings.py), as far as
   listeners recognized it, and at the middle of all emotions for the rest.
2. Read speech, which is near neutral, and sounds of the voice teach the classes alone. The
   layers that classes and dimensions share thereby know other voices and microphones.
3. People whose dimensions taught nothing decide scale and level: the spread of what is said of
   them is brought to that of human ratings, the mean to where their emotions stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.card import Source
from edgeemo.artifacts.licences import weights_licence
from edgeemo.compress.data import Clip, DataSet
from edgeemo.compress.data.corpus_info import attribution_of
from edgeemo.compress.data.labels import read_labels
from edgeemo.compress.data.sounds import burst_class
from edgeemo.compress.data.word_ratings import RATED_SPREAD, centre
from edgeemo.compress.labels.dataset import LabelledDataset
from edgeemo.compress.recipes.file import load_recipe
from edgeemo.compress.teachers.heads import Heads, HeadsSettings, fit_heads
from edgeemo.types import CLASSES, DIMENSIONS

from .builtin_teacher import WHISPER, BackboneModel, head_rows, make_backbone, teacher_file

LOUDEST = 0.5
"""Level of the loudest band of each clip, log10 of power: that of speech just below clipping."""

ACTED, READ, BURSTS = "emodb_full", "librispeech", "emogator"
STRANGERS = "cremad", "thorsten"
FOLDERS = {
    "cremad": "speech/cremad",
    # The whole sentences, with the shares of listeners who recognized the emotion.
    "emodb_full": "voices/emodb",
    "emogator": "voices/emogator",
    "librispeech": "speech/librispeech",
    "thorsten": "speech/thorsten",
}
"""Folder of each corpus inside DATA, by the name under which its licence is known."""

COPIES = {ACTED: 3, READ: 1, BURSTS: 1, "cremad": 4, "thorsten": 4}
CLIP_SECONDS = 5.0
RECIPE = "wav2small-stream-open"
"""How copies are changed."""

WHISPER_NOTICE = "Whisper tiny.en (MIT License). Copyright (c) 2022 OpenAI."

MOST_SCALE = 2.0

Floats = NDArray[np.float32]


def open_speech(data: Path) -> DataSet:
    """All clips that may teach: none of their licences binds a model to research.

    Args:
        data: holds speech/ and voices/.
    """
    clips = chain.from_iterable(
        (replace(clip, id=f"{corpus}/{clip.id}") for clip in read_labels(data / folder, corpus))
        for corpus, folder in FOLDERS.items()
    )
    return DataSet("open speech", tuple(clips))


def taught(rows: LabelledDataset) -> LabelledDataset:
    """The rows that teach the heads, of `heard`, with targets: dimensions of acted ones alone."""
    corpus = rows.column("corpus")
    targets = dimension_targets(list(rows.clips))
    targets[corpus != ACTED] = np.nan
    rows = replace(rows, human_dimensions=targets, votes=class_targets(list(rows.clips)))
    return rows.take(np.isin(corpus, (ACTED, READ, BURSTS)))


def level_and_scale(said: Floats, corpus: NDArray[Any], targets: Floats) -> tuple[Floats, Floats]:
    """How to bring what is said of strangers to the spread and the mean of ratings.

    Args:
        said: dimensions [N, 3] of rows of STRANGERS and READ.
        corpus: of each row.
        targets: dimensions [N, 3]; NaN where a row has no emotion.

    Returns:
        Factor around 0.5 and then an offset, each [3]. The offset is the mean over corpora, so
        that each recording counts once.
    """
    spread = said[np.isin(corpus, STRANGERS)].std(0)
    factor = np.clip(np.array(RATED_SPREAD) / spread, 1.0, MOST_SCALE)
    error = targets - (0.5 + factor * (said - 0.5))
    offset = np.mean([np.nanmean(error[corpus == name], 0) for name in (*STRANGERS, READ)], 0)
    return factor.astype(np.float32), offset.astype(np.float32)


def _of_use(data: DataSet) -> DataSet:
    """Without the sounds that teach nothing."""
    return replace(data, clips=tuple(
        c for c in data.clips if c.corpus != BURSTS or burst_class(c)
    ))  # fmt: skip


def dimension_targets(clips: Sequence[Clip]) -> Floats:
    """Where clips of speech stand in the three dimensions, [N, 3]; others are NaN."""
    emotions = sorted({c.emotion for c in clips if c.corpus == ACTED and c.emotion})
    everywhere = np.mean([centre(emotion) for emotion in emotions or ["neutral"]], axis=0)
    out = np.full((len(clips), len(DIMENSIONS)), np.nan, np.float32)
    for i, clip in enumerate(clips):
        if clip.corpus == ACTED:
            share = float(clip.tags["recognised"])
            out[i] = share * np.asarray(centre(clip.emotion or "")) + (1 - share) * everywhere
        elif clip.corpus == READ:
            out[i] = centre("neutral")
        elif clip.votes:
            out[i] = sum(share * np.asarray(centre(name)) for name, share in clip.votes.items())
    return out


def class_targets(clips: Sequence[Clip]) -> Floats:
    """Shares of the eight classes, [N, 8]; NaN where a clip teaches none."""
    out = np.full((len(clips), len(CLASSES)), np.nan, np.float32)
    for i, clip in enumerate(clips):
        name, share = clip.emotion, 1.0
        if clip.corpus == ACTED:
            share = float(clip.tags["recognised"])
        elif clip.corpus == READ:
            name = "neutral"
        elif clip.corpus == BURSTS:
            name = burst_class(clip)
        if name in CLASSES:
            out[i] = (1 - share) / len(CLASSES)
            out[i, CLASSES.index(name)] += share
    return out


def heard(base: BackboneModel, data: DataSet, cache: Path) -> LabelledDataset:
    """The backbone's labels of all clips that teach, and of their augmented copies.

    Args:
        base: the backbone.
        data: clips of all corpora.
        cache: folder of the labels.
    """
    recipe = load_recipe(RECIPE)
    recipe = replace(
        recipe,
        augment=replace(recipe.augment, corpus_copies=COPIES),
        data=replace(recipe.data, clip_seconds=CLIP_SECONDS),
    )
    return head_rows(base, _of_use(data), recipe, cache)


def open_heads(rows: LabelledDataset) -> Heads:
    """Heads trained on rows of `heard`, with their level and scale."""
    heads = fit_heads(taught(rows), HeadsSettings(), labels_are_text_independent=True)
    strange = rows.take(np.isin(rows.column("corpus"), (*STRANGERS, READ)))
    targets = dimension_targets(list(strange.clips))
    said = heads.apply_to(strange).dimensions
    heads.rescale(*level_and_scale(said, strange.column("corpus"), targets))
    return heads


def make_teacher(whisper: Path, data: DataSet, cache: Path) -> bytes:
    """The file of teacher-open.

    Args:
        whisper: CTranslate2 model.bin of Whisper tiny.en.
        data: clips of the corpora named above.
        cache: folder of the backbone's labels; with it full, only the heads are trained.
    """
    sources = [WHISPER, *(Source(name, licence) for name, licence in data.licences.items())]
    texts = [attribution_of(source.name, source.licence) for source in sources[1:]]
    base = make_backbone(whisper, LOUDEST)
    rows = heard(base, data, cache)
    heads = open_heads(rows)
    heads.round()
    return teacher_file(
        base,
        heads,
        data,
        (),
        name="teacher-open",
        licence=weights_licence(sources),
        attributions=(WHISPER_NOTICE, *texts),
    )
