"""Averages of weights: batch norms count, both ends are the students themselves."""

import pytest
import torch

from edgeemo.compress.students import load_student, make_student, save_student
from tests.compress.faces import faces

SMALL = {"width": 0.25, "size": 32, "pairs": 4}


@pytest.fixture
def rounds(tmp_path):
    """Two students with batch norms that are far from neutral."""
    found = []
    for seed in range(2):
        torch.manual_seed(seed)
        student = make_student("mobilenetv1-face", **SMALL)
        student.train()
        for _ in range(20):
            student(faces(16, 32) / 64 - 2, torch.ones(16, dtype=torch.int64))
        path = tmp_path / f"{seed}.pt"
        save_student(student.eval(), path)
        found.append(path)
    return found


def _said(path):
    x = faces(4, 32) / 64 - 2
    return load_student(path)(x, torch.ones(4, dtype=torch.int64)).logits.detach()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_each_end_is_one_of_the_students(tool, rounds, tmp_path, share):
    arguments = [str(rounds[0]), str(rounds[1]), "--share", str(share)]
    assert tool("average_weights").main([*arguments, "-o", str(tmp_path / "o.pt")]) == 0
    assert torch.allclose(_said(tmp_path / "o.pt"), _said(rounds[share == 0]), atol=1e-4)


def test_a_layer_is_between_those_of_both(tool, rounds, tmp_path):
    program = tool("average_weights")
    made = program.averaged(load_student(rounds[0]), load_student(rounds[1]), 0.25)
    x = faces(2, 32).permute(0, 3, 1, 2) / 64 - 2

    def first(student):
        layer = student.eval().layers[0]
        return layer.norm(layer.conv(torch.nn.functional.pad(x, layer.ahead)))

    ends = [first(load_student(path)) for path in rounds]
    assert torch.allclose(first(made), 0.25 * ends[0] + 0.75 * ends[1], atol=1e-4)


def test_students_of_two_shapes_are_told(tool, rounds, tmp_path, capsys):
    other = tmp_path / "other.pt"
    save_student(make_student("mobilenetv1-face", **SMALL | {"pairs": 5}), other)
    arguments = [str(rounds[0]), str(other), "--share", "0.5", "-o", str(tmp_path / "o.pt")]
    assert tool("average_weights").main(arguments) == 2
    assert "not the same in both students" in capsys.readouterr().err
    assert not (tmp_path / "o.pt").exists()
