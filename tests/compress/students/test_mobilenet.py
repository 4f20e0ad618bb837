"""MobileNets for speech."""

from torch import nn

from edgeemo.compress.students import make_student


def test_paper_form_has_hard_swish_and_ours_has_not():
    kinds = [
        {type(m) for m in make_student("mobilenetv3-small", paper=p).modules()} for p in (0, 1)
    ]
    assert nn.Hardswish in kinds[1] - kinds[0] and nn.ReLU6 in kinds[0] - kinds[1]
