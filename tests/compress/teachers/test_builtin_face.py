"""The built-in teacher of faces: what the shipped file gives."""

import numpy as np
import pytest

from edgeemo.artifacts.onnx import read_onnx
from edgeemo.artifacts.teachers_package import need
from edgeemo.compress.teachers import load_teacher
from edgeemo.compress.teachers.base import task_of


@pytest.fixture(scope="module")
def teacher():
    return load_teacher("builtin-face")


def test_it_labels_faces_under_the_digest_of_its_card(teacher):
    card = read_onnx(need("zoo/teacher-face.onnx")).card
    assert task_of(teacher) == "face" and teacher.digest == card.digest
    assert teacher.licence == card.licence


def test_a_face_and_its_mirror_image_have_one_label(teacher):
    face = np.random.default_rng(5).integers(0, 255, (60, 48, 3), dtype=np.uint8)
    face[:, :24] //= 2
    output = teacher.label([face, face[:, ::-1]])
    assert output.dimensions is None and output.probs.sum(1) == pytest.approx(1, abs=1e-5)
    assert np.allclose(output.probs[0], output.probs[1], atol=1e-6)
    assert np.abs(output.probs[0] - teacher._run([face]).probs[0]).max() > 1e-4  # a mean of two
