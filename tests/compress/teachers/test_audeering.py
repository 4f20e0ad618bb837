from __future__ import annotations

import json
import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from edgeemo.compress.teachers import check_teacher, load_teacher
from edgeemo.errors import BadArtifact, BadInput

BIAS = [0.9, 0.5, 0.1]


@pytest.fixture(scope="module", params=["LARGE", "BASE"])
def model(request, tiny):
    config = transformers.Wav2Vec2Config(
        **tiny.SHAPE, **getattr(tiny, request.param), conv_bias=request.param == "LARGE"
    )
    return tiny.shaken(transformers.Wav2Vec2Model(config))


@pytest.fixture
def head(tiny):
    return {
        "classifier.dense.weight": tiny.tensor(1, 32, 32),
        "classifier.dense.bias": tiny.tensor(2, 32),
        "classifier.out_proj.weight": tiny.tensor(3, 3, 32, scale=0.05),
        "classifier.out_proj.bias": torch.tensor(BIAS),
    }


def save(folder: Path, tiny, model, head, labels=None, file="model.safetensors") -> Path:
    state = {f"wav2vec2.{k}": v for k, v in model.state_dict().items()} | head
    config = model.config.to_dict() | {"pooling_mode": "mean"}
    names = labels or ["arousal", "dominance", "valence"]
    config |= {
        "id2label": dict(enumerate(names)),
        "label2id": {name: i for i, name in enumerate(names)},
        # Oddities of the published file.
        "finetuning_task": "wav2vec2_reg",
        "vocab_size": None,
        "gradient_checkpointing": False,
        "hidden_dropout_prob": 0.1,
        "torch_dtype": "float32",
    }
    tiny.write(folder, state, config, file)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"do_normalize": True, "sampling_rate": 16000, "feature_size": 1})
    )
    return folder


def reference(model, head, clip: np.ndarray, normalize: bool = True) -> tuple:
    """The card's forward pass on one clip, without batch or mask."""
    x = clip.astype(np.float64)
    if normalize:
        x = (x - x.mean()) / np.sqrt(x.var() + 1e-7)
    with torch.no_grad():
        hidden = model(torch.tensor(x, dtype=torch.float32)[None]).last_hidden_state[0].numpy()
    pooled = hidden.astype(np.float64).mean(axis=0)
    weights = {k: v.numpy().astype(np.float64) for k, v in head.items()}
    inner = np.tanh(weights["classifier.dense.weight"] @ pooled + weights["classifier.dense.bias"])
    return (
        weights["classifier.out_proj.weight"] @ inner + weights["classifier.out_proj.bias"],
        pooled,
    )


def test_output_is_the_cards_forward_pass_for_each_clip(tmp_path, tiny, model, head, clips):
    teacher = load_teacher(save(tmp_path, tiny, model, head))
    got = teacher.label(clips)
    for row, vector, clip in zip(got.dimensions, got.embedding, clips, strict=True):
        dimensions, pooled = reference(model, head, clip)
        np.testing.assert_allclose(row, dimensions, atol=2e-5)
        np.testing.assert_allclose(vector, pooled, atol=2e-4)
    check_teacher(got, teacher.name)
    assert teacher.name == "audeering-dim" and "BY-NC-SA" in teacher.licence
    # Arousal, dominance, valence: the biases stand far apart.
    assert np.argsort(-got.dimensions.mean(axis=0)).tolist() == [0, 1, 2]
    # And the limit would notice a clip that was not normalized (group norm does not care).
    assert (
        not model.config.conv_bias
        or np.abs(got.dimensions[0] - reference(model, head, clips[0], False)[0]).max() > 1e-3
    )


def test_clips_beside_it_do_not_change_a_clip(tmp_path, tiny, model, head, clips):
    teacher = load_teacher(save(tmp_path, tiny, model, head))
    together = teacher.label(clips)
    for i, clip in enumerate(clips):
        np.testing.assert_allclose(
            teacher.label([clip]).dimensions[0], together.dimensions[i], atol=1e-5
        )
    again = load_teacher(tmp_path).label(clips)
    np.testing.assert_array_equal(again.dimensions, together.dimensions)


def test_order_comes_from_the_labels_of_the_checkpoint(tmp_path, tiny, model, head, clips):
    labels = ["valence", "arousal", "dominance"]
    swapped = load_teacher(save(tmp_path / "a", tiny, model, head, labels)).label(clips).dimensions
    plain = load_teacher(save(tmp_path / "b", tiny, model, head)).label(clips).dimensions
    np.testing.assert_array_equal(swapped, plain[:, [1, 2, 0]])
    with pytest.raises(BadArtifact, match="outputs are called"):
        load_teacher(save(tmp_path / "c", tiny, model, head, ["anger", "joy", "fear"]))


