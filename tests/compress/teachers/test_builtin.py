"""The built-in teacher: its file format, trunk, heads and what the shipped file gives."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgeemo.artifacts.teachers_package import need
from edgeemo.compress.data import shipped_speech
from edgeemo.compress.teachers import load_teacher
from edgeemo.compress.teachers.builtin import FILE
from edgeemo.compress.teachers.heads import Heads, HeadsSettings, text_independent
from edgeemo.compress.teachers.whisper_encoder import Rounded, WhisperEncoder, read_ctranslate2
from edgeemo.errors import BadArtifact

WIDTH = 24
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


def whisper(layers: int = 2) -> dict[str, NDArray[np.generic]]:
    """Random weights in the shapes of a small encoder of six heads."""
    rng = np.random.default_rng(0)
    shapes = {
        "conv1/weight": (WIDTH, 80, 3),
        "conv1/bias": (WIDTH,),
        "conv2/weight": (WIDTH, WIDTH, 3),
        "conv2/bias": (WIDTH,),
        "position_encodings/encodings": (1500, WIDTH),
    }
    for i in range(layers):
        for part, inner in (("self_attention", 3 * WIDTH), ("ffn", 4 * WIDTH)):
            back = WIDTH if part == "self_attention" else inner
            shapes |= {
                f"layer_{i}/{part}/layer_norm/gamma": (WIDTH,),
                f"layer_{i}/{part}/layer_norm/beta": (WIDTH,),
                f"layer_{i}/{part}/linear_0/weight": (inner, WIDTH),
                f"layer_{i}/{part}/linear_0/bias": (inner,),
                f"layer_{i}/{part}/linear_1/weight": (WIDTH, back),
                f"layer_{i}/{part}/linear_1/bias": (WIDTH,),
            }
    return {
        "encoder/" + name: (rng.standard_normal(shape) * 0.2).astype(np.float16)
        for name, shape in shapes.items()
    }


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


def test_the_trunk_is_the_encoder_of_torch() -> None:
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


def test_level_beyond_80_decibels_below_the_peak_is_not_heard() -> None:
    trunk = WhisperEncoder(whisper()).eval()
    decibels = torch.full((1, 20, 80), -90.0)
    decibels[0, 3] = 0.0
    lower = decibels.clone()
    lower[0, 9] = -100.0
    higher = decibels.clone()
    higher[0, 9] = -70.0
    assert torch.equal(trunk(decibels), trunk(lower))
    assert not torch.equal(trunk(decibels), trunk(higher))


def test_heads_are_the_mean_of_their_members() -> None:
    heads = Heads(6, HeadsSettings(members=3, hidden=8)).eval()
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    dimensions, probs = heads(x)
    each = heads.outputs(x[None].expand(3, -1, -1))
    assert torch.allclose(dimensions, each[:, :, :3].mean(0))
    assert torch.allclose(probs.sum(1), torch.ones(4))


def test_only_sentences_said_in_several_emotions_teach_categories() -> None:
    clips = list(shipped_speech().clips)
    free = text_independent(clips)
    by_corpus = {c.corpus: f for c, f in zip(clips, free, strict=True)}
    assert by_corpus["cremad"] and by_corpus["emodb_full"]
    # Every sentence of LibriSpeech is said once, without an emotion.
    assert not by_corpus["librispeech"]


@pytest.fixture(scope="module")
def clips() -> list[NDArray[np.float32]]:
    return [c.samples() for c in shipped_speech().clips if c.corpus == "cremad"]


def test_the_shipped_file_is_at_most_8_megabytes() -> None:
    assert need(FILE).stat().st_size <= 8_000_000


def test_it_hears_anger_as_more_excited_than_sadness() -> None:
    teacher = load_teacher("builtin")
    chosen = [c for c in shipped_speech().clips if c.corpus in ("cremad", "emodb_full")]
    angry, sad = (
        teacher.label([c.samples() for c in chosen if c.emotion == e][:12])
        for e in ("anger", "sadness")
    )
    assert angry.dimensions is not None and sad.dimensions is not None
    assert angry.dimensions[:, 0].min() > sad.dimensions[:, 0].max() - 0.1
    assert angry.dimensions[:, 0].mean() > sad.dimensions[:, 0].mean() + 0.25


def test_a_clip_does_not_depend_on_its_neighbours(clips: list[NDArray[np.float32]]) -> None:
    teacher = load_teacher("builtin")
    together, alone = teacher.label(clips[:3]), teacher.label(clips[1:2])
    assert together.dimensions is not None and alone.dimensions is not None
    assert np.array_equal(together.dimensions[1], alone.dimensions[0])
    assert together.tokens is not None
    assert len(together.tokens[0]) == pytest.approx(len(clips[0]) / 16000 * 50, abs=3)


def test_long_sound_is_heard_in_pieces(clips: list[NDArray[np.float32]]) -> None:
    long = np.concatenate([np.concatenate(clips)] * 3)[: 61 * 16000]
    said = load_teacher("builtin").label([long])
    assert said.dimensions is not None and np.isfinite(said.dimensions).all()
    assert said.tokens is not None and len(said.tokens[0]) == pytest.approx(61 * 50, abs=9)
