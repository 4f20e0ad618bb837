"""Teachers of faces: in which order and on which scale each speaks, shown with graphs whose numbers
are known."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgeemo.compress.teachers import load_teacher
from edgeemo.compress.teachers.base import task_of
from edgeemo.compress.teachers.hsemotion import spec_of
from edgeemo.compress.teachers.labels_only import LabelsOnly
from edgeemo.errors import BadArtifact, BadData, BadInput, BadRecipe
from edgeemo.types import CLASSES

FACE = np.zeros((60, 50, 3), np.uint8)


def graph(path, numbers, shape):
    """A model that says `numbers` of any picture, and adds its mean to the first of them."""
    made = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["mean", "first"], ["light"]),
            helper.make_node("Add", ["light", "numbers"], ["y"]),
        ],
        "known",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, len(numbers)])],
        [
            helper.make_tensor("numbers", TensorProto.FLOAT, [1, len(numbers)], numbers),
            helper.make_tensor(
                "first", TensorProto.FLOAT, [1, len(numbers)], [1.0] + [0.0] * (len(numbers) - 1)
            ),
        ],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


# By alphabet: anger, contempt, disgust, fear, happiness, neutral, sadness, surprise.
PLACES = [
    CLASSES.index(c)
    for c in ("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
]


@pytest.mark.parametrize("place", range(8))
def test_hsemotion_speaks_by_alphabet(tmp_path, place):
    logits = [0.0] * 8
    logits[place] = 9.0
    graph(tmp_path / "enet_b0_8_best_vgaf.onnx", logits, [1, 3, 224, 224])
    said = load_teacher(tmp_path).label([FACE])
    assert said.probs[0].argmax() == PLACES[place] and said.dimensions is None


def test_hsemotion_with_seven_classes_knows_no_contempt(tmp_path):
    graph(tmp_path / "enet_b2_7.onnx", [0, 9.0, 0, 0, 0, 0, 0], [1, 3, 260, 260])
    said = load_teacher(tmp_path).label([FACE])
    assert CLASSES[said.probs[0].argmax()] == "disgust"
    assert said.probs[0, CLASSES.index("contempt")] == 0


def test_hsemotion_mtl_gives_valence_then_arousal_behind_the_classes(tmp_path):
    graph(tmp_path / "enet_b0_8_va_mtl.onnx", [0.0] * 7 + [9.0, -0.5, 0.8], [1, 3, 224, 224])
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
        graph(tmp_path / f"{name}.onnx", [0.0] * 7, [1, 3, 260, 260])
    with pytest.raises(BadArtifact, match="2 ONNX files"):
        load_teacher(tmp_path)


TOML = """
schema = 1
kind = "onnx"
name = "mine"
licence = "CC0"
model = "m.onnx"
[image]
size = 32
channels = 1
layout = "nhwc"
mean = [0.0]
std = [1.0]
mirror = false
[adv]
first = 2
order = ["valence", "-", "arousal"]
low = -1.0
[classes]
names = ["happy", "sad"]
values = "logits"
"""


def described(folder, text, numbers=(0.0, 1.0, 1.0, 9.0, -1.0)):
    graph(folder / "m.onnx", list(numbers), [1, 32, 32, 1])
    (folder / "teacher.toml").write_text(text, encoding="utf-8")
    return load_teacher(folder)


def test_a_described_teacher_of_faces(tmp_path):
    text = TOML.replace('names = ["happy", "sad"]', 'names = ["happy", "sad", "-", "-", "-"]')
    teacher = described(tmp_path, text)
    said = teacher.label([FACE, FACE + np.uint8(255)])
    assert (
        said.dimensions[0, 2] == 1
        and said.dimensions[0, 0] == 0
        and np.isnan(said.dimensions[:, 1]).all()
    )
    # A white picture adds 1 to the first number, which is happiness.
    assert said.probs[1, 1] > said.probs[0, 1]


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ('order = ["valence", "-", "arousal"]', 'order = ["valence", "-"]', "order"),
        ("size = 32", "size = 8", "size"),
        ("[adv]", '[input]\nkind = "samples"\n[adv]', "takes speech or faces"),
        ("mean = [0.0]", "mean = [0.0, 0.1]", "mean"),
    ],
)
def test_what_a_description_may_not_say(tmp_path, before, after, word):
    with pytest.raises(BadRecipe, match=word):
        described(tmp_path, TOML.replace(before, after))


def test_an_ensemble_is_of_one_task(tmp_path):
    graph(tmp_path / "a" / "enet_b2_8.onnx", [0.0] * 8, [1, 3, 260, 260])
    (tmp_path / "two.toml").write_text(
        'schema = 1\nkind = "ensemble"\nname = "two"\n[[members]]\nteacher = "a"\n'
        '[[members]]\nteacher = "builtin"\n',
        encoding="utf-8",
    )
    with pytest.raises(BadRecipe, match="face and speech"):
        load_teacher(tmp_path / "two.toml")


def test_an_ensemble_of_faces_averages(tmp_path):
    graph(tmp_path / "a" / "enet_b2_8.onnx", [9.0] + [0.0] * 7, [1, 3, 260, 260])
    graph(tmp_path / "b" / "enet_b2_7.onnx", [9.0] + [0.0] * 6, [1, 3, 260, 260])
    (tmp_path / "two.toml").write_text(
        'schema = 1\nkind = "ensemble"\nname = "two"\n[[members]]\nteacher = "a"\nweight = 3.0\n'
        '[[members]]\nteacher = "b"\n',
        encoding="utf-8",
    )
    both = load_teacher(tmp_path / "two.toml")
    single = [load_teacher(tmp_path / n).label([FACE]).probs[0] for n in "ab"]
    want = 0.75 * single[0] + 0.25 * single[1]
    assert both.task == "face" and np.allclose(both.label([FACE]).probs[0], want, atol=1e-6)


@pytest.mark.parametrize("wrong", [np.zeros(160, np.float32), np.zeros((4, 4, 4), np.uint8)])
def test_what_is_no_picture_is_named(wrong):
    with pytest.raises(BadInput, match="picture 1"):
        LabelsOnly().label([FACE, wrong])


def test_a_dimension_is_absent_in_every_row_or_in_none():
    from edgeemo.compress.teachers.base import TeacherOutput

    half = np.array([[0.5, np.nan, 0.5], [0.5, 0.5, 0.5]], np.float32)
    with pytest.raises(BadData, match="dominance"):
        TeacherOutput(dimensions=half)
