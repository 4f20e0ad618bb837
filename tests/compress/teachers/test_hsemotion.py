"""HSEmotion: in which order and on which scale each file speaks."""

import numpy as np
import pytest

from edgeemo.compress.teachers import load_teacher
from edgeemo.compress.teachers.base import task_of
from edgeemo.compress.teachers.hsemotion import spec_of
from edgeemo.errors import BadArtifact
from edgeemo.types import CLASSES
from tests.compress.teachers.graphs import face_graph

FACE = np.zeros((60, 50, 3), np.uint8)


# By alphabet: anger, contempt, disgust, fear, happiness, neutral, sadness, surprise.
PLACES = [
    CLASSES.index(c)
    for c in ("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
]


@pytest.mark.parametrize("place", range(8))
def test_hsemotion_speaks_by_alphabet(tmp_path, place):
    logits = [0.0] * 8
    logits[place] = 9.0
    face_graph(tmp_path / "enet_b0_8_best_vgaf.onnx", logits, [1, 3, 224, 224])
    said = load_teacher(tmp_path).label([FACE])
    assert said.probs[0].argmax() == PLACES[place] and said.dimensions is None


def test_hsemotion_with_seven_classes_knows_no_contempt(tmp_path):
    face_graph(tmp_path / "enet_b2_7.onnx", [0, 9.0, 0, 0, 0, 0, 0], [1, 3, 260, 260])
    said = load_teacher(tmp_path).label([FACE])
    assert CLASSES[said.probs[0].argmax()] == "disgust"
    assert said.probs[0, CLASSES.index("contempt")] == 0


def test_hsemotion_mtl_gives_valence_then_arousal_behind_the_classes(tmp_path):
    face_graph(tmp_path / "enet_b0_8_va_mtl.onnx", [0.0] * 7 + [9.0, -0.5, 0.8], [1, 3, 224, 224])
    teacher = load_teacher(tmp_path)
    said = teacher.label([FACE, FACE])
    arousal, dominance, valence = said.dimensions[1]
    assert (arousal, valence) == (pytest.approx(0.9), pytest.approx(0.25)) and np.isnan(dominance)
    assert CLASSES[said.probs[0].argmax()] == "surprise" and len(said) == 2
    assert task_of(teacher) == "face" and "AffectNet" in teacher.licence


@pytest.mark.parametrize(
    ("stem", "size", "mean"),
    [
        ("enet_b0_8_va_mtl", 224, 0.485),
        ("enet_b2_8", 260, 0.485),
        ("mbf_va_mtl", 112, 0.5),
        ("ddamfnet", 112, 0.485),
        ("mobilevit_va_mtl", 224, 0.485),
    ],
)
def test_the_file_name_tells_the_picture(stem, size, mean):
    spec = spec_of(stem)
    assert (spec.size, spec.channels, spec.mean[0]) == (size, 3, mean)


def test_two_files_are_one_too_many(tmp_path):
    for name in ("enet_b2_7", "enet_b2_8"):
        face_graph(tmp_path / f"{name}.onnx", [0.0] * 7, [1, 3, 260, 260])
    with pytest.raises(BadArtifact, match="2 ONNX files"):
        load_teacher(tmp_path)
