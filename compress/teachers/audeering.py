"""audEERING's wav2vec2-large-robust-12-ft-emotion-msp-dim, from its PyTorch checkpoint.

Twelve layers of wav2vec2, mean over time, a head of two linear layers with tanh between. Outputs
are arousal, dominance, valence, about 0..1 and not bounded. Clips are normalized to zero mean and
unit variance when the preprocessor says so.

Source: the model card of audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim; J. Wagner et al.,
Dawn of the transformer era in speech emotion recognition, TPAMI 45(9), 2023.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeemo.errors import BadArtifact, one_line, require
from edgeemo.types import DIMENSIONS, SAMPLE_RATE

from . import _wave, _weights
from .base import Floats, Teacher

NAME = "audeering-dim"
LICENCE = "CC BY-NC-SA 4.0 (research only; commercial use needs a licence of audEERING)"

# What shapes the encoder; the rest of the published file is about training and a tokenizer that is
# not there ("vocab_size": null).
_ENCODER = (
    "conv_bias",
    "conv_dim",
    "conv_kernel",
    "conv_stride",
    "do_stable_layer_norm",
    "feat_extract_activation",
    "feat_extract_norm",
    "hidden_act",
    "hidden_size",
    "id2label",
    "intermediate_size",
    "layer_norm_eps",
    "num_attention_heads",
    "num_conv_pos_embedding_groups",
    "num_conv_pos_embeddings",
    "num_feat_extract_layers",
    "num_hidden_layers",
)


def load(folder: Path, device: str = "cpu") -> Teacher:
    """Load the teacher from its folder: config.json, preprocessor_config.json and weights.

    Args:
        folder: of the teacher, as published.
        device: "cpu", "cuda" or "cuda:N".

    Raises:
        BadArtifact: a file is missing, truncated or foreign, or asks for what is not built here.
        MissingExtra: torch or transformers is not installed.
    """
    config = _config(_weights.read_json(folder, "config.json"), folder)
    normalize = _normalization(folder)
    path = _weights.weights_file(folder)
    state = _weights.read_state(path, lambda name: not name.endswith("masked_spec_embed"))
    model = _build(config)
    _weights.fill(model, _weights.renamed(state, ""), path)
    return _wave.WaveTeacher(
        name=NAME,
        licence=LICENCE,
        digest=_weights.digest(
            [path, folder / "config.json", folder / "preprocessor_config.json"], [NAME]
        ),
        device=device,
        forward=model.to(device),
        normalize=normalize,
        shortest=_wave.shortest_clip(config),
        masks=config.feat_extract_norm == "layer",
    )


def _config(values: dict[str, Any], folder: Path) -> Any:
    transformers = require("transformers", "teachers")
    pooling = values.get("pooling_mode", "mean")
    if pooling != "mean":
        raise BadArtifact(f"{folder}/config.json: pooling_mode {pooling!r}; expected 'mean'")
    try:
        known = {name: values[name] for name in _ENCODER if name in values}
        config = transformers.Wav2Vec2Config.from_dict({**known, **_wave.NO_TRAINING})
        order = output_order([config.id2label[i] for i in range(config.num_labels)])
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise BadArtifact(f"{folder}/config.json: {error}") from None
    except Exception as error:  # huggingface_hub's strict dataclasses have errors of their own
        raise BadArtifact(f"{folder}/config.json: {one_line(error)}") from None
    if not (0 < config.hidden_size <= 8192 and 0 < config.num_hidden_layers <= 96):
        raise BadArtifact(
            f"{folder}/config.json: hidden_size {config.hidden_size}, "
            f"num_hidden_layers {config.num_hidden_layers}; expected at most 8192 and 96"
        )
    config.edgeemo_order = order
    return config


def output_order(labels: list[str]) -> list[int]:
    """Where arousal, dominance and valence stand among a model's outputs.

    Args:
        labels: names of the outputs as the checkpoint gives them; transformers' own
            LABEL_0, LABEL_1, LABEL_2 count as the order of the model card.

    Raises:
        ValueError: other names.
    """
    if labels == [f"LABEL_{i}" for i in range(len(DIMENSIONS))]:
        return list(range(len(DIMENSIONS)))
    if sorted(labels) != sorted(DIMENSIONS):
        raise ValueError(f"outputs are called {labels}; expected {list(DIMENSIONS)} in any order")
    return [labels.index(dimension) for dimension in DIMENSIONS]


def _normalization(folder: Path) -> Any:
    values = _weights.read_json(folder, "preprocessor_config.json")
    if values.get("sampling_rate", SAMPLE_RATE) != SAMPLE_RATE:
        raise BadArtifact(
            f"{folder}/preprocessor_config.json: sampling_rate {values['sampling_rate']}, "
            f"not {SAMPLE_RATE}"
        )
    return _wave.unit_variance if values.get("do_normalize", True) else _unchanged


def _unchanged(clip: Floats) -> Floats:
    return clip


def _build(config: Any) -> Any:
    torch = require("torch", "train")
    transformers = require("transformers", "teachers")
    nn = torch.nn

    class Head(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(config.hidden_size, config.hidden_size)
            self.out_proj = nn.Linear(config.hidden_size, config.num_labels)

        def forward(self, pooled: Any) -> Any:
            return self.out_proj(torch.tanh(self.dense(pooled)))

    class Model(nn.Module):  # type: ignore[misc, name-defined]
        # Attribute names are the checkpoint's.
        def __init__(self) -> None:
            super().__init__()
            self.wav2vec2 = transformers.Wav2Vec2Model(config)
            self.classifier = Head()

        def forward(self, samples: Any, lengths: Any) -> tuple[Any, Any]:
            mask = _wave.sample_mask(samples, lengths)
            hidden = self.wav2vec2(samples, attention_mask=mask).last_hidden_state
            pooled = _wave.masked_mean(hidden, _wave.frame_mask(config, lengths, hidden.shape[1]))
            return self.classifier(pooled)[:, config.edgeemo_order], pooled

    with torch.device("meta"):
        return Model()
