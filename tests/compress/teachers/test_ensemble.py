from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper

from edgeemo.compress.teachers import check_teacher, load_teacher
from edgeemo.errors import BadArtifact, BadInput, BadRecipe
from edgeemo.types import CLASSES
from tests.compress.teachers.graphs import face_graph

ADV = '[adv]\norder = ["arousal", "dominance", "valence"]\n'
NAMES = '[classes]\nvalues = "logits"\nnames = ["sad", "angry", "happy"]\n'


def member(folder: Path, name: str, weights: list[float], tables: str) -> None:
    """A teacher that gives weights * mean |x|."""
    folder.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(
        [
            helper.make_node("Abs", ["x"], ["a"]),
            helper.make_node("ReduceMean", ["a"], ["m"], axes=[1], keepdims=1),
            helper.make_node("MatMul", ["m", "w"], ["y"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, None])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(np.array([weights], np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / f"{name}.onnx")
    (folder / f"{name}.toml").write_text(
        f'schema = 1\nkind = "onnx"\nname = "{name}"\nlicence = "licence of {name}"\n'
        f'model = "{name}.onnx"\n{tables}'
    )


def ensemble(folder: Path, members: dict[str, float], file: str = "e.toml") -> Path:
    text = 'schema = 1\nkind = "ensemble"\nname = "both"\n'
    for teacher, weight in members.items():
        text += f'[[members]]\nteacher = "{teacher}"\nweight = {weight}\n'
    (folder / file).write_text(text)
    return folder / file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    member(tmp_path, "one", [1, 2, 3], ADV)
    member(tmp_path, "two", [10, 0, -5], ADV + NAMES)
    member(tmp_path, "three", [-40, 30, 8], NAMES)
    return tmp_path


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_weighted_mean_over_those_that_give_it(folder: Path, clips) -> None:
    teacher = load_teacher(ensemble(folder, {"one.toml": 1, "two.toml": 3, "three.toml": 4}))
    got = teacher.label(clips)
    level = np.array([[np.abs(c).mean()] for c in clips])
    one, two, three = (level * np.array(w) for w in ([1, 2, 3], [10, 0, -5], [-40, 30, 8]))
    np.testing.assert_allclose(got.dimensions, (one + 3 * two) / 4, atol=1e-5)
    classes = (3 * softmax(two) + 4 * softmax(three)) / 7
    order = [CLASSES.index(name) for name in ("sadness", "anger", "happiness")]
    np.testing.assert_allclose(got.probs[:, order], classes, atol=1e-5)
    assert teacher.licence == "; ".join(f"{n}: licence of {n}" for n in ("one", "two", "three"))
    check_teacher(replace(got, dimensions=got.dimensions / 10 + 0.3))  # as it was made up


def test_members_with_classes_only_give_no_dimensions(folder: Path, clips) -> None:
    member(folder, "four", [5, 1, 1], NAMES)
    got = load_teacher(ensemble(folder, {"three.toml": 1, "four.toml": 1})).label(clips)
    assert got.dimensions is None and got.probs is not None


def test_digest_follows_members_and_weights(folder: Path) -> None:
    digests = [
        load_teacher(ensemble(folder, members)).digest
        for members in (
            {"one.toml": 1, "two.toml": 1},
            {"one.toml": 2, "two.toml": 2},
            {"one.toml": 1, "two.toml": 2},
            {"two.toml": 1, "one.toml": 1},
            {"one.toml": 1, "three.toml": 1},
        )
    ]
    assert digests[0] == digests[1] and len(set(digests)) == 4


def test_faulty_ensembles_are_refused(folder: Path, monkeypatch) -> None:
    with pytest.raises(BadRecipe, match="at least 2"):
        load_teacher(ensemble(folder, {"one.toml": 1}))
    with pytest.raises(BadRecipe, match="above 0"):
        load_teacher(ensemble(folder, {"one.toml": 1, "two.toml": 0}))
    with pytest.raises(BadRecipe, match="is an ensemble itself"):
        load_teacher(ensemble(folder, {"one.toml": 1, "e.toml": 1}))
    with pytest.raises(BadArtifact, match="no path"):
        load_teacher(ensemble(folder, {"one.toml": 1, "../one.toml": 1}))
    with pytest.raises(BadInput, match=r"absent\.toml"):
        load_teacher(ensemble(folder, {"one.toml": 1, "absent.toml": 1}))
    monkeypatch.setenv("EDGEEMO_TEACHERS", str(folder))
    with pytest.raises(BadInput, match="hf download 3loi"):
        load_teacher(ensemble(folder, {"one.toml": 1, "odyssey-wavlm": 1}))


FACE = np.zeros((60, 50, 3), np.uint8)


def test_an_ensemble_is_of_one_task(tmp_path):
    face_graph(tmp_path / "a" / "enet_b2_8.onnx", [0.0] * 8, [1, 3, 260, 260])
    (tmp_path / "two.toml").write_text(
        'schema = 1\nkind = "ensemble"\nname = "two"\n[[members]]\nteacher = "a"\n'
        '[[members]]\nteacher = "builtin"\n',
        encoding="utf-8",
    )
    with pytest.raises(BadRecipe, match="face and speech"):
        load_teacher(tmp_path / "two.toml")


def test_an_ensemble_of_faces_averages(tmp_path):
    face_graph(tmp_path / "a" / "enet_b2_8.onnx", [9.0] + [0.0] * 7, [1, 3, 260, 260])
    face_graph(tmp_path / "b" / "enet_b2_7.onnx", [9.0] + [0.0] * 6, [1, 3, 260, 260])
    (tmp_path / "two.toml").write_text(
        'schema = 1\nkind = "ensemble"\nname = "two"\n[[members]]\nteacher = "a"\nweight = 3.0\n'
        '[[members]]\nteacher = "b"\n',
        encoding="utf-8",
    )
    both = load_teacher(tmp_path / "two.toml")
    single = [load_teacher(tmp_path / n).label([FACE]).probs[0] for n in "ab"]
    want = 0.75 * single[0] + 0.25 * single[1]
    assert both.task == "face" and np.allclose(both.label([FACE]).probs[0], want, atol=1e-6)
