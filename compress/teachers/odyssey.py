"""The Odyssey 2024 challenge's WavLM-Large with three attributes.

WavLM, attentive statistics pooling (a softmax over time weighs the frames; weighted mean and
standard deviation side by side), one hidden layer with layer norm, three outputs. The network gives
arousal, dominance, valence (the challenge's CSV files swap the last two; this adapter does not
read them). It was trained on the annotators' 1..7 as (x - 1) / 6, so its outputs are about 0..1
already. Samples are normalized by mean and standard deviation of the training set, which stand in
config.json. Training clips had 12 s at most.

Source: model card of 3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes; L. Goncalves et al., Odyssey
2024 speech emotion recognition challenge, Odyssey 2024; K. Okabe et al., Attentive statistics
pooling, Interspeech 2018 (arXiv 1803.10963).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from edgeemo.errors import BadArtifact, require
from edgeemo.types import SAMPLE_RATE

from . import _wave, _weights
from .base import Teacher

NAME = "odyssey-wavlm"
LICENCE = "MIT by its card; the WavLM weights it starts from: not settled"

# The card divides by std + this; it is part of what the weights were trained with.
STD_OFFSET = 1e-6


def load(folder: Path, device: str = "cpu") -> Teacher:
    """Load the teacher from its folder: config.json and weights.

    Args:
        folder: of the teacher, as published.
        device: "cpu", "cuda" or "cuda:N".

    Raises:
        BadArtifact: a file is missing, truncated or foreign, or asks for what is not built here.
        MissingExtra: torch or transformers is not installed.
    """
    settings = _settings(_weights.read_json(folder, "config.json"), folder)
    path = _weights.weights_file(folder)
    state = _weights.read_state(path, lambda name: not name.endswith("masked_spec_embed"))
    state = _weights.renamed(state, "")
    config = _wave.wavlm_config(_weights.renamed(state, "ssl_model."), settings.stable)
    model = _build(config, settings.hidden_layers)
    _weights.fill(model, state, path)
    return _wave.WaveTeacher(
        name=NAME,
        licence=LICENCE,
        digest=_weights.digest([path, folder / "config.json"], [NAME]),
        device=device,
        forward=model.to(device),
        normalize=_wave.fixed_scale(settings.mean, settings.std + STD_OFFSET),
        shortest=_wave.shortest_clip(config),
        masks=config.feat_extract_norm == "layer",
    )


@dataclass(frozen=True)
class _Settings:
    mean: float
    std: float
    hidden_layers: int
    stable: bool


def _settings(values: dict[str, Any], folder: Path) -> _Settings:
    where = f"{folder}/config.json"
    mean, std = _number(values.get("mean")), _number(values.get("std"))
    if mean is None or std is None or not std > 0:
        raise BadArtifact(
            f"{where}: mean {values.get('mean')!r}, std {values.get('std')!r}; "
            "expected numbers, std above 0"
        )
    if values.get("num_classes", 3) != 3:
        raise BadArtifact(
            f"{where}: num_classes {values['num_classes']!r}; this adapter reads the model with "
            "three attributes, not the one with categories"
        )
    if values.get("sampling_rate", SAMPLE_RATE) != SAMPLE_RATE:
        raise BadArtifact(f"{where}: sampling_rate {values['sampling_rate']!r}, not {SAMPLE_RATE}")
    layers = values.get("classifier_hidden_layers", 1)
    if not isinstance(layers, int) or not 1 <= layers <= 8:
        raise BadArtifact(f"{where}: classifier_hidden_layers {layers!r}; expected 1 to 8")
    backbone = str(values.get("ssl_type", "microsoft/wavlm-large"))
    if "wavlm" not in backbone.lower():
        raise BadArtifact(f"{where}: ssl_type {backbone!r}; this adapter reads WavLM")
    return _Settings(mean, std, layers, stable="large" in backbone.lower())


def _number(value: Any) -> float | None:
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if plain and math.isfinite(value) else None


def _build(config: Any, hidden_layers: int) -> Any:
    torch = require("torch", "train")
    transformers = require("transformers", "teachers")
    nn = torch.nn
    width = config.hidden_size

    class Pooling(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.sap_linear = nn.Linear(width, width)
            self.attention = nn.Parameter(torch.empty(width, 1))

        def forward(self, hidden: Any, mask: Any) -> Any:
            score = torch.tanh(self.sap_linear(hidden)) @ self.attention
            weight = score.masked_fill(mask == 0, -torch.inf).softmax(dim=1)
            mean = (hidden * weight).sum(dim=1)
            variance = (hidden.square() * weight).sum(dim=1) - mean.square()
            return torch.cat([mean, variance.clamp(min=1e-5).sqrt()], dim=1)

    class Head(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            widths = [2 * width, *[width] * hidden_layers]
            self.fc = nn.ModuleList(
                nn.Sequential(nn.Linear(a, b), nn.LayerNorm(b), nn.ReLU())
                for a, b in pairwise(widths)
            )
            self.out = nn.Sequential(nn.Linear(width, 3))

        def forward(self, pooled: Any) -> Any:
            for layer in self.fc:
                pooled = layer(pooled)
            return self.out(pooled)

    class Model(nn.Module):  # type: ignore[misc, name-defined]
        # Attribute names are the checkpoint's.
        def __init__(self) -> None:
            super().__init__()
            self.ssl_model = transformers.WavLMModel(config)
            self.pool_model = Pooling()
            self.ser_model = Head()

        def forward(self, samples: Any, lengths: Any) -> tuple[Any, Any]:
            mask = _wave.sample_mask(samples, lengths)
            hidden = self.ssl_model(samples, attention_mask=mask).last_hidden_state
            pooled = self.pool_model(hidden, _wave.frame_mask(config, lengths, hidden.shape[1]))
            return self.ser_model(pooled), pooled

    with torch.device("meta"):
        return Model()
