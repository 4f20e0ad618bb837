"""Wav2Small in its two published shapes: faithful, for comparison.

Shapes after arXiv 2408.13920 and its model card, in our own code, with a head for the classes
added. Both look at 500 frames a second, which is why they are small in bytes and large in work.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeemo.features import SPECS
from edgeemo.types import CLASSES

from .base import Student, StudentOutput, register_student, time_mask, unwatched

CHANNELS = 13
BANDS = 13
"""Bands after the max pool: the 26 of the spec, halved."""

# Softmax weight of padding: far below any logit, and finite so that no NaN can arise.
_OUT = -1e4


class _Body(nn.Module):
    """Seven 3x3 convolutions of 13 channels, batch norm and ReLU; max pool after the third."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(CHANNELS if i else 1, CHANNELS, 3, padding=1, bias=False) for i in range(7)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(CHANNELS) for _ in range(7))

    def forward(self, features: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """[B, T, 26] to [B, 13, T', 13] and the lengths that go with it."""
        x = _masked(features[:, None], lengths)
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            # Padding is zeroed again each time: batch norm would lift it above the zeros that
            # the convolution sees beyond the end of a clip that stands alone.
            x = _masked(F.relu(norm(conv(x))), lengths)
            if i == 2:
                # Nothing is below 0 here, so zeros around do as well as the -inf of the pool's
                # own padding, which has no int8 form.
                x = F.max_pool2d(F.pad(x, (1, 1, 1, 1)), 3, stride=2)
                with unwatched():
                    lengths = None if lengths is None else (lengths + 1) // 2
                x = _masked(x, lengths)  # the first token behind a clip has seen its last frame
        return x, lengths


def _masked(x: Tensor, lengths: Tensor | None) -> Tensor:
    with unwatched():
        return x if lengths is None else x * time_mask(lengths, x.shape[2])[:, None, :, None]


def _attend(value: Tensor, weight: Tensor, lengths: Tensor | None) -> Tensor:
    """Mean over time of [B, C, T, F] with the softmax of `weight` over time: [B, C, F]."""
    # Time goes last, as int8 runtimes have their softmax there alone.
    value, weight = value.permute(0, 1, 3, 2), weight.permute(0, 1, 3, 2)
    if lengths is not None:
        with unwatched():
            inside = time_mask(lengths, weight.shape[3])
            weight = weight + (1 - inside)[:, None, None] * _OUT
    return (value * weight.softmax(dim=-1)).sum(dim=-1)


class _Wav2Small(Student):
    """What both shapes share: body, heads, tokens."""

    def __init__(self, embedding: int) -> None:
        super().__init__()
        self.options = {}
        self.spec = SPECS["wav2small"]
        self.stride = 2
        # Each 3x3 sees one frame more on both sides, twice as far after the pool.
        self.receptive = 1 + 2 * (3 + 1) + 4 * 2 * 2
        self.body = _Body()
        self.adv = nn.Linear(embedding, 3)
        self.classes = nn.Linear(embedding, len(CLASSES))
        # Targets lie about the middle of 0..1, and the heads begin there.
        nn.init.constant_(self.adv.bias, 0.5)

    def _output(self, embedding: Tensor, tokens: Tensor, lengths: Tensor | None) -> StudentOutput:
        if lengths is None:
            lengths = torch.full((len(tokens),), tokens.shape[1], device=tokens.device)
        dimensions, logits = self.adv(embedding), self.classes(embedding)
        return StudentOutput(dimensions, logits, embedding, tokens, lengths)


@register_student("wav2small")
class Wav2Small(_Wav2Small):
    """The paper's 72K shape: 169 features a token, two linear maps, softmax over time."""

    def __init__(self) -> None:
        super().__init__(CHANNELS * BANDS)
        self.closing = nn.Conv2d(CHANNELS, CHANNELS, 1)
        # A kernel as wide as the bands is the linear map of all of them, without a reshape.
        self.value = nn.Conv2d(CHANNELS, CHANNELS * BANDS, (1, BANDS))
        self.weight = nn.Conv2d(CHANNELS, CHANNELS * BANDS, (1, BANDS))

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> StudentOutput:
        """See Student.forward."""
        x, lengths = self.body(features, lengths)
        closed = self.closing(x)
        pooled = _attend(self.value(closed), self.weight(closed), lengths).flatten(1)
        return self._output(pooled, closed.permute(0, 2, 1, 3).flatten(2), lengths)


@register_student("wav2small-17k")
class Wav2Small17k(_Wav2Small):
    """The published 17K shape: a 13 x 13 attention summary beside its Gram matrix."""

    def __init__(self) -> None:
        super().__init__(2 * CHANNELS * BANDS)
        self.value = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.weight = nn.Conv2d(CHANNELS, CHANNELS, 1)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> StudentOutput:
        """See Student.forward."""
        x, lengths = self.body(features, lengths)
        value = self.value(x)
        summary = _attend(value, self.weight(x), lengths)
        # The product of matrices, as int8 runtimes want a layer's weights to be constant.
        gram = (summary[:, :, None] * summary[:, None]).sum(dim=-1)
        pooled = torch.cat([summary.flatten(1), gram.flatten(1)], dim=1)
        return self._output(pooled, value.permute(0, 2, 1, 3).flatten(2), lengths)
