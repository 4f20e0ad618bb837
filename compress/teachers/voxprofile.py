"""Vox-Profile's teachers of arousal, valence and dominance: WavLM-Large and Whisper large-v3.

Both give a tuple in the order arousal, valence, dominance (the adapter reorders), each 0..1 through
a sigmoid. An encoder, three pointwise convolutions with ReLU between, mean over the clip's frames,
and for each dimension a small head.

- WavLM: a learned softmax weighs the encoder's hidden states and the input of its first layer.
- Whisper: the last hidden state only. Every clip is padded with silence or cut to 15 s, because the
  encoder was trained so; frames beyond the clip are left out of the mean.

Training clips had 3 to 15 s; the authors call labels on shorter ones unreliable.

Source: model cards and example code of tiantiaf/wavlm-large-msp-podcast-emotion-dim and
tiantiaf/whisper-large-v3-msp-podcast-emotion-dim; T. Feng et al., Vox-Profile, arXiv 2505.14648.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from edgeemo.errors import BadArtifact, require
from edgeemo.types import SAMPLE_RATE

from . import _wave, _weights
from .base import Floats, Teacher, TeacherOutput, check_clips, label_in_batches

WAVLM, WHISPER = "voxprofile-wavlm", "voxprofile-whisper"
LICENCE = "OpenRAIL; its card says no commercial use"

WHISPER_SECONDS = 15
WHISPER_HEAD = 64  # width of one attention head in every published Whisper

# Parts of the published checkpoints that say nothing about arousal, dominance and valence.
_UNUSED = ("gender_layer.", "emotion_layer.", "detailed_out_layer.", "backbone_model.decoder.")


def load_wavlm(folder: Path, device: str = "cpu") -> Teacher:
    """Load the WavLM teacher from its folder: config.json and weights.

    Args:
        folder: of the teacher, as published.
        device: "cpu", "cuda" or "cuda:N".

    Raises:
        BadArtifact: a file is missing, truncated or foreign, or asks for what is not built here.
        MissingExtra: torch or transformers is not installed.
    """
    settings = _weights.read_json(folder, "config.json")
    path, state = _state(folder)
    encoder = _weights.renamed(state, "backbone_model.")
    stable = settings.get("pretrain_model") == "wavlm_large"
    config = _wave.wavlm_config(encoder, stable=stable)
    # With use_conv_output the input of the first layer is weighed too.
    first = 0 if settings.get("use_conv_output", True) else 1
    model = _build_wavlm(config, _hidden_dim(state, path), first)
    _weights.fill(model, _weights.renamed(state, ""), path)
    # The large encoder's preprocessor normalizes; the base one is fed raw samples by the authors.
    return _wave.WaveTeacher(
        name=WAVLM,
        licence=LICENCE,
        digest=_weights.digest([path, folder / "config.json"], [WAVLM]),
        device=device,
        forward=model.to(device),
        normalize=_wave.unit_variance if stable else np.asarray,
        shortest=_wave.shortest_clip(config),
        masks=config.feat_extract_norm == "layer",
    )


def load_whisper(folder: Path, device: str = "cpu") -> Teacher:
    """Load the Whisper teacher from its folder: config.json and weights.

    Args:
        folder: of the teacher, as published.
        device: "cpu", "cuda" or "cuda:N".

    Raises:
        BadArtifact: a file is missing, truncated or foreign, or asks for what is not built here.
        MissingExtra: torch or transformers is not installed.
    """
    path, state = _state(folder)
    # Learned "weights" over layers stand in the checkpoint, but its forward pass leaves them out.
    state.pop("weights", None)
    positions = state.pop("embed_positions", None)
    own = "backbone_model.encoder.embed_positions.weight"
    if positions is not None:
        # The authors put the first 15 s of this table into the encoder before each pass.
        state[own] = positions[: WHISPER_SECONDS * 50]
    config = _whisper_config(state, path)
    model = _build_whisper(config, _hidden_dim(state, path))
    _weights.fill(model, state, path)
    return WhisperTeacher(
        digest=_weights.digest([path, folder / "config.json"], [WHISPER]),
        device=device,
        model=model.to(device),
        log_mel=_log_mel(config.num_mel_bins),
    )


@dataclass(frozen=True)
class WhisperTeacher:
    """Vox-Profile's Whisper.

    Attributes:
        digest: sha256 over weights and settings.
        device: "cpu" or "cuda".
        model: (log-mel [B, bands, 1500], frames [B]) to (A, D, V, embedding).
        log_mel: clips to Whisper's log-mel, padded or cut to 15 s.
    """

    digest: str
    device: str
    model: Any
    log_mel: Any
    name: str = WHISPER
    licence: str = LICENCE

    def label(self, clips: Sequence[Floats]) -> TeacherOutput:
        """See `Teacher.label`; of clips over 15 s the first 15 s are used."""
        # One frame needs 160 samples; Whisper's own padding reflects 200 samples at the ends.
        checked = check_clips(clips, shortest=400)
        cut = [clip[: WHISPER_SECONDS * SAMPLE_RATE] for clip in checked]
        return label_in_batches(cut, self._run, 2 * _wave.BATCH_SECONDS)

    def _run(self, clips: list[Floats]) -> TeacherOutput:
        torch = require("torch", "train")
        # 160 samples a step of the log-mel, and the encoder halves the steps.
        frames = torch.tensor([(len(clip) // 160 - 1) // 2 + 1 for clip in clips])
        with torch.inference_mode():
            features = torch.from_numpy(self.log_mel(clips)).to(self.device)
            dimensions, embedding = self.model(features, frames.to(self.device))
        return TeacherOutput(
            dimensions=_wave.to_numpy(dimensions), embedding=_wave.to_numpy(embedding)
        )


def _state(folder: Path) -> tuple[Path, dict[str, Any]]:
    path = _weights.weights_file(folder)
    state = _weights.read_state(
        path, lambda name: not (name.startswith(_UNUSED) or name.endswith("masked_spec_embed"))
    )
    adapters = [name for name in state if "lora_" in name]
    if adapters:
        raise BadArtifact(
            f"{path}: {adapters[0]} is a LoRA adapter; merge adapters into the weights first"
        )
    return path, state


def _hidden_dim(state: dict[str, Any], path: Path) -> int:
    first = state.get("model_seq.0.weight")
    if first is None or first.ndim != 3:
        raise BadArtifact(f"{path}: no convolution model_seq.0.weight: not Vox-Profile's")
    return int(first.shape[0])


def _whisper_config(state: dict[str, Any], path: Path) -> Any:
    transformers = require("transformers", "teachers")
    prefix = "backbone_model.encoder."
    try:
        width, bands, _ = state[f"{prefix}conv1.weight"].shape
        wide = state[f"{prefix}layers.0.fc1.weight"].shape[0]
        positions = state[f"{prefix}embed_positions.weight"].shape[0]
    except (KeyError, ValueError) as error:
        raise BadArtifact(f"{path}: {error} is missing; not a Whisper checkpoint") from None
    if width % WHISPER_HEAD or positions != WHISPER_SECONDS * 50:
        raise BadArtifact(
            f"{path}: width {width} with {positions} positions; expected a multiple of "
            f"{WHISPER_HEAD} and {WHISPER_SECONDS * 50} positions (15 s)"
        )
    depth = len({name.split(".")[3] for name in state if name.startswith(f"{prefix}layers.")})
    return transformers.WhisperConfig(
        d_model=width,
        encoder_layers=depth,
        encoder_attention_heads=width // WHISPER_HEAD,
        encoder_ffn_dim=wide,
        num_mel_bins=bands,
        max_source_positions=positions,
        encoder_layerdrop=0.0,
    )


def _log_mel(bands: int) -> Any:
    transformers = require("transformers", "teachers")
    extractor = transformers.WhisperFeatureExtractor(
        feature_size=bands, chunk_length=WHISPER_SECONDS
    )

    def log_mel(clips: list[Floats]) -> Floats:
        extracted = extractor(clips, sampling_rate=SAMPLE_RATE, return_tensors="np")
        return np.asarray(extracted["input_features"], dtype=np.float32)

    return log_mel


def _build_wavlm(config: Any, hidden_dim: int, first: int) -> Any:
    torch = require("torch", "train")
    transformers = require("transformers", "teachers")
    nn = torch.nn
    heads = _heads(config.hidden_size, hidden_dim)

    class Model(heads):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__()
            self.backbone_model = transformers.WavLMModel(config)
            self.weights = nn.Parameter(torch.empty(config.num_hidden_layers + 1 - first))

        def forward(self, samples: Any, lengths: Any) -> tuple[Any, Any]:
            mask = _wave.sample_mask(samples, lengths)
            states = self.backbone_model(
                samples, attention_mask=mask, output_hidden_states=True
            ).hidden_states[first:]
            share = self.weights.softmax(dim=0)
            hidden = sum(w * state for w, state in zip(share, states, strict=True))
            mask = _wave.frame_mask(config, lengths, hidden.shape[1])
            return cast("tuple[Any, Any]", self.read(hidden, mask))

    with torch.device("meta"):
        return Model()


def _build_whisper(config: Any, hidden_dim: int) -> Any:
    torch = require("torch", "train")
    whisper = require("transformers.models.whisper.modeling_whisper", "teachers")
    heads = _heads(config.d_model, hidden_dim)

    class Backbone(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = whisper.WhisperEncoder(config)

    class Model(heads):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__()
            self.backbone_model = Backbone()

        def forward(self, features: Any, frames: Any) -> tuple[Any, Any]:
            hidden = self.backbone_model.encoder(features).last_hidden_state
            positions = torch.arange(hidden.shape[1], device=frames.device)
            mask = (positions < frames[:, None]).float()[..., None]
            return cast("tuple[Any, Any]", self.read(hidden, mask))

    with torch.device("meta"):
        return Model()


def _heads(width: int, hidden_dim: int) -> Any:
    """The part that both teachers share; attribute names are the checkpoints'."""
    nn = require("torch", "train").nn

    def head() -> Any:
        return nn.Sequential(
            nn.Linear(hidden_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, 1), nn.Sigmoid()
        )

    class Heads(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            # Dropout does nothing here, but its places count in the checkpoint's names.
            self.model_seq = nn.Sequential(
                nn.Conv1d(width, hidden_dim, 1),
                nn.ReLU(),
                nn.Dropout(0.1),
                nn.Conv1d(hidden_dim, hidden_dim, 1),
                nn.ReLU(),
                nn.Dropout(0.1),
                nn.Conv1d(hidden_dim, hidden_dim, 1),
            )
            self.arousal_layer = head()
            self.valence_layer = head()
            self.dominance_layer = head()

        def read(self, hidden: Any, mask: Any) -> tuple[Any, Any]:
            features = self.model_seq(hidden.transpose(1, 2)).transpose(1, 2)
            pooled = _wave.masked_mean(features, mask)
            # The published tuple is arousal, valence, dominance; here it is A, D, V.
            order = (self.arousal_layer, self.dominance_layer, self.valence_layer)
            torch = require("torch", "train")
            return torch.cat([layer(pooled) for layer in order], dim=1), pooled

    return Heads
