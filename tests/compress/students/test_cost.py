"""Parameters and work of students of speech are those of the papers."""

import pytest

from edgeemo.compress.students import make_student
from edgeemo.compress.students.cost import macs, macs_per_second, parameters

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


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_those_of_the_papers(name):
    assert parameters(make_student(name)) == PARAMETERS[name]


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
