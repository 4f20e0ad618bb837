"""The built-in teacher's parts: its backbone, the rows that it labels, and the file with heads.

`tools/make_teacher.py` makes the shipped file of them; `tools/make_student.py` and
`benchmarks/crossval.py` label by the backbone alone.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeemo.artifacts.card import Calibration, Metric, ReceptiveField, Source
from edgeemo.compress.data import Clip, DataSet, shipped_speech
from edgeemo.compress.labels.dataset import LabelledDataset
from edgeemo.compress.labels.labeller import Labeller
from edgeemo.compress.recipes import Recipe
from edgeemo.compress.stages.finetune import num_augmented_copies
from edgeemo.compress.teachers.builtin import LONGEST_SECONDS, BuiltinTeacher
from edgeemo.compress.teachers.heads import Heads, HeadsSettings, fit_heads, text_independent
from edgeemo.errors import BadData
from edgeemo.features import LOGMEL40, WHISPER80, FeatureSpec, log_mel
from edgeemo.types import DIMENSIONS

from .cards import make_card
from .graph import shrink, trace
from .onnx_writer import with_card
from .whisper_encoder import WhisperEncoder, read_ctranslate2

TOKEN_WIDTH = 64
"""Principal directions that are kept of each token: .55 of the variance in a sixth of the bytes."""

DIMENSION_HEADS = HeadsSettings(members=3, steps=900, clean=0.5)
CLASS_HEADS = HeadsSettings(
    members=3, steps=900, lr=3e-3, drop_hidden=0.4, classes=2.0, bursts=0.55
)
"""Of the built-in teacher. What teaches the classes bursts costs the dimensions agreement, so each
has networks of its own; how they were chosen: docs/experiments/notebook.md."""

LICENCE = "research only: taught with corpora that allow no other use"
WHISPER = Source("Whisper tiny.en (OpenAI), first two encoder layers", "MIT")


class BackboneModel(nn.Module):
    """Backbone, mean over time, and tokens along their principal directions.

    Args:
        trunk: encoder layers; their names are those of the tensors in the shipped file.
    """

    mean: Tensor
    directions: Tensor

    def __init__(self, trunk: WhisperEncoder) -> None:
        super().__init__()
        self.trunk = trunk
        self.register_buffer("mean", torch.zeros(trunk.width))
        self.register_buffer("directions", torch.zeros(trunk.width, TOKEN_WIDTH))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """[1, T, 80] to the embedding [1, width] and tokens [1, T', 64]."""
        tokens = self.trunk(features)
        return tokens.mean(1), (tokens - self.mean) @ self.directions

    @torch.no_grad()
    def learn_directions(self, clips: Sequence[np.ndarray[Any, Any]]) -> None:
        """Principal directions of standardized tokens, divided by the spread they replace."""
        each = [self.trunk(torch.from_numpy(log_mel(clip, WHISPER80))[None])[0] for clip in clips]
        tokens = torch.cat(each).double()
        mean, sd = tokens.mean(0), tokens.std(0)
        scaled = (tokens - mean) / sd
        _, vectors = torch.linalg.eigh(scaled.T @ scaled / len(scaled))
        kept = vectors[:, -TOKEN_WIDTH:].flip(1)
        # An eigenvector has no sign of its own: fix it, so that the file can be made again.
        kept = kept * kept.gather(0, kept.abs().argmax(0)[None]).sign()
        self.mean.copy_(mean)
        self.directions.copy_(kept / sd[:, None])


class SplitHeads(nn.Module):
    """Dimensions by one set of networks, classes by another that was trained for these.

    Args:
        dimensions: their classes are left out.
        classes: their dimensions are left out.
    """

    def __init__(self, dimensions: Heads, classes: Heads) -> None:
        super().__init__()
        self.dimensions, self.classes = dimensions, classes
        self.gives_classes = classes.gives_classes

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """See Heads.forward."""
        return self.dimensions(embedding)[0], self.classes(embedding)[1]

    def round(self) -> None:
        """See Heads.round."""
        self.dimensions.round()
        self.classes.round()


class TeacherModel(nn.Module):
    """The backbone with heads: adv, probs, embedding, tokens.

    Args:
        base: the backbone.
        heads: on its embedding.
    """

    def __init__(self, base: BackboneModel, heads: Heads | SplitHeads) -> None:
        super().__init__()
        self.base, self.heads = base, heads

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """[1, T, 80] to the four outputs, in that order."""
        embedding, tokens = self.base(features)
        return (*self.heads(embedding), embedding, tokens)


def make_backbone(whisper: Path, loudest: float | None = None) -> BackboneModel:
    """Backbone from a CTranslate2 file of Whisper tiny.en, directions learned on shipped speech.

    Args:
        whisper: the file model.bin.
        loudest: as `WhisperEncoder` takes it.
    """
    model = BackboneModel(WhisperEncoder(read_ctranslate2(whisper), loudest=loudest)).eval()
    longest = int(LONGEST_SECONDS * WHISPER80.sample_rate)
    model.learn_directions([clip.samples()[:longest] for clip in shipped_speech().clips])
    return model


def graph(model: nn.Module, names: list[str]) -> Any:
    """The model as ONNX, "features" [1, frames, 80] to `names`; weights stay int8 in it.

    Args:
        model: BackboneModel or TeacherModel, in evaluation mode.
        names: of its outputs, in order.
    """
    example = torch.zeros(1, 200, WHISPER80.bands)
    axes = {"features": {1: "time"}, "tokens": {1: "token"}}
    # Folding would write the weights as float32.
    made = trace(model, (example,), ["features"], names, axes, fold=False)
    shrink(made)
    return made


def backbone_teacher(model: BackboneModel) -> BuiltinTeacher:
    """A teacher of features alone: what heads are trained on."""
    data = graph(model, ["embedding", "tokens"]).SerializeToString(deterministic=True)
    return BuiltinTeacher(data, "whisper-trunk", WHISPER.licence)


def teacher_file(
    base: BackboneModel,
    heads: Heads | SplitHeads,
    data: DataSet,
    metrics: tuple[Metric, ...],
    *,
    name: str = "teacher",
    licence: str = LICENCE,
    attributions: tuple[str, ...] = (),
) -> bytes:
    """The shipped file.

    Args:
        base: the backbone.
        heads: trained on its embedding, rounded.
        data: corpora that the heads were trained on.
        metrics: for the card.
        name: of the model.
        licence: of the weights.
        attributions: who must be named with it.

    Raises:
        BadData: nothing taught the heads their classes.
    """
    if not heads.gives_classes:
        raise BadData(f"{name}: no clip with an emotion taught its classes; give some")
    model = graph(TeacherModel(base, heads).eval(), ["adv", "probs", "embedding", "tokens"])
    sources = tuple(Source(n, licence) for n, licence in sorted(data.licences.items()))
    card = make_card(
        name,
        WHISPER80,
        DIMENSIONS,
        window=ReceptiveField(LONGEST_SECONDS, 0.1),
        teachers=(WHISPER,),
        data=sources,
        licence=licence,
        attributions=attributions,
        metrics=metrics,
        calibration=Calibration(),
        parameters=_numbers(base) + _numbers(heads),
        macs_per_second=_macs_per_second(base),
    )
    return with_card(model, card)


def head_rows(
    base: BackboneModel,
    data: DataSet,
    recipe: Recipe,
    cache: Path,
    spec: FeatureSpec = LOGMEL40,
    *,
    which: Sequence[bool] | None = None,
) -> LabelledDataset:
    """Clips and their augmented copies, labelled by the backbone, with a student's features.

    Args:
        base: the backbone.
        data: all clips.
        recipe: how many copies, and how they are augmented.
        cache: folder of the labels.
        spec: of the student's features.
        which: clips that are labelled; others only speak behind them. None labels all.
    """
    labeller = Labeller(backbone_teacher(base), spec, recipe, cache, show_progress)
    copies = num_augmented_copies(data.clips, recipe)
    if which is not None:
        copies = [n if wanted else 0 for n, wanted in zip(copies, which, strict=True)]
    return labeller.label(data.clips, copies)


def builtin_rows(
    base: BackboneModel, data: DataSet, recipe: Recipe, cache: Path
) -> LabelledDataset:
    """What teaches the built-in teacher's heads: `head_rows` of clips that can.

    Args:
        base: the backbone.
        data: all clips.
        recipe: how many copies, and how they are changed.
        cache: folder of the labels.
    """
    return head_rows(base, data, recipe, cache, which=can_teach(data.clips).tolist())


def can_teach(clips: Sequence[Clip]) -> NDArray[np.bool_]:
    """Clips that teach heads anything: annotated dimensions, or votes that words do not tell: [N].

    Args:
        clips: all that are at hand; see `text_independent`.
    """
    free = text_independent(clips)
    return np.array(
        [
            clip.dimensions is not None or (clip.votes is not None and bool(of_voice))
            for clip, of_voice in zip(clips, free, strict=True)
        ],
        bool,
    )


def builtin_heads(rows: LabelledDataset, seed: int = 1) -> SplitHeads:
    """Heads as they are shipped, rounded.

    Args:
        rows: of `builtin_rows`.
        seed: of every random choice.
    """
    heads = SplitHeads(
        fit_heads(rows, DIMENSION_HEADS, seed), fit_heads(rows, CLASS_HEADS, seed + 1)
    )
    heads.round()
    return heads


def _numbers(model: nn.Module) -> int:
    """Numbers in weights and biases; buffers of rounded weights count, their scales do not."""
    held = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return sum(v.numel() for name, v in held.items() if not name.endswith(".scale"))


def _macs_per_second(base: BackboneModel) -> int:
    """Multiply-accumulates for one second inside a clip of 10 s: weights, and attention."""
    tokens, clip, width = 50, 500, base.trunk.width
    weights = (
        2 * tokens * base.trunk.conv1.values.numel() + tokens * base.trunk.conv2.values.numel()
    )
    for layer in base.trunk.layers:
        for branch in (layer.attend, layer.expand):
            weights += tokens * branch.weight_in.values.numel()  # type: ignore[union-attr, operator]
            weights += tokens * branch.weight_out.values.numel()  # type: ignore[union-attr, operator]
        weights += 2 * tokens * clip * width
    return weights + tokens * base.directions.numel()


def show_progress(what: str, done: int, total: int) -> None:
    """One line on standard error that is written anew.

    Args:
        what: is done.
        done: of it.
        total: of it.
    """
    print(f"\r{what} {done}/{total}", end="" if done < total else "\n", file=sys.stderr)
