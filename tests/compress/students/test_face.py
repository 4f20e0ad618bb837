"""Students of faces: parameters and work of the papers' layers."""

import pytest
import torch

from edgeemo.compress.students import make_student
from edgeemo.compress.students.cost import macs, parameters

COSTS = {
    # Parameters; multiply-accumulates of a 96x96 picture. By hand: the papers' layers, one channel
    # in, no wide last layer, and 10 outputs on 576, 960, 1280 and 1024 channels.
    "mobilenetv3-small-face": (926_720 + 577 * 10, 9_799_744),
    "mobilenetv4-conv-small-face": (1_261_088 + 961 * 10, 32_385_984),
    "efficientnet-lite0-face": (3_370_432 + 1281 * 10, 69_199_328),
    "mobilenetv1-face": (3_206_400 + 1025 * 10, 102_957_568),
}


# The same of a 64x64 picture; batch norms have two numbers a channel, PReLU one.
SMALL = {
    "mobilefacenet-face": (888_320 + 18_432 + 7_552 + 513 * 10, 75_142_144),
    "mobileface-face": (19_488 + 2_112 + 800 + 129 * 10, 2_187_008),
}


@pytest.mark.parametrize("name", SMALL)
def test_nets_that_tell_people_apart_are_as_published(name):
    made = make_student(name)
    assert (parameters(made), macs(made)) == SMALL[name]


@pytest.mark.parametrize("name", COSTS)
def test_parameters_and_work_are_pinned(name):
    made = make_student(name)
    assert (parameters(made), macs(made)) == COSTS[name]
    assert made.dimensions == ("arousal", "valence") and made.spec.channels == 1
    said = made.eval()(torch.zeros(2, 96, 96, 1))
    assert said.dimensions.shape == (2, 2) and said.logits.shape == (2, 8)


def test_the_shipped_form_fits_in_a_megabyte():
    made = make_student("efficientnet-lite0-face", blocks=11, wide=512, size=80)
    assert (parameters(made), macs(made)) == (763_690, 31_546_320)
