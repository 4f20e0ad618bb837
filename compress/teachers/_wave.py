"""Teachers over a wav2vec2 or WavLM encoder: batching, padding and normalization in one place.

Padding does not change a clip's output: the convolutions look at no sample beyond a frame, frames
beyond a clip's end are masked in attention and left out of pooling. That holds only where the
encoder normalizes each frame on its own (`feat_extract_norm = "layer"`); an encoder that normalizes
over time ("group") sees the padding, so its clips run one by one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from edgeemo.errors import BadArtifact, require

from .base import Floats, TeacherOutput, check_clips, label_in_batches

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ._weights import State

BATCH_SECONDS = 60.0
"""Most seconds of sound in a batch, padding included: some 3 GB for a large encoder."""

# Strides leave no trace in the weights; every published wav2vec2 and WavLM has these.
STRIDES = (5, 2, 2, 2, 2, 2, 2)

Forward = Callable[["torch.Tensor", "torch.Tensor"], "tuple[torch.Tensor, torch.Tensor]"]
"""(samples [B, n], lengths [B]) to (A, D, V [B, 3], embedding [B, E])."""


@dataclass(frozen=True)
class WaveTeacher:
    """A teacher that takes raw samples.

    Attributes:
        name: of the teacher.
        licence: of its weights.
        digest: sha256 over weights and settings.
        device: "cpu" or "cuda".
        forward: the model; its A, D, V are in edgeemo's order and scale.
        normalize: one clip to what the model was trained on.
        shortest: fewest samples that give a frame.
        masks: whether a batch of several lengths leaves each clip's output as it is alone.
        batch_seconds: most seconds of sound in a batch, padding included.
        precision: of the matrix products; see `tuning.tuned`.
    """

    name: str
    licence: str
    digest: str
    device: str
    forward: Forward
    normalize: Callable[[Floats], Floats]
    shortest: int
    masks: bool
    batch_seconds: float = BATCH_SECONDS
    precision: Literal["float32", "bfloat16"] = "float32"

    def label(self, clips: Sequence[Floats]) -> TeacherOutput:
        """See `Teacher.label`."""
        checked = check_clips(clips, self.shortest)
        return label_in_batches(checked, self._run, self.batch_seconds if self.masks else 0.0)

    def _run(self, clips: list[Floats]) -> TeacherOutput:
        torch = require("torch", "train")
        samples = np.zeros((len(clips), max(map(len, clips))), dtype=np.float32)
        for row, clip in zip(samples, clips, strict=True):
            row[: len(clip)] = self.normalize(clip)
        lengths = torch.tensor([len(clip) for clip in clips], device=self.device)
        fast = self.precision == "bfloat16"
        device = torch.device(self.device).type
        with (
            torch.inference_mode(),
            torch.autocast(device, torch.bfloat16, enabled=fast),
            warnings.catch_warnings(),
        ):
            # transformers masks WavLM's padding with a bool beside a float; torch adds them up.
            warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
            dimensions, embedding = self.forward(torch.from_numpy(samples).to(self.device), lengths)
        return TeacherOutput(dimensions=to_numpy(dimensions), embedding=to_numpy(embedding))


def to_numpy(value: torch.Tensor) -> Floats:
    """A tensor as float32 numpy on the CPU."""
    return np.ascontiguousarray(value.float().cpu().numpy())


def unit_variance(clip: Floats, epsilon: float = 1e-7) -> Floats:
    """Zero mean and unit variance over the clip, as wav2vec2's preprocessor does.

    Args:
        clip: float32 [samples].
        epsilon: added to the variance before its root.

    Returns:
        float32 [samples]; silence stays silence.
    """
    wide = clip.astype(np.float64)
    scaled: Floats = ((wide - wide.mean()) / np.sqrt(wide.var() + epsilon)).astype(np.float32)
    return scaled


def fixed_scale(mean: float, std: float) -> Callable[[Floats], Floats]:
    """Normalization by the mean and standard deviation of a training set."""

    def scale(clip: Floats) -> Floats:
        made: Floats = ((clip.astype(np.float64) - mean) / std).astype(np.float32)
        return made

    return scale


def sample_mask(samples: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """1 for samples of a clip, 0 for its padding; int64 [B, n]."""
    torch = require("torch", "train")
    positions = torch.arange(samples.shape[1], device=samples.device)
    return cast("Tensor", (positions < lengths[:, None]).long())


def frame_mask(config: Any, lengths: torch.Tensor, frames: int) -> torch.Tensor:
    """1 for frames of a clip, 0 for its padding; float32 [B, frames, 1]."""
    torch = require("torch", "train")
    count = frame_counts(config, lengths)
    positions = torch.arange(frames, device=lengths.device)
    return cast("Tensor", (positions < count[:, None]).float()[..., None])


def frame_counts(config: Any, lengths: Any) -> Any:
    """Frames of clips of `lengths` samples (tensor or int): convolutions without padding."""
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        lengths = (lengths - kernel) // stride + 1
    return lengths


def shortest_clip(config: Any) -> int:
    """Fewest samples that give one frame."""
    need = 1
    layers = list(zip(config.conv_kernel, config.conv_stride, strict=True))
    for kernel, stride in reversed(layers):
        need = (need - 1) * stride + kernel
    return int(need)


def masked_mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the frames of each clip; [B, T, H] and [B, T, 1] to [B, H]."""
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1)


