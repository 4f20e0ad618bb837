from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from edgeemo.compress.teachers import check_teacher, load_teacher
from edgeemo.errors import BadArtifact, BadInput

HIDDEN = 24  # of the pointwise convolutions


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture
def head(tiny):
    return make_head(tiny, 32, 0.04)


def make_head(tiny, width: int, last: float) -> dict:
    made = {}
    for i, (name, inputs) in enumerate([("0", width), ("3", HIDDEN), ("6", HIDDEN)]):
        made[f"model_seq.{name}.weight"] = tiny.tensor(10 + i, HIDDEN, inputs, 1)
        made[f"model_seq.{name}.bias"] = tiny.tensor(20 + i, HIDDEN)
    # sigmoid: arousal .88, dominance .5, valence .12
    for i, (name, bias) in enumerate([("arousal", 2.0), ("dominance", 0.0), ("valence", -2.0)]):
        made[f"{name}_layer.0.weight"] = tiny.tensor(30 + i, HIDDEN, HIDDEN, scale=0.2)
        made[f"{name}_layer.0.bias"] = tiny.tensor(40 + i, HIDDEN)
        made[f"{name}_layer.2.weight"] = tiny.tensor(50 + i, 1, HIDDEN, scale=last)
        made[f"{name}_layer.2.bias"] = torch.tensor([bias])
    return made


def read_head(head: dict, hidden: np.ndarray) -> np.ndarray:
    """A, D, V of the frames of one clip, in float64 numpy."""
    w = {k: v.numpy().astype(np.float64) for k, v in head.items()}
    x = hidden.astype(np.float64)
    for i, name in enumerate(["0", "3", "6"]):
        x = x @ w[f"model_seq.{name}.weight"][:, :, 0].T + w[f"model_seq.{name}.bias"]
        x = np.maximum(x, 0) if i < 2 else x
    pooled = x.mean(axis=0)
    made = []
    for name in ("arousal", "dominance", "valence"):
        z = np.maximum(w[f"{name}_layer.0.weight"] @ pooled + w[f"{name}_layer.0.bias"], 0)
        made.append(sigmoid(w[f"{name}_layer.2.weight"] @ z + w[f"{name}_layer.2.bias"])[0])
    return np.array(made)


@pytest.fixture(scope="module")
def wavlm(tiny):
    config = transformers.WavLMConfig(**tiny.SHAPE, **tiny.LARGE, conv_bias=True)
    return tiny.shaken(transformers.WavLMModel(config), seed=2)


def save_wavlm(folder, tiny, encoder, head, weights, **config):
    state = {f"backbone_model.{k}": v for k, v in encoder.state_dict().items()}
    settings = {"pretrain_model": "wavlm_large", "hidden_dim": 256, "finetune_method": "finetune"}
    return tiny.write(folder, state | head | {"weights": weights}, settings | config)


def wavlm_reference(encoder, head, weights, clip, first=0):
    x = clip.astype(np.float64)
    x = ((x - x.mean()) / np.sqrt(x.var() + 1e-7)).astype(np.float32)
    with torch.no_grad():
        states = encoder(torch.from_numpy(x)[None], output_hidden_states=True).hidden_states
    share = np.exp(weights.numpy().astype(np.float64))
    share /= share.sum()
    states = [state[0].numpy().astype(np.float64) for state in states[first:]]
    return read_head(head, sum(s * state for s, state in zip(share, states, strict=True)))


@pytest.mark.parametrize("first", [0, 1])
def test_wavlm_is_the_published_forward_pass(tmp_path, tiny, wavlm, head, clips, first):
    weights = torch.tensor([0.5, -1.0, 0.3])[first:]
    extra = {"gender_layer.0.weight": tiny.tensor(1, 2, 2)}
    folder = save_wavlm(tmp_path, tiny, wavlm, head | extra, weights, use_conv_output=first == 0)
    teacher = load_teacher(folder)
    got = teacher.label(clips)
    want = np.array([wavlm_reference(wavlm, head, weights, clip, first) for clip in clips])
    np.testing.assert_allclose(got.dimensions, want, atol=3e-6)
    assert got.embedding.shape == (len(clips), HIDDEN)
    check_teacher(got)
    assert teacher.name == "voxprofile-wavlm" and "no commercial use" in teacher.licence
    # The published tuple is A, V, D; ours is A, D, V.
    assert np.argsort(-got.dimensions.mean(axis=0)).tolist() == [0, 1, 2]
    # The limit notices other weights over the layers.
    other = wavlm_reference(wavlm, head, -weights, clips[0], first)
    assert np.abs(other - want[0]).max() > 1e-3


def test_clips_beside_it_do_not_change_a_clip(tmp_path, tiny, wavlm, head, clips):
    teacher = load_teacher(save_wavlm(tmp_path, tiny, wavlm, head, torch.zeros(3)))
    together = teacher.label(clips).dimensions
    for i, clip in enumerate(clips):
        np.testing.assert_allclose(teacher.label([clip]).dimensions[0], together[i], atol=1e-5)