def test_old_names_of_weight_norm_in_a_pytorch_file(tmp_path, tiny, model, head, clips):
    want = load_teacher(save(tmp_path / "new", tiny, model, head)).label(clips).dimensions
    folder = save(tmp_path / "old", tiny, model, head, file="pytorch_model.bin")
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    old = {
        k.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): v
        for k, v in state.items()
    }
    assert set(old) != set(state)
    torch.save(old | {"wav2vec2.masked_spec_embed": torch.zeros(32)}, folder / "pytorch_model.bin")
    # Sums of the same weights may be taken in another order: where they lie in memory decides.
    np.testing.assert_allclose(load_teacher(folder).label(clips).dimensions, want, atol=1e-6)


def test_preprocessor_may_say_not_to_normalize(tmp_path, tiny, model, head, clips):
    folder = save(tmp_path, tiny, model, head)
    (folder / "preprocessor_config.json").write_text('{"do_normalize": false}')
    got = load_teacher(folder).label(clips[:1])
    np.testing.assert_allclose(
        got.dimensions[0], reference(model, head, clips[0], False)[0], atol=2e-5
    )


def test_digest_follows_weights_and_settings(tmp_path, tiny, model, head):
    first = load_teacher(save(tmp_path / "a", tiny, model, head)).digest
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert load_teacher(save(tmp_path / "b", tiny, model, head)).digest == first
    head["classifier.out_proj.bias"] = torch.tensor([0.9, 0.5, 0.1001])
    assert load_teacher(save(tmp_path / "c", tiny, model, head)).digest != first
    (tmp_path / "b" / "preprocessor_config.json").write_text('{"do_normalize": false}')
    assert load_teacher(tmp_path / "b").digest != first


def test_clip_shorter_than_one_frame_is_refused(tmp_path, tiny, model, head):
    teacher = load_teacher(save(tmp_path, tiny, model, head))
    assert teacher.label([np.ones(400, np.float32)]).dimensions.shape == (1, 3)
    with pytest.raises(BadInput, match="clip 0: 399 samples; this teacher needs 400"):
        teacher.label([np.ones(399, np.float32)])


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("pwned"),)


def spoil(folder: Path, how: str) -> None:
    weights = folder / "model.safetensors"
    if how == "truncated":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif how == "foreign":
        weights.write_bytes(b"MZ" + bytes(5000))
    elif how == "empty":
        weights.write_bytes(b"")
    elif how == "none":
        weights.unlink()
    elif how == "pickle":
        weights.unlink()
        with (folder / "pytorch_model.bin").open("wb") as stream:
            pickle.dump({"a": Evil()}, stream)
    elif how == "pickle in a zip":
        weights.unlink()
        torch.save({"a": Evil()}, folder / "pytorch_model.bin")
    elif how == "truncated pt":
        torch.save({"a": torch.zeros(3000)}, folder / "pytorch_model.bin")
        data = (folder / "pytorch_model.bin").read_bytes()
        (folder / "pytorch_model.bin").write_bytes(data[:-500])
        weights.unlink()
    elif how == "config not json":
        (folder / "config.json").write_text("{")
    elif how == "config huge":
        (folder / "config.json").write_text(" " * (1 << 20) + "{}")
    elif how == "config absurd":
        config = json.loads((folder / "config.json").read_text()) | {"num_hidden_layers": 10**9}
        (folder / "config.json").write_text(json.dumps(config))
    elif how == "config wrong type":
        config = json.loads((folder / "config.json").read_text()) | {"conv_dim": "x"}
        (folder / "config.json").write_text(json.dumps(config))
    elif how == "no preprocessor":
        (folder / "preprocessor_config.json").unlink()


@pytest.mark.parametrize(
    "how",
    [
        "truncated",
        "foreign",
        "empty",
        "none",
        "pickle",
        "pickle in a zip",
        "truncated pt",
        "config not json",
        "config huge",
        "config absurd",
        "config wrong type",
        "no preprocessor",
    ],
)
def test_spoilt_folder_is_refused(tmp_path, tiny, model, head, how, monkeypatch):
    folder = save(tmp_path / "t", tiny, model, head)
    spoil(folder, how)
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(BadArtifact) as caught:
            load_teacher(folder)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "change, says",
    [
        ({"classifier.dense.bias": None}, "classifier.dense.bias is missing"),
        ({"classifier.extra": (3,)}, "classifier.extra is not known"),
        ({"classifier.out_proj.bias": (4,)}, r"shape \[4\], expected \[3\]"),
        ({"classifier.out_proj.bias": float("nan")}, "classifier.out_proj.bias is not finite"),
    ],
)
def test_other_tensors_are_refused(tmp_path, tiny, model, head, change, says):
    for name, what in change.items():
        if what is None:
            del head[name]
        elif isinstance(what, float):
            head[name] = torch.full((3,), what)
        else:
            head[name] = torch.zeros(what)
    with pytest.raises(BadArtifact, match=says):
        load_teacher(save(tmp_path, tiny, model, head))
