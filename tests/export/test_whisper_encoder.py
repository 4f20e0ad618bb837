"""The Whisper encoder: its file format, its layers beside torch's, its int8 weights."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgeemo.compress.teachers.heads import Rounded
from edgeemo.errors import BadArtifact
from edgeemo.export.whisper_encoder import WhisperEncoder, read_ctranslate2
from tests.compress.whisper import WIDTH, whisper

TYPES = {
    np.dtype(np.float32): 0,
    np.dtype(np.int8): 1,
    np.dtype(np.int16): 2,
    np.dtype(np.float16): 4,
}


def ctranslate2(tensors: dict[str, NDArray[np.generic]]) -> bytes:
    """A model file as the specification describes it, written without the reader's code."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    parts = [struct.pack("<I", 6), text("WhisperSpec"), struct.pack("<II", 3, len(tensors))]
    for name, value in tensors.items():
        parts += [text(name), struct.pack("<B", value.ndim)]
        parts += [struct.pack("<I", n) for n in value.shape]
        parts += [struct.pack("<BI", TYPES[value.dtype], value.nbytes), value.tobytes()]
    return b"".join(parts)


def test_the_file_is_read_back(tmp_path: Path) -> None:
    written = whisper()
    (tmp_path / "model.bin").write_bytes(ctranslate2(written))
    found = read_ctranslate2(tmp_path / "model.bin")
    assert found.keys() == written.keys()
    assert all(np.array_equal(found[name], written[name]) for name in written)


@pytest.mark.parametrize("kind", [np.int8, np.int16])
def test_integers_are_divided_by_their_scale(kind: type[np.generic]) -> None:
    """As CTranslate2 writes them: int8 with a scale for each row, int16 with one for all."""
    plain = {name: value.astype(np.float32) for name, value in whisper().items()}
    stored: dict[str, NDArray[np.generic]] = {}
    for name, value in plain.items():
        stored[name] = value
        if name.endswith("weight") and value.ndim == 2:
            most = np.abs(value).max(1) if kind is np.int8 else np.abs(value).max()
            scale = np.asarray((127 if kind is np.int8 else 1023) / most, np.float32)
            wide = scale[:, None] if kind is np.int8 else scale
            stored[name] = np.rint(value * wide).astype(kind)
            stored[f"{name}_scale"] = scale
    frames = torch.randn(1, 40, 80, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        want, found = WhisperEncoder(plain)(frames), WhisperEncoder(stored)(frames)
    assert (found - want).abs().max() < 0.05 * want.abs().max()
    for wrong in (None, np.float32([0.0]), np.float32([1.0, 2.0]), np.int8([1])):
        name = "encoder/layer_0/ffn/linear_0/weight"
        broken = {k: v for k, v in stored.items() if k != f"{name}_scale"}
        if wrong is not None:
            broken[f"{name}_scale"] = wrong
        with pytest.raises(BadArtifact, match="layer_0/ffn/linear_0/weight"):
            WhisperEncoder(broken)


@pytest.mark.parametrize("keep", [0, 3, 40, 5000])
def test_a_file_cut_short_is_refused(tmp_path: Path, keep: int) -> None:
    (tmp_path / "model.bin").write_bytes(ctranslate2(whisper())[:keep])
    with pytest.raises(BadArtifact, match="cut short"):
        read_ctranslate2(tmp_path / "model.bin")


def test_another_model_is_refused() -> None:
    with pytest.raises(BadArtifact, match="conv1/weight"):
        WhisperEncoder({"decoder/embedding": np.zeros((2, 2), np.float16)})


def test_rounding_keeps_half_a_step() -> None:
    weight = torch.randn(7, 5, 3, generator=torch.Generator().manual_seed(0))
    step = weight.abs().amax((1, 2), keepdim=True) / 127
    assert ((Rounded(weight)() - weight).abs() <= step / 2 + 1e-7).all()


def test_a_layer_is_the_encoder_of_torch() -> None:
    """Against torch's own transformer layer, given the same (rounded) weights."""
    trunk = WhisperEncoder(whisper(1), layers=1).eval()
    layer = torch.nn.TransformerEncoderLayer(
        WIDTH, 6, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True
    ).eval()
    ours = trunk.layers[0]
    with torch.no_grad():
        layer.self_attn.in_proj_weight.copy_(ours.attend.weight_in())
        layer.self_attn.in_proj_bias.copy_(ours.attend.bias_in)
        layer.self_attn.out_proj.weight.copy_(ours.attend.weight_out())
        layer.self_attn.out_proj.bias.copy_(ours.attend.bias_out)
        layer.norm1.weight.copy_(ours.attend.gain)
        layer.norm1.bias.copy_(ours.attend.shift)
        layer.linear1.weight.copy_(ours.expand.weight_in())
        layer.linear1.bias.copy_(ours.expand.bias_in)
        layer.linear2.weight.copy_(ours.expand.weight_out())
        layer.linear2.bias.copy_(ours.expand.bias_out)
        layer.norm2.weight.copy_(ours.expand.gain)
        layer.norm2.bias.copy_(ours.expand.shift)
        x = torch.randn(2, 9, WIDTH, generator=torch.Generator().manual_seed(1))
        assert torch.allclose(ours(x), layer(x), atol=1e-5)


def test_level_beyond_80_decibels_below_the_peak_changes_nothing() -> None:
    trunk = WhisperEncoder(whisper()).eval()
    decibels = torch.full((1, 20, 80), -90.0)
    decibels[0, 3] = 0.0
    lower = decibels.clone()
    lower[0, 9] = -100.0
    higher = decibels.clone()
    higher[0, 9] = -70.0
    assert torch.equal(trunk(decibels), trunk(lower))
    assert not torch.equal(trunk(decibels), trunk(higher))
