"""wav2small-stream: our own student, causal, for the log-mel that microcontrollers can afford.

Each layer sees the past alone, so a stream needs a few KB of state and gives the numbers that the
whole clip gives. Time falls to a quarter of the frame rate before the layers grow wide: that is
where Wav2Small, which stays at 250 tokens a second, spends its 78 M multiply-accumulates.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeemo.features import LOGMEL40
from edgeemo.types import CLASSES

from .base import Student, StudentOutput, register_student, time_mask
from .fast_gradients import OneChannelConv, TemporalDepthwise

STEM, MIDDLE, LAST = 24, 32, 48
"""Channels of the three layers that shrink time and bands."""

DILATIONS = (1, 2, 4, 8, 1)
"""Of the temporal blocks; 2.7 s of sound in all."""

KERNEL = 5

DROP = 0.3
"""Share of the embedding and of the hidden layer that a training step does without."""


class _Conv(nn.Module):
    """Convolution over [B, C, time, bands] that sees the past alone; batch norm, ReLU.

    Time is the height of the picture: then no runtime needs a transposition.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int],
        *,
        stride: tuple[int, int] = (1, 1),
        dilation: int = 1,
        groups: int = 1,
        relu: bool = True,
    ) -> None:
        super().__init__()
        padding = (0, kernel[1] // 2)
        self.conv: nn.Conv2d
        if in_channels == 1:
            self.conv = OneChannelConv(out_channels, kernel, stride, padding)
        elif groups == in_channels and kernel[1] == 1:
            self.conv = TemporalDepthwise(in_channels, kernel[0], dilation)
        else:
            self.conv = nn.Conv2d(
                in_channels,
                out_channels,
                kernel,
                stride,
                padding,
                (dilation, 1),
                groups,
                bias=False,
            )
        self.norm = nn.BatchNorm2d(out_channels)
        self.relu = relu
        # All zeros that a step needs lie before the first frame, none behind the last.
        self.past = (kernel[0] - 1) * dilation + 1 - stride[0]

    def forward(self, x: Tensor) -> Tensor:
        if self.past:
            x = F.pad(x, (0, 0, self.past, 0))
        x = self.norm(self.conv(x))
        return F.relu(x) if self.relu else x


class _Block(nn.Module):
    """Depthwise over time, then a mix of channels, added to what came in."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.depth = _Conv(width, width, (KERNEL, 1), dilation=dilation, groups=width)
        self.mix = _Conv(width, width, (1, 1))

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = x + self.mix(self.depth(x))
        return mixed


@register_student("wav2small-stream")
class Wav2SmallStream(Student):
    """The default student.

    Args:
        width: channels of the temporal blocks.
        pooled: channels that are averaged over time; the embedding.
        hidden: width of the layer between the embedding and the outputs.
    """

    mean: Tensor
    inverse_sd: Tensor

    def __init__(self, width: int = 72, pooled: int = 128, hidden: int = 64) -> None:
        super().__init__()
        self.options = {"width": width, "pooled": pooled, "hidden": hidden}
        self.spec = LOGMEL40
        self.stride = 4
        self.receptive = 3 + 2 * 2 + 2 * 2 + 4 * (KERNEL - 1) * sum(DILATIONS)
        self.register_buffer("mean", torch.zeros(self.spec.bands))
        self.register_buffer("inverse_sd", torch.ones(self.spec.bands))
        self.shrink = nn.Sequential(
            _Conv(1, STEM, (3, 5), stride=(2, 2)),  # [B, 24, T/2, 20]
            _Conv(STEM, STEM, (3, 3), stride=(1, 2), groups=STEM),  # [B, 24, T/2, 10]
            _Conv(STEM, MIDDLE, (1, 1)),  # [B, 32, T/2, 10]
            _Conv(MIDDLE, LAST, (3, 3), stride=(2, 2)),  # [B, 48, T/4, 5]
        )
        # A kernel as wide as the bands is the linear map of all of them, without a reshape.
        self.join = nn.Conv2d(LAST, width, (1, self.spec.bands // 8), bias=False)
        self.join_norm = nn.BatchNorm2d(width)
        self.blocks = nn.Sequential(*(_Block(width, d) for d in DILATIONS))
        self.widen = _Conv(width, pooled, (1, 1))
        self.hidden = nn.Linear(pooled, hidden)
        self.adv = nn.Linear(hidden, 3)
        self.classes = nn.Linear(hidden, len(CLASSES))
        # Targets lie about the middle of 0..1, and the heads begin there.
        nn.init.constant_(self.adv.bias, 0.5)

    def normalize_from(self, mean: Tensor, sd: Tensor) -> None:
        """See Student.normalise_from."""
        self.mean.copy_(mean)
        self.inverse_sd.copy_(1 / sd.clamp(min=1e-3))

    @property
    def head_layers(self) -> tuple[nn.Linear, ...]:
        """See Student.head_layers."""
        return (self.hidden,)

    @torch.no_grad()
    def with_channels(self, channels: Sequence[int], hidden: int) -> Wav2SmallStream:
        """See Student.with_channels."""
        narrow = Wav2SmallStream(**{**self.options, "pooled": len(channels), "hidden": hidden})
        ours, theirs = self.state_dict(), narrow.state_dict()
        for name, value in ours.items():
            if name.startswith("widen.") and value.ndim:
                theirs[name].copy_(value[list(channels)])
            elif not name.startswith(("hidden.", "adv.", "classes.")):
                theirs[name].copy_(value)
        return narrow

    @property
    def heard(self) -> int:
        """See Student.heard."""
        return self.join.out_channels

    def hear(self, features: Tensor) -> Tensor:
        """See Student.hear."""
        x = ((features - self.mean) * self.inverse_sd)[:, None]  # [B, 1, T, 40]
        heard: Tensor = self.blocks(F.relu(self.join_norm(self.join(self.shrink(x)))))
        return heard

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> StudentOutput:
        """See Student.forward."""
        heard = self.hear(features)  # [B, width, T/4, 1]
        x = self.widen(heard)  # [B, pooled, T/4, 1]
        sounds = None if self.sounds is None else self.sounds(heard).sigmoid()
        if lengths is None:
            embedding = x.mean((2, 3), keepdim=True).flatten(1)
            sounds = None if sounds is None else sounds.mean((2, 3), keepdim=True).flatten(1)
            lengths = torch.full((len(x),), x.shape[2] * self.stride, device=x.device)
        else:
            # Causal layers need no mask: what lies behind a clip's end cannot reach into it.
            inside = time_mask(lengths // self.stride, x.shape[2])[:, None, :, None]
            count = inside.sum((2, 3)).clamp(min=1)
            embedding = (x * inside).sum((2, 3)) / count
            sounds = None if sounds is None else (sounds * inside).sum((2, 3)) / count
        dropped = F.dropout(embedding, DROP, self.training)
        hidden = F.dropout(F.relu(self.hidden(dropped)), DROP, self.training)
        tokens = x.squeeze(3).transpose(1, 2)
        token_lengths = lengths // self.stride
        return StudentOutput(
            self.adv(hidden), self.classes(hidden), embedding, tokens, token_lengths, sounds
        )