def wavlm_config(state: State, stable: bool) -> Any:
    """The configuration of a WavLM encoder, read off its weights.

    Checkpoints of challenges and benchmarks name their backbone ("microsoft/wavlm-large") and leave
    its configuration on a server. All but the strides and the order of norm and attention stands in
    the shapes of the tensors.

    Args:
        state: tensors of the encoder, names without prefix.
        stable: norm before attention (WavLM large) or after (base, base-plus).

    Returns:
        A `transformers.WavLMConfig`.

    Raises:
        BadArtifact: tensors that every WavLM has are missing, or their shapes are absurd.
    """
    transformers = require("transformers", "teachers")
    convs = _conv_shapes(state)
    if not convs:
        raise BadArtifact("no feature_extractor.conv_layers in the checkpoint: not a WavLM")
    if len(convs) != len(STRIDES):
        raise BadArtifact(f"{len(convs)} convolutions; every WavLM has {len(STRIDES)}")
    try:
        positions = state["encoder.pos_conv_embed.conv.parametrizations.weight.original1"].shape
        buckets, heads = state["encoder.layers.0.attention.rel_attn_embed.weight"].shape
        wide, hidden = state["encoder.layers.0.feed_forward.intermediate_dense.weight"].shape
    except (KeyError, ValueError) as error:
        raise BadArtifact(f"{error} is missing in the checkpoint: not a WavLM") from None
    layers = len({k.split(".")[2] for k in state if k.startswith("encoder.layers.")})
    return transformers.WavLMConfig(
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=wide,
        conv_dim=[shape[0] for shape in convs],
        conv_kernel=[shape[2] for shape in convs],
        conv_stride=list(STRIDES),
        conv_bias="feature_extractor.conv_layers.0.conv.bias" in state,
        feat_extract_norm=(
            "layer" if "feature_extractor.conv_layers.1.layer_norm.weight" in state else "group"
        ),
        num_conv_pos_embeddings=positions[2],
        num_conv_pos_embedding_groups=hidden // positions[1],
        num_buckets=buckets,
        do_stable_layer_norm=stable,
        **NO_TRAINING,
    )


NO_TRAINING: dict[str, float | bool] = {
    "apply_spec_augment": False,
    "mask_time_prob": 0.0,
    "mask_feature_prob": 0.0,
    "layerdrop": 0.0,
}
"""Settings that only training uses; with these the encoder holds no `masked_spec_embed`."""


def _conv_shapes(state: State) -> list[tuple[int, ...]]:
    names = (f"feature_extractor.conv_layers.{i}.conv.weight" for i in range(len(STRIDES) + 1))
    return [tuple(state[name].shape) for name in names if name in state]
