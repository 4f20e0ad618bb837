"""The default student: causal, and small enough for a microcontroller."""

import torch

from edgeemo.compress.students import make_student
from edgeemo.compress.students.cost import macs_per_second


def test_the_stream_student_is_causal() -> None:
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
