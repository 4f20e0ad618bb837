"""Activations of a student: named after their modules, in the order in which they are made."""

import torch

from edgeemo.compress.students import make_student
from edgeemo.compress.students.activations import activations


def test_names_tell_module_operation_and_number():
    student = make_student("wav2small-stream").eval()
    x = torch.randn(1, 64, 40, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        output = student(x, None)
        found = activations(student, x)
    assert next(iter(found)) == "features" and torch.equal(found["features"], x)
    assert {"shrink.0/relu.0", "shrink.1/relu.0", "adv/linear.0"} <= found.keys()
    assert torch.equal(found["adv/linear.0"], output.dimensions)
    assert found["shrink.0/relu.0"].min() == 0 and found["shrink.0/relu.0"].shape[2] == 32
    assert all(value.is_floating_point() and value.numel() > 1 for value in found.values())


def test_nothing_stays_hooked():
    student = make_student("wav2small-stream").eval()
    activations(student, torch.zeros(1, 64, 40))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in student.modules())
