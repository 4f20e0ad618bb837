"""emotion2vec+: nine categories to eight classes, through ONNX and TorchScript."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from edgeemo.compress.teachers import check_teacher, load_teacher
from edgeemo.compress.teachers.emotion2vec import CATEGORIES
from edgeemo.errors import BadArtifact
from tests.compress.teachers.graphs import W9, save_onnx, softmax, statistics


def nine_to_eight(scores: np.ndarray) -> np.ndarray:
    kept = np.array(
        [scores[4], scores[3], scores[7], scores[6], scores[0], scores[1], scores[2], 0.0]
    )  # neutral, happiness, surprise, sadness, anger, disgust, fear, contempt
    return kept / kept.sum()


def emotion2vec_scores(clip: np.ndarray) -> np.ndarray:
    x = clip.astype(np.float64)
    x = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
    return softmax(statistics(x) @ W9)[0]


@pytest.fixture
def named(tmp_path: Path, monkeypatch) -> Path:
    """The folder of the named teacher emotion2vec-plus."""
    monkeypatch.setenv("EDGEEMO_TEACHERS", str(tmp_path))
    folder = tmp_path / "emotion2vec-plus"
    folder.mkdir()
    return folder


def test_emotion2vec_gives_classes_only(named: Path, clips) -> None:
    # After normalization only the shape of the distribution is left for the tiny graph to see.
    clips = [np.sign(c) * np.abs(c) ** np.float32(1 + i) for i, c in enumerate(clips)]
    save_onnx(named / "model.onnx", names=("h", "l", "scores"))
    model = onnx.load(named / "model.onnx")
    del model.graph.output[:2]  # an export has the nine scores alone
    onnx.save(model, named / "model.onnx")
    teacher = load_teacher("emotion2vec-plus")
    got = teacher.label(clips)
    assert got.dimensions is None and got.embedding is None
    want = [nine_to_eight(emotion2vec_scores(clip)) for clip in clips]
    np.testing.assert_allclose(got.probs, want, atol=1e-5)
    assert CATEGORIES[5] == "other" and CATEGORIES[8] == "unknown"
    check_teacher(got)


def test_emotion2vec_through_torchscript(named: Path, clips) -> None:
    torch = pytest.importorskip("torch")

    class Nine(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(torch.from_numpy(W9))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = torch.stack([x.abs().mean(), (x * x).mean()])
            return torch.softmax(h[None] @ self.w, dim=1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Nine()).save(str(named / "model.ts"))
    got = load_teacher("emotion2vec-plus").label(clips)
    want = [nine_to_eight(emotion2vec_scores(clip)) for clip in clips]
    np.testing.assert_allclose(got.probs, want, atol=1e-5)

    (named / "model.ts").write_bytes((named / "model.ts").read_bytes()[:-300])
    with pytest.raises(BadArtifact, match=r"model\.ts: truncated or foreign"):
        load_teacher("emotion2vec-plus")


def test_emotion2vec_without_its_head_is_refused(named: Path, clips) -> None:
    with pytest.raises(BadArtifact, match="how to export"):
        load_teacher("emotion2vec-plus")
    save_onnx(named / "model.onnx", frames=True)
    with pytest.raises(BadArtifact, match="one for each frame"):
        load_teacher("emotion2vec-plus").label(clips)
