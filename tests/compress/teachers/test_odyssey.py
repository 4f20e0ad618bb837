from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from edgeemo.compress.teachers import check_teacher, load_teacher
from edgeemo.errors import BadArtifact

MEAN, STD = -8e-5, 0.0849
CONFIG = {
    "model_type": "ser",
    "architectures": ["SERModel"],
    "ssl_type": "microsoft/wavlm-large",
    "num_classes": 3,
    "classifier_hidden_layers": 1,
    "hidden_size": 32,
    "sampling_rate": 16000,
    "mean": MEAN,
    "std": STD,
}
BIAS = [0.8, 0.5, 0.2]


@pytest.fixture(scope="module")
def encoder(tiny):
    config = transformers.WavLMConfig(**tiny.SHAPE, **tiny.LARGE, conv_bias=True)
    return tiny.shaken(transformers.WavLMModel(config), seed=1)


@pytest.fixture
def head(tiny):
    return {
        "pool_model.sap_linear.weight": tiny.tensor(1, 32, 32),
        "pool_model.sap_linear.bias": tiny.tensor(2, 32),
        "pool_model.attention": tiny.tensor(3, 32, 1, scale=1.0),
        "ser_model.fc.0.0.weight": tiny.tensor(4, 32, 64),
        "ser_model.fc.0.0.bias": tiny.tensor(5, 32),
        "ser_model.fc.0.1.weight": tiny.tensor(6, 32) + 1,
        "ser_model.fc.0.1.bias": tiny.tensor(7, 32),
        "ser_model.out.0.weight": tiny.tensor(8, 3, 32, scale=0.01),
        "ser_model.out.0.bias": torch.tensor(BIAS),
    }


def save(folder, tiny, encoder, head, **config):
    state = {f"ssl_model.{k}": v for k, v in encoder.state_dict().items()} | head
    return tiny.write(folder, state, CONFIG | config)


def reference(encoder, head, clip: np.ndarray) -> np.ndarray:
    """The challenge's model on one clip, in float64 numpy after the encoder."""
    x = ((clip.astype(np.float64) - MEAN) / (STD + 1e-6)).astype(np.float32)
    with torch.no_grad():
        hidden = encoder(torch.from_numpy(x)[None]).last_hidden_state[0].numpy()
    hidden = hidden.astype(np.float64)
    w = {k: v.numpy().astype(np.float64) for k, v in head.items()}
    inner = np.tanh(hidden @ w["pool_model.sap_linear.weight"].T + w["pool_model.sap_linear.bias"])
    score = (inner @ w["pool_model.attention"])[:, 0]
    share = np.exp(score - score.max())
    share /= share.sum()
    mean = share @ hidden
    sd = np.sqrt(np.maximum(share @ hidden**2 - mean**2, 1e-5))
    z = w["ser_model.fc.0.0.weight"] @ np.concatenate([mean, sd]) + w["ser_model.fc.0.0.bias"]
    z = (z - z.mean()) / np.sqrt(z.var() + 1e-5)
    z = np.maximum(z * w["ser_model.fc.0.1.weight"] + w["ser_model.fc.0.1.bias"], 0)
    return w["ser_model.out.0.weight"] @ z + w["ser_model.out.0.bias"]


def test_output_is_the_challenges_model_for_each_clip(tmp_path, tiny, encoder, head, clips):
    teacher = load_teacher(save(tmp_path, tiny, encoder, head))
    got = teacher.label(clips)
    want = np.array([reference(encoder, head, clip) for clip in clips])
    np.testing.assert_allclose(got.dimensions, want, atol=5e-6)
    assert got.embedding.shape == (len(clips), 64)
    check_teacher(got)
    assert teacher.name == "odyssey-wavlm"
    # The network's own order is A, D, V (not the A, V, D of the challenge's files), 0..1.
    np.testing.assert_allclose(want.mean(axis=0), BIAS, atol=0.14)
    assert np.argsort(-got.dimensions.mean(axis=0)).tolist() == [0, 1, 2]


def test_clips_beside_it_do_not_change_a_clip(tmp_path, tiny, encoder, head, clips):
    teacher = load_teacher(save(tmp_path, tiny, encoder, head))
    together = teacher.label(clips).dimensions
    for i, clip in enumerate(clips):
        np.testing.assert_allclose(teacher.label([clip]).dimensions[0], together[i], atol=1e-5)


@pytest.mark.parametrize(
    "config, says",
    [
        ({"std": 0}, "std above 0"),
        ({"mean": None}, "expected numbers"),
        ({"num_classes": 8}, "three attributes"),
        ({"sampling_rate": 8000}, "8000"),
        ({"ssl_type": "facebook/hubert-large-ll60k"}, "reads WavLM"),
        ({"classifier_hidden_layers": 2}, "ser_model.fc.1.0.weight is missing"),
        ({"classifier_hidden_layers": 10**9}, "expected 1 to 8"),
    ],
)
def test_other_settings_are_refused(tmp_path, tiny, encoder, head, config, says):
    with pytest.raises(BadArtifact, match=says):
        load_teacher(save(tmp_path, tiny, encoder, head, **config))


def test_a_checkpoint_of_something_else_is_refused(tmp_path, tiny, head):
    with pytest.raises(BadArtifact, match="not a WavLM"):
        load_teacher(tiny.write(tmp_path, head, CONFIG))
