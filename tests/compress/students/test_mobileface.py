"""Students begin as the published networks that know people, with the slopes of their PReLU."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from edgeemo.compress.students import make_student
from edgeemo.compress.students.mobileface import PReLU

RNG = np.random.default_rng(5)


def normal(*shape):
    return torch.from_numpy(RNG.normal(size=shape) / np.sqrt(max(1, np.prod(shape[:-1])))).float()


def facenet():
    """Random weights in the names and the order of axes of the published MobileFaceNet."""
    net = "MobileFaceNet/MobileFaceNet"
    counts = {2: 5, 3: 1, 4: 6, 5: 1, 6: 2}
    wide = {2: 128, 3: 256, 4: 256, 5: 512, 6: 256}
    layers = [("Conv2d_0", 3, 64, 1), ("SeparableConv2d", 64, 64, 1), ("Conv", 64, 64, 0)]
    channels = 64
    for group, count in counts.items():
        for i in range(count):
            block, out = f"Conv2d_{group}_InvResBlock_{i}", 64 if group == 2 else 128
            layers.append((f"{block}/Conv", channels, wide[group], 1))
            layers.append((f"{block}/SeparableConv2d", wide[group], wide[group], 1))
            layers.append((f"{block}/Conv_1", wide[group], out, 0))
            channels = out
    layers.append(("Conv2d_7", 128, 512, 1))
    found = {}
    for name, inside, out, active in layers:
        if "Separable" in name:
            found[f"{net}/{name}/depthwise_weights"] = 3 * normal(3, 3, out, 1)
            found[f"{net}/{name}/depthwise_bn_offset"] = normal(out)
        else:
            size = 3 if name == "Conv2d_0" else 1
            found[f"{net}/{name}/Conv2D_weights"] = normal(size, size, inside, out)
            found[f"{net}/{name}/Conv2D_bn_offset"] = normal(out)
        if active:
            found[f"{net}/{name}/mul"] = 0.7 * normal(out)
    return found


def same(x, kernel, stride, groups=1):
    """TensorFlow's SAME on an even size, kernel [out, in, k, k]."""
    if kernel.shape[-1] == 3:
        x = F.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
    return F.conv2d(x, kernel, None, stride, groups=groups)


def prelu(x, slope):
    slope = slope.view(1, -1, 1, 1)
    return F.relu(x) + slope * (x - x.abs()) / 2


def facenet_said(weights, picture):
    """The published graph, with the slopes' signs as they were learned, up to its last map."""
    net = "MobileFaceNet/MobileFaceNet"

    def layer(x, name, stride=1):
        depthwise = name.endswith("SeparableConv2d")
        kind, axes = ("depthwise", (2, 3, 0, 1)) if depthwise else ("Conv2D", (3, 2, 0, 1))
        kernel = weights[f"{net}/{name}/{kind}_weights"].permute(axes)
        x = same(x, kernel, stride, len(kernel) if depthwise else 1)
        x = x + weights[f"{net}/{name}/{kind}_bn_offset"].view(1, -1, 1, 1)
        slope = weights.get(f"{net}/{name}/mul")
        return x if slope is None else prelu(x, -2 * slope)

    x = layer(picture, "Conv2d_0", 2)
    x = layer(layer(x, "SeparableConv2d"), "Conv")
    for group, count in {2: 5, 3: 1, 4: 6, 5: 1, 6: 2}.items():
        for i in range(count):
            block, stride = (
                f"Conv2d_{group}_InvResBlock_{i}",
                2 if group in (2, 3, 5) and not i else 1,
            )
            y = layer(x, f"{block}/Conv")
            y = layer(layer(y, f"{block}/SeparableConv2d", stride), f"{block}/Conv_1")
            x = x + y if stride == 1 else y
    return layer(x, "Conv2d_7").mean((2, 3))


def face():
    """Random weights in the names and the order of axes of the published MobileFace."""
    found = {"conv1_weight": normal(3, 3, 3, 32), "prelu1_gamma": normal(32)}
    inside = 32
    for i, out in enumerate((32, 32, 64, 128), 1):
        unit = f"stage{i}_unit1"
        found[f"{unit}_conv0_0_weight"] = normal(1, 1, inside, out)
        for part in ("0_1", "1", "2"):
            found[f"{unit}_conv{part}_df"] = 3 * normal(3, 3, out, 1)
        for j in range(3):
            found[f"{unit}_prelu{j}_gamma"] = 0.7 * normal(out)
        inside = out
    return found


def face_said(weights, picture):
    x = prelu(
        same(picture, weights["conv1_weight"].permute(3, 2, 0, 1), 2), weights["prelu1_gamma"]
    )
    for i in range(1, 5):
        unit = f"stage{i}_unit1"
        x = same(x, weights[f"{unit}_conv0_0_weight"].permute(3, 2, 0, 1), 1)
        maps = []
        for j, part in enumerate(("0_1", "1", "2")):
            kernel = weights[f"{unit}_conv{part}_df"].permute(2, 3, 0, 1)
            x = same(x, kernel, 1 if j else 2, len(kernel))
            x = prelu(x, weights[f"{unit}_prelu{j}_gamma"])
            maps.append(x)
        x = maps[0] + maps[2]
    return x.mean((2, 3))


@pytest.mark.parametrize(
    ("name", "weights", "said"),
    [("mobilefacenet-face", facenet(), facenet_said), ("mobileface-face", face(), face_said)],
)
def test_a_student_begins_as_the_published_network(name, weights, said):
    student = make_student(name, size=32).eval()
    own = student.state_dict()
    start = student.from_published(weights)
    assert {k: v.shape for k, v in start.items()} == {k: own[k].shape for k in start}
    for norm in (m for m in student.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.eps = 0.0
    student.load_state_dict(own | start)
    gray = torch.from_numpy(RNG.uniform(0, 255, (1, 32, 32))).float()
    color = ((gray - 127.5) / 128).expand(1, 3, 32, 32)
    with torch.no_grad():
        found = student(((gray / 255 - 0.5) / 0.25)[..., None]).embedding
    wanted = said(weights, color)
    assert torch.allclose(found, wanted, atol=1e-4 * float(wanted.abs().max()))


def test_a_fresh_student_begins_with_relu():
    x = torch.randn(2, 3, 4, 4)
    assert torch.equal(PReLU(3)(x), torch.relu(x))


def test_slopes_learn_as_those_of_torch():
    ours, theirs = PReLU(3), torch.nn.PReLU(3)
    x = torch.randn(2, 3, 4, 4, requires_grad=True)
    y = x.detach().requires_grad_()
    slopes = torch.tensor([-2.0, 0.25, 1.5])
    for act, given in ((ours, x), (theirs, y)):
        next(act.parameters()).data.copy_(slopes)
        (act(given) ** 2).sum().backward()
    assert torch.allclose(x.grad, y.grad, atol=1e-5)
    assert torch.allclose(ours.weight.grad, theirs.weight.grad, rtol=1e-4)