def test_lora_and_foreign_checkpoints_are_refused(tmp_path, tiny, wavlm, head):
    adapter = {
        "backbone_model.encoder.layers.1.feed_forward.output_dense.lora_A": tiny.tensor(1, 2, 48)
    }
    with pytest.raises(BadArtifact, match="merge"):
        load_teacher(save_wavlm(tmp_path / "a", tiny, wavlm, head | adapter, torch.zeros(3)))
    with pytest.raises(BadArtifact, match=r"weights has shape \[4\], expected \[3\]"):
        load_teacher(save_wavlm(tmp_path / "b", tiny, wavlm, head, torch.zeros(4)))
    del head["model_seq.0.weight"]
    with pytest.raises(BadArtifact, match="model_seq"):
        load_teacher(save_wavlm(tmp_path / "c", tiny, wavlm, head, torch.zeros(3)))


@pytest.fixture(scope="module")
def whisper(tiny):
    config = transformers.WhisperConfig(
        d_model=128,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=96,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=8,
        vocab_size=60,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        num_mel_bins=80,
        max_source_positions=750,
    )
    model = tiny.shaken(transformers.WhisperModel(config), seed=3)
    with torch.no_grad():
        # Weights this large would saturate 128-wide attention.
        for parameter in model.parameters():
            parameter.mul_(0.6)
    return model


def save_whisper(folder, tiny, model, head, **changes):
    state = {f"backbone_model.{k}": v for k, v in model.state_dict().items()}
    # The published file has the table of positions twice: the top one is what counts.
    own = "backbone_model.encoder.embed_positions.weight"
    state["embed_positions"] = torch.cat([state[own], torch.ones(750, 128)])
    state[own] = torch.full_like(state[own], 9.0)
    state |= {"weights": torch.zeros(3), "emotion_layer.0.bias": torch.zeros(2)} | head | changes
    return tiny.write(folder, state, {"pretrain_model": "whisper_large"})


def slaney_log_mel(clip: np.ndarray) -> np.ndarray:
    """Whisper's log-mel of one clip padded to 15 s, float64, from its formulas; [80, 1500]."""
    padded = np.zeros(240_000)
    padded[: len(clip)] = clip
    framed = np.lib.stride_tricks.sliding_window_view(np.pad(padded, 200, "reflect"), 400)[::160]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    power = np.abs(np.fft.rfft(framed[:1500] * window)) ** 2

    def to_mel(hz):
        return np.where(
            hz < 1000, hz * 0.015, 15 + 27 * np.log(np.maximum(hz, 1) / 1000) / np.log(6.4)
        )

    def to_hz(mel):
        return np.where(mel < 15, mel / 0.015, 1000 * 6.4 ** ((mel - 15) / 27))

    corners = to_hz(np.linspace(0, to_mel(np.array(8000.0)), 82))
    bins = np.linspace(0, 8000, 201)
    rise = (bins - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    fall = (corners[2:, None] - bins) / (corners[2:] - corners[1:-1])[:, None]
    bank = np.maximum(0, np.minimum(rise, fall)) * (2 / (corners[2:] - corners[:-2]))[:, None]
    logs = np.log10(np.maximum(bank @ power.T, 1e-10))
    return (np.maximum(logs, logs.max() - 8) + 4) / 4


def whisper_reference(model, head, clip):
    features = torch.tensor(slaney_log_mel(clip[:240_000]), dtype=torch.float32)[None]
    with torch.no_grad():
        hidden = model.encoder(features, output_hidden_states=True).hidden_states[-1][0]
    frames = (min(len(clip), 240_000) // 160 - 1) // 2 + 1
    return read_head(head, hidden.numpy()[:frames])


def test_whisper_is_the_published_forward_pass(tmp_path, tiny, whisper, clips):
    head = make_head(tiny, 128, 0.1)
    teacher = load_teacher(save_whisper(tmp_path, tiny, whisper, head))
    long = np.concatenate([clips[2]] * 16)  # 16 s: one second is not heard
    long[240_000:] *= -7
    given = [*clips, long]
    got = teacher.label(given)
    want = np.array([whisper_reference(whisper, head, clip) for clip in given])
    np.testing.assert_allclose(got.dimensions, want, atol=2e-5)
    check_teacher(got)
    assert got.dimensions.std(axis=0).min() > 1e-3  # so the limit above can fail
    assert teacher.name == "voxprofile-whisper"
    assert np.argsort(-got.dimensions.mean(axis=0)).tolist() == [0, 1, 2]
    np.testing.assert_allclose(
        teacher.label([clips[1]]).dimensions[0], got.dimensions[1], atol=1e-5
    )
    with pytest.raises(BadInput, match="needs 400"):
        teacher.label([np.zeros(399, np.float32)])


def test_whisper_of_another_length_is_refused(tmp_path, tiny, whisper):
    folder = save_whisper(
        tmp_path, tiny, whisper, make_head(tiny, 128, 0.1), embed_positions=torch.ones(500, 128)
    )
    with pytest.raises(BadArtifact, match="750 positions"):
        load_teacher(folder)
