"""Shapes, costs and masks. Counts come from the papers' layer lists, by hand where noted."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from edgeemo.compress.students import (
    load_student,
    make_student,
    register_student,
    save_student,
    student_names,
)
from edgeemo.errors import BadRecipe
from edgeemo.types import CLASSES

SHIPPED = (
    "mobilenetv3-small",
    "mobilenetv4-conv-small",
    "wav2small",
    "wav2small-17k",
    "wav2small-stream",
)


@pytest.fixture(scope="module", params=SHIPPED)
def student(request):
    torch.manual_seed(0)
    made = make_student(request.param)
    # Norms of a trained student are not the identity, and masks must stand that.
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.bias, 0.1, 0.5)
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
    return made.eval()


@torch.inference_mode()
def test_padding_changes_nothing(student):
    frames = [130, 97, 64, 33]
    torch.manual_seed(1)
    clips = [torch.randn(n, student.spec.bands) for n in frames]
    batch = torch.full((4, 150, student.spec.bands), 7.0)
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = clip
    together = student(batch, torch.tensor(frames))
    for i, clip in enumerate(clips):
        alone = student(clip[None], None)
        n = int(together.token_lengths[i])
        assert n == int(alone.token_lengths[0]) == alone.tokens.shape[1]
        for got, want in (
            (together.dimensions[i], alone.dimensions[0]),
            (together.logits[i], alone.logits[0]),
            (together.embedding[i], alone.embedding[0]),
            (together.tokens[i, :n], alone.tokens[0]),
        ):
            assert torch.allclose(got, want, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", [n for n in student_names() if not n.endswith("-face")])
@torch.inference_mode()
def test_every_student_keeps_the_contract(name, tmp_path):
    made = make_student(name).eval()
    frames = made.spec.frames(2 * 16000)
    x = torch.randn(2, frames, made.spec.bands)
    said = made(x, torch.tensor([frames, frames // 2]))
    assert said.dimensions.shape == (2, 3) and said.logits.shape == (2, len(CLASSES))
    assert said.embedding.ndim == 2 and said.tokens.ndim == 3
    assert abs(said.tokens.shape[1] - frames / made.stride) <= 2
    assert said.token_lengths[0] <= said.tokens.shape[1]
    assert made.name == name and made.receptive >= made.stride >= 1
    save_student(made, tmp_path / "s.pt")
    again = load_student(tmp_path / "s.pt")
    assert torch.equal(again(x, None).dimensions, made(x, None).dimensions)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_token_sees_its_receptive_field_and_no_more(name):
    made = make_student(name).eval()
    for module in made.modules():  # squeeze and excite sees the whole clip; it is not counted
        if type(module).__name__ == "_Squeeze":
            module.forward = lambda x, lengths: x
    frames = 2 * (made.receptive // 2 + 2 * made.stride) + 1
    x = torch.randn(1, frames, made.spec.bands, requires_grad=True)
    tokens = made(x, None).tokens
    # A causal student looks back alone: its last token is the one with room for all it sees.
    chosen = tokens.shape[1] - 1 if name == "wav2small-stream" else tokens.shape[1] // 2
    tokens[0, chosen].abs().sum().backward()
    seen = np.flatnonzero(x.grad[0].abs().sum(1).numpy())
    span = seen[-1] - seen[0] + 1
    # ReLU may silence a corner, never add one.
    assert 0.8 * made.receptive <= span <= made.receptive


def test_names_and_options_are_checked():
    with pytest.raises(BadRecipe, match="did you mean 'wav2small-17k'"):
        make_student("wav2smal-17k")
    with pytest.raises(BadRecipe, match="no option 'depth'"):
        make_student("mobilenetv3-small", depth=3)
    with pytest.raises(ValueError, match="registered already"):
        register_student("wav2small")(nn.Module)
    assert make_student("mobilenetv3-small", paper=1.0).options == {"paper": 1}


@pytest.mark.parametrize(
    ("name", "key", "value", "says"),
    [
        ("mobilenetv1-face", "pairs", 2.5, "2.5; expected a whole number"),
        ("mobilenetv1-face", "pairs", 0, "0; expected 1 to 4096"),
        ("mobilenetv1-face", "pairs", 14, "14; expected 1 to 13"),
        ("efficientnet-lite0-face", "blocks", 99, "99; expected 1 to 16"),
        ("efficientnet-lite0-face", "wide", -1, "-1; expected 1 to 4096"),
        ("mobilenetv1-face", "width", 0, "0; expected 0.05 to 8"),
        ("mobilenetv3-small", "width", 1e9, "1e+09; expected 0.05 to 8"),
        ("wav2small-stream", "hidden", 0, "0; expected 1 to 4096"),
        ("wav2small-stream", "pooled", float("nan"), "nan; expected 1 to 4096"),
    ],
)
def test_an_option_out_of_range_is_named(name, key, value, says):
    with pytest.raises(BadRecipe, match=re.escape(f"$.student.options.{key}: {says}")):
        make_student(name, **{key: value})
