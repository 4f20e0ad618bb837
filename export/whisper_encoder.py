"""The first layers of a Whisper encoder as a source of features, read from a CTranslate2 file.

Layer 2 of 4 of tiny.en carries more of how a sentence is said than the last layer, which is
trained to forget it: on EmoTale valence falls from .68 to .57 from layer 2 to the final norm.

Sources: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision",
arXiv 2212.04356 (encoder and input scaling); OpenNMT CTranslate2, model specification, binary
version 6 (file layout).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeemo.compress.teachers.heads import Rounded
from edgeemo.errors import BadArtifact

MAX_BYTES = 512 * 1024 * 1024

_TYPES: Mapping[int, Any] = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_BINARY_VERSION = 6
_HEADS = 6


def read_ctranslate2(path: Path) -> dict[str, NDArray[Any]]:
    """Tensors of a CTranslate2 model file by name.

    Layout: u32 version; a string (u16 length with its final zero byte); u32 revision; u32 count;
    for each tensor a string, u8 rank, u32 for each dimension, u8 type, u32 bytes, the data.

    Raises:
        BadArtifact: truncated, foreign, larger than 512 MB, or a tensor does not fill its shape.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise BadArtifact(f"{path}: {size} bytes; a Whisper file has at most {MAX_BYTES}")
    data = path.read_bytes()
    try:
        return _tensors(data)
    except (struct.error, UnicodeDecodeError, ValueError, KeyError) as error:
        raise BadArtifact(f"{path}: not a CTranslate2 model, or cut short ({error})") from None


def _tensors(data: bytes) -> dict[str, NDArray[Any]]:
    at = 0

    def number(kind: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from("<" + kind, data, at)
        at += struct.calcsize(kind)
        return int(value)

    def text() -> str:
        nonlocal at
        length = number("H")
        value = data[at : at + length - 1].decode()
        at += length
        return value

    version = number("I")
    if version != _BINARY_VERSION:
        raise ValueError(f"binary version {version}; expected {_BINARY_VERSION}")
    text()
    number("I")
    found: dict[str, NDArray[Any]] = {}
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        dtype = np.dtype(_TYPES[number("B")])
        size = number("I")
        # np.frombuffer and reshape refuse what does not lie in the file or fill the shape.
        found[name] = np.frombuffer(data, dtype, size // dtype.itemsize, at).reshape(shape)
        at += size
    return found


class WhisperEncoder(nn.Module):
    """Convolutions and the first `layers` transformer layers of a Whisper encoder.

    Args:
        tensors: of read_ctranslate2.
        layers: how many layers to keep.
        loudest: level, log10 of power, to which the loudest band of a clip is brought, so that a
            microphone's gain says nothing; None leaves the level as it is.
    """

    def __init__(
        self, tensors: Mapping[str, NDArray[Any]], layers: int = 2, loudest: float | None = None
    ) -> None:
        super().__init__()
        self.loudest = loudest
        take = _Taker(tensors)
        self.conv1, self.bias1 = take.rounded("conv1/weight"), take.vector("conv1/bias")
        self.conv2, self.bias2 = take.rounded("conv2/weight"), take.vector("conv2/bias")
        self.positions = take.rounded("position_encodings/encodings")
        self.layers = nn.ModuleList([_Layer(take, f"layer_{i}/") for i in range(layers)])
        self.width = len(self.bias1)

    def forward(self, decibels: Tensor) -> Tensor:
        """Tokens of clips of one length.

        Args:
            decibels: [B, T, 80], log-mel of the spec "whisper80" (10 log10); T of 2 to 3000.

        Returns:
            [B, ceil(T / 2), width].
        """
        x = decibels / 10
        if self.loudest is not None:
            x = x - x.amax((1, 2), keepdim=True) + self.loudest
        x = torch.maximum(x, x.amax((1, 2), keepdim=True) - 8)
        x = ((x + 4) / 4).transpose(1, 2)  # [B, 80, T]
        x = F.gelu(F.conv1d(x, self.conv1(), self.bias1, padding=1))
        x = F.gelu(F.conv1d(x, self.conv2(), self.bias2, stride=2, padding=1))
        x = x.transpose(1, 2)  # [B, T', width]
        x = x + self.positions()[: x.shape[1]]
        for layer in self.layers:
            x = layer(x)
        tokens: Tensor = x
        return tokens


class _Taker:
    """Takes float32 tensors of the encoder out of a file's table, with a clear error."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        self.tensors = tensors

    def _get(self, name: str) -> Tensor:
        found = self.tensors.get("encoder/" + name)
        if found is None:
            raise BadArtifact(f"no tensor encoder/{name}; not a Whisper model of CTranslate2")
        values = found.astype(np.float32)
        if found.dtype.kind == "i":
            values = values / self._scale(name, found)
        return torch.from_numpy(values)

    def _scale(self, name: str, found: NDArray[Any]) -> NDArray[np.float32]:
        """What integers were multiplied by: one number for each row (int8) or for all (int16)."""
        scale = self.tensors.get(f"encoder/{name}_scale")
        if scale is None or scale.dtype.kind != "f" or scale.size not in (1, len(found)):
            raise BadArtifact(
                f"encoder/{name} is {found.dtype} without its scales; convert the model again, "
                "for example with --quantization float16"
            )
        wide = scale.astype(np.float32).reshape(-1, *[1] * (found.ndim - 1))
        if not (np.isfinite(wide) & (wide > 0)).all():
            raise BadArtifact(f"encoder/{name}_scale holds a number that is no scale")
        return wide

    def rounded(self, name: str) -> Rounded:
        return Rounded(self._get(name))

    def vector(self, name: str) -> nn.Parameter:
        return nn.Parameter(self._get(name), requires_grad=False)


class _Layer(nn.Module):
    """One pre-norm transformer layer: attention over the whole clip, then two linear layers."""

    def __init__(self, take: _Taker, name: str) -> None:
        super().__init__()
        self.attend = _Branch(take, name + "self_attention/")
        self.expand = _Branch(take, name + "ffn/")

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = *x.shape[:2], self.attend.width
        mixed = self.attend.first(x)  # query, key and value in one
        query, key, value = (
            part.view(batch, tokens, _HEADS, width // _HEADS).transpose(1, 2)
            for part in mixed.split(width, dim=-1)
        )
        weights = (query @ key.transpose(2, 3) * (width // _HEADS) ** -0.5).softmax(-1)
        attended = (weights @ value).transpose(1, 2).reshape(batch, tokens, width)
        x = x + self.attend.second(attended)
        return x + self.expand.second(F.gelu(self.expand.first(x)))


class _Branch(nn.Module):
    """Norm and linear layer on the way in, linear layer on the way out."""

    def __init__(self, take: _Taker, name: str) -> None:
        super().__init__()
        self.gain = take.vector(name + "layer_norm/gamma")
        self.width = len(self.gain)  # an int: the exporter takes a shape for a free axis
        self.shift = take.vector(name + "layer_norm/beta")
        self.weight_in = take.rounded(name + "linear_0/weight")
        self.bias_in = take.vector(name + "linear_0/bias")
        self.weight_out = take.rounded(name + "linear_1/weight")
        self.bias_out = take.vector(name + "linear_1/bias")

    def first(self, x: Tensor) -> Tensor:
        x = F.layer_norm(x, (self.width,), self.gain, self.shift)
        return F.linear(x, self.weight_in(), self.bias_in)

    def second(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_out(), self.bias_out)
