"""Several models of faces in one file."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from edgeemo.artifacts.models import resolve
from edgeemo.artifacts.teachers_package import need
from edgeemo.backends import open_backend
from edgeemo.errors import BadArtifact
from edgeemo.vision.images import preprocess, resize_matrix

Tool = Callable[[str], ModuleType]
DATA = Path(__file__).parents[1] / "data" / "faces" / "london"
LARGE, SMALL = need("zoo/teacher-face.onnx"), need("zoo/efficientnet-lite0-face.onnx")


def test_the_file_gives_the_mean_and_each_model_its_own_size(tool: Tool, tmp_path: Path) -> None:
    averaged = tool("_averaged").averaged
    path = tmp_path / "both-face.onnx"
    path.write_bytes(averaged([LARGE, SMALL], "both-face"))
    large, small, both = (open_backend(p, "onnx") for p in (LARGE, SMALL, path))
    sizes = large.card.image.size, small.card.image.size
    assert sizes[0] != sizes[1]
    filters = resize_matrix(*sizes)
    assert filters.shape == sizes[::-1]
    assert np.allclose(filters.sum(1), 1)
    apart = []
    for file in sorted(DATA.glob("*.jpg"))[:3]:
        seen = preprocess(np.asarray(Image.open(file).convert("RGB")), None, large.card.image)
        smaller = np.einsum("ij,njkc,lk->nilc", filters, seen, filters)
        one, other, found = large.run(seen), small.run(smaller), both.run(seen)
        for name in ("adv", "probs"):
            # The large one is three networks, each of which counts as much as the small one.
            assert np.allclose(found[name], (3 * one[name] + other[name]) / 4, atol=1e-2)
            apart.append(np.abs(one[name] - other[name]).max())
    assert max(apart) > 0.1
    assert both.card.parameters == large.card.parameters + small.card.parameters
    assert both.card.metrics == ()
    assert averaged([LARGE, SMALL], "both-face") == path.read_bytes()


def test_a_network_is_taken_out_as_it_was(tool: Tool, tmp_path: Path) -> None:
    module = tool("_averaged")
    both, alone = tmp_path / "both-face.onnx", tmp_path / "alone-face.onnx"
    both.write_bytes(module.averaged([SMALL, need("zoo/mobilenetv1-face.onnx")], "both-face"))
    alone.write_bytes(module.network_of(both, 0))
    was, now = open_backend(SMALL, "onnx"), open_backend(alone, "onnx")
    seen = preprocess(np.asarray(Image.open(DATA / "001_happiness.jpg")), None, was.card.image)
    for name in ("adv", "probs"):
        assert np.allclose(now.run(seen)[name], was.run(seen)[name], atol=1e-2)
    assert alone.stat().st_size < 0.6 * both.stat().st_size
    norms = was.card.parameters - now.card.parameters  # two numbers a channel are one here
    assert 0 < norms < 0.02 * was.card.parameters
    assert now.card.macs_per_second == was.card.macs_per_second
    again = module.averaged([alone, need("zoo/mobilenetv1-face.onnx")], "both-face")
    assert len(again) <= both.stat().st_size + 100
    with pytest.raises(BadArtifact, match="network 2; it has 2, counted from 0"):
        module.network_of(both, 2)


def test_other_models_are_refused(tool: Tool) -> None:
    averaged = tool("_averaged").averaged
    speech = resolve("wav2small-stream", "onnx")
    with pytest.raises(BadArtifact, match=r"wav2small-stream\.onnx: takes features; only models"):
        averaged([SMALL, speech], "x")


def test_the_card_tells_what_taught_every_network(tool: Tool, tmp_path: Path) -> None:
    averaged = tool("_averaged").averaged
    path = tmp_path / "both-face.onnx"
    path.write_bytes(averaged([SMALL, need("zoo/mobilenetv1-face.onnx")], "both-face"))
    card = open_backend(path, "onnx").card
    assert "lfw" in card.licence and "taiwan" in card.trained_on.corpora
    assert any(text.startswith("lfw") for text in card.attributions)
