"""Make the built-in teacher.

    python -m edgeemo.export.builtin_teacher --whisper model.bin --data CORPORA

1. Two layers of Whisper tiny.en, weights rounded to int8, and the principal directions of its
   tokens on the speech of edgeemo-teachers.
2. All clips and some changed copies are heard by these layers.
3. Heads are trained on the mean over time (compress/teachers/heads.py).
4. One ONNX file with a card; what it reaches on people it has not heard comes from
   benchmarks/crossval.py, whose result is given by --metrics.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgeemo.artifacts import teachers_package
from edgeemo.artifacts.card import (
    INTENDED_USE,
    MISUSE,
    NOT_VALIDATED_FOR,
    Calibration,
    Card,
    Metric,
    Output,
    Quantization,
    ReceptiveField,
    Source,
)
from edgeemo.artifacts.card import SCHEMA as CARD_SCHEMA
from edgeemo.compress.data import DataSet, open_dataset, shipped_speech
from edgeemo.compress.labels.dataset import LabelledDataset
from edgeemo.compress.labels.labeller import Labeller
from edgeemo.compress.recipes import Recipe, load_recipe
from edgeemo.compress.stages.finetune import num_augmented_copies
from edgeemo.compress.teachers.builtin import FILE, LONGEST_SECONDS, BuiltinTeacher
from edgeemo.compress.teachers.heads import Heads, HeadsSettings, fit_heads
from edgeemo.compress.teachers.whisper_encoder import WhisperEncoder, read_ctranslate2
from edgeemo.features import LOGMEL40, WHISPER80, FeatureSpec, log_mel
from edgeemo.files import write_bytes
from edgeemo.types import CLASSES, DIMENSIONS

from .graph import shrink, trace
from .onnx_writer import with_card

TOKEN_WIDTH = 64
"""Principal directions that are kept of each token: .55 of the variance in a sixth of the bytes."""

LICENCE = "research only: taught with corpora that allow no other use"
_WHISPER = Source("Whisper tiny.en (OpenAI), first two encoder layers", "MIT")


class TrunkModel(nn.Module):
    """Trunk, mean over time, and tokens along their principal directions."""

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
        heard = [self.trunk(torch.from_numpy(log_mel(clip, WHISPER80))[None])[0] for clip in clips]
        tokens = torch.cat(heard).double()
        mean, sd = tokens.mean(0), tokens.std(0)
        scaled = (tokens - mean) / sd
        _, vectors = torch.linalg.eigh(scaled.T @ scaled / len(scaled))
        kept = vectors[:, -TOKEN_WIDTH:].flip(1)
        # An eigenvector has no sign of its own: fix it, so that the file can be made again.
        kept = kept * kept.gather(0, kept.abs().argmax(0)[None]).sign()
        self.mean.copy_(mean)
        self.directions.copy_(kept / sd[:, None])


class TeacherModel(nn.Module):
    """The trunk with heads: adv, probs, embedding, tokens."""

    def __init__(self, base: TrunkModel, heads: Heads) -> None:
        super().__init__()
        self.base, self.heads = base, heads

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """[1, T, 80] to the four outputs, in that order."""
        embedding, tokens = self.base(features)
        return (*self.heads(embedding), embedding, tokens)


def make_trunk(whisper: Path) -> TrunkModel:
    """The trunk of a CTranslate2 file of Whisper tiny.en, directions learned on shipped speech."""
    model = TrunkModel(WhisperEncoder(read_ctranslate2(whisper))).eval()
    longest = int(LONGEST_SECONDS * WHISPER80.sample_rate)
    model.learn_directions([clip.samples()[:longest] for clip in shipped_speech().clips])
    return model


def graph(model: nn.Module, names: list[str]) -> Any:
    """The model as ONNX, "features" [1, frames, 80] to `names`; weights stay int8 in it."""
    example = torch.zeros(1, 200, WHISPER80.bands)
    axes = {"features": {1: "time"}, "tokens": {1: "token"}}
    # Folding would write the weights as float32.
    made = trace(model, (example,), ["features"], names, axes, fold=False)
    shrink(made)
    return made


def trunk_teacher(model: TrunkModel) -> BuiltinTeacher:
    """A teacher of features alone: what heads are trained on."""
    data = graph(model, ["embedding", "tokens"]).SerializeToString(deterministic=True)
    return BuiltinTeacher(data, "whisper-trunk", _WHISPER.licence)


def teacher_file(
    base: TrunkModel, heads: Heads, data: DataSet, metrics: tuple[Metric, ...]
) -> bytes:
    """The shipped file."""
    model = graph(TeacherModel(base, heads).eval(), ["adv", "probs", "embedding", "tokens"])
    sources = tuple(Source(n, licence) for n, licence in sorted(data.licences.items()))
    card = Card(
        schema=CARD_SCHEMA,
        name="teacher",
        task="speech",
        input="features",
        spec=WHISPER80,
        window=ReceptiveField(LONGEST_SECONDS, 0.1),
        outputs=(Output("adv", DIMENSIONS), Output("probs", CLASSES)),
        quantization=Quantization(),
        teachers=(_WHISPER,),
        data=sources,
        licence=LICENCE,
        metrics=metrics,
        calibration=Calibration(),
        parameters=_numbers(base) + _numbers(heads),
        macs_per_second=_macs_per_second(base),
        arena_bytes=None,
        intended_use=INTENDED_USE,
        misuse=MISUSE,
        not_validated_for=NOT_VALIDATED_FOR,
        digest="0" * 64,
        min_edgeemo="0.1.0",
    )
    return with_card(model, card)


def head_rows(
    base: TrunkModel, data: DataSet, recipe: Recipe, cache: Path, spec: FeatureSpec = LOGMEL40
) -> LabelledDataset:
    """All clips and their changed copies, heard by the trunk, with features for a student."""
    labeller = Labeller(trunk_teacher(base), spec, recipe, cache, _progress)
    return labeller.label(data.clips, num_augmented_copies(data.clips, recipe))


def _numbers(model: nn.Module) -> int:
    """Numbers in weights and biases; buffers of rounded weights count, their scales do not."""
    held = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return sum(v.numel() for name, v in held.items() if not name.endswith(".scale"))


def _macs_per_second(base: TrunkModel) -> int:
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


def _progress(what: str, done: int, total: int) -> None:
    print(f"\r{what} {done}/{total}", end="" if done < total else "\n", file=sys.stderr)


def _metrics(path: Path | None) -> tuple[Metric, ...]:
    if path is None:
        return ()
    found = json.loads(path.read_text())["metrics"]["teacher"]
    return tuple(Metric(**metric) for metric in found)


def main() -> None:
    """Label, train the heads on everybody, write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--whisper", type=Path, required=True, help="CTranslate2 model.bin")
    parser.add_argument("--data", type=Path, required=True, help="folder of corpora")
    parser.add_argument("--recipe", default="wav2small-stream", help="its copies are heard too")
    parser.add_argument("--cache", type=Path, default=Path("runs/labels"))
    parser.add_argument("--metrics", type=Path, help="result of benchmarks/crossval.py")
    parser.add_argument("-o", "--out", type=Path, help="default: the shipped file")
    args = parser.parse_args()
    out = args.out or teachers_package.need(FILE)
    data, base = open_dataset(args.data), make_trunk(args.whisper)
    rows = head_rows(base, data, load_recipe(args.recipe), args.cache)
    heads = fit_heads(rows, HeadsSettings())
    heads.round()
    made = teacher_file(base, heads, data, _metrics(args.metrics))
    write_bytes(out, made)
    print(f"{out}: {len(made)} bytes, {len(rows)} rows heard")


if __name__ == "__main__":
    main()
