"""Shapes, costs and masks. Counts come from the papers' layer lists, by hand where noted."""

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
from edgeemo.compress.students.cost import macs, macs_per_second, parameters
from edgeemo.errors import BadRecipe
from edgeemo.types import CLASSES

SHIPPED = (
    "mobilenetv3-small",
    "mobilenetv4-conv-small",
    "wav2small",
    "wav2small-17k",
    "wav2small-stream",
)

# Published: wav2small's body 9,425; closing 1x1 182; two maps of 169 x 169 + 169; 169 x 3 + 3.
# Its 17K form: the body; two 1x1 of 182; 338 x 3 + 3. MobileNets: 1.52 M and 2.50 M with one
# output and one channel in. The rest is our head of 8 classes (and two more dimensions).
PARAMETERS = {
    "wav2small": 67_577 + 169 * 8 + 8,
    "wav2small-17k": 10_806 + 338 * 8 + 8,
    # By hand: 360 + 216 + 768 + 13,824 in the shrinking layers, 19,200 to join the bands, five
    # blocks of 400 + 6,400, 11,520 to widen, 9,280 hidden, 715 in the heads, and 2 for each
    # channel with a batch norm.
    "wav2small-stream": 15_168 + 17_280 + 5 * 5_544 + 9_216 + 8_256 + 715 + 2 * 1_048,
    "mobilenetv3-small": 1_518_593 + 1025 * 10,
    "mobilenetv4-conv-small": 2_492_449 + 1281 * 10,
}
# Millions for a second of sound: 78.1 and 64.4 with a front end of 2.1 + 0.43 made of
# convolutions; ours is an FFT in C and not counted.
MACS = {"wav2small": 78.1 - 2.1 - 0.43, "wav2small-17k": 64.4 - 2.1 - 0.43}


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


def test_parameters_are_those_of_the_papers(student):
    assert parameters(student) == PARAMETERS[student.name]


@pytest.mark.parametrize("name", MACS)
def test_work_is_that_of_the_papers(name):
    assert macs_per_second(make_student(name)) / 1e6 == pytest.approx(MACS[name], rel=2e-3)


@pytest.mark.parametrize(
    ("name", "width", "millions"),
    [
        ("mobilenetv3-small", 1.0, 27),
        ("mobilenetv3-small", 0.5, 9.9),
        ("mobilenetv4-conv-small", 1.0, 88),
        ("mobilenetv4-conv-small", 0.5, 27),
    ],
)
def test_work_of_five_seconds_is_that_measured_for_the_papers_shape(name, width, millions):
    made = make_student(name, width=width)
    frames = made.spec.frames(5 * 16000)
    assert macs(made, frames) / 1e6 == pytest.approx(millions, rel=0.025)


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


@torch.inference_mode()
def test_wav2small_is_the_published_formula():
    """Written as int8 runtimes want it: zeros around the pool, convolutions for maps, time last."""
    torch.manual_seed(2)
    made = make_student("wav2small").eval()
    x = torch.randn(2, 101, 26)
    body = made.body
    y = x[:, None]
    for i, (conv, norm) in enumerate(zip(body.convs, body.norms, strict=True)):
        y = torch.relu(norm(conv(y)))
        if i == 2:
            y = torch.max_pool2d(y, 3, stride=2, padding=1)
    assert torch.equal(body(x, None)[0], y)
    tokens = made.closing(y).permute(0, 2, 1, 3).flatten(2)
    value, weight = (
        torch.nn.functional.linear(tokens, m.weight.flatten(1), m.bias)
        for m in (made.value, made.weight)
    )
    pooled = (value * weight.softmax(dim=1)).sum(dim=1)
    assert torch.allclose(made(x, None).embedding, pooled, rtol=1e-5, atol=1e-6)


@torch.inference_mode()
def test_wav2small_17k_is_the_published_formula():
    torch.manual_seed(2)
    made = make_student("wav2small-17k").eval()
    x = torch.randn(2, 101, 26)
    y = made.body(x, None)[0]
    value, weight = (f(y).permute(0, 2, 1, 3) for f in (made.value, made.weight))
    summary = (value * weight.softmax(dim=1)).sum(dim=1)
    pooled = torch.cat([summary.flatten(1), (summary @ summary.mT).flatten(1)], dim=1)
    assert torch.allclose(made(x, None).embedding, pooled, rtol=1e-5, atol=1e-6)


def test_paper_form_has_hard_swish_and_ours_has_not():
    kinds = [
        {type(m) for m in make_student("mobilenetv3-small", paper=p).modules()} for p in (0, 1)
    ]
    assert nn.Hardswish in kinds[1] - kinds[0] and nn.ReLU6 in kinds[0] - kinds[1]


def test_names_and_options_are_checked():
    with pytest.raises(BadRecipe, match="did you mean 'wav2small-17k'"):
        make_student("wav2smal-17k")
    with pytest.raises(BadRecipe, match="no option 'depth'"):
        make_student("mobilenetv3-small", depth=3)
    with pytest.raises(ValueError, match="registered already"):
        register_student("wav2small")(nn.Module)
    assert make_student("mobilenetv3-small", paper=1.0).options == {"paper": 1}


def test_the_stream_student_hears_the_past_alone() -> None:
    student = make_student("wav2small-stream").eval()
    features = torch.randn(1, 200, 40, generator=torch.Generator().manual_seed(0))
    changed = features.clone()
    changed[:, 160:] += 1
    with torch.inference_mode():
        before, after = student(features).tokens, student(changed).tokens
    # Token t ends with frame 4 t + 3.
    assert torch.equal(before[:, :40], after[:, :40])
    assert not torch.equal(before[:, 40], after[:, 40])


def test_the_stream_student_costs_what_a_microcontroller_can_pay() -> None:
    assert macs_per_second(make_student("wav2small-stream")) <= 5e6
