"""Wav2Small in its published formulas."""

import torch

from edgeemo.compress.students import make_student


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
