"""What a TOML says of a model file: outputs, order, scale, input; of speech and of faces."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import helper, numpy_helper

from edgeemo.compress.teachers import load_teacher
from edgeemo.errors import BadArtifact, BadData, BadInput, BadRecipe
from edgeemo.features import SPECS, log_mel
from edgeemo.types import CLASSES
from tests.compress.teachers.graphs import W9, face_graph, logits_of, save_onnx, softmax, statistics

HEAD = 'schema = 1\nkind = "onnx"\nname = "mine"\nlicence = "CC0"\nmodel = "model.onnx"\n'


ADV = '[adv]\noutput = "logits"\norder = ["valence", "arousal", "dominance"]\n'


def described(folder: Path, body: str, head: str = HEAD, rank: int = 2) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_onnx(folder / "model.onnx", rank)
    (folder / "t.toml").write_text(head + body)
    return folder / "t.toml"


def test_order_scale_and_normalization_are_as_described(tmp_path: Path, clips) -> None:
    body = '[input]\nnormalize = "fixed"\nmean = 0.01\nstd = 0.5\n' + ADV + "low = 1.0\nhigh = 7\n"
    teacher = load_teacher(described(tmp_path, body))
    got = teacher.label(clips)
    raw = np.array([logits_of((c - 0.01) / 0.5) for c in clips])  # V, A, D on 1..7
    np.testing.assert_allclose(got.dimensions, (raw[:, [1, 2, 0]] - 1) / 6, atol=1e-5)
    assert got.probs is None and (teacher.name, teacher.licence) == ("mine", "CC0")


def test_index_skip_and_embedding(tmp_path: Path, clips) -> None:
    body = (
        "[adv]\nindex = 2\n"
        'order = ["-", "-", "dominance", "-", "-", "valence", "arousal", "-", "-"]\n'
        '[embedding]\noutput = "hidden_states"\n'
    )
    got = load_teacher(described(tmp_path, body)).label(clips)
    want = np.array([softmax(statistics(c) @ W9)[0] for c in clips])
    np.testing.assert_allclose(got.dimensions, want[:, [6, 2, 5]], atol=1e-5)
    np.testing.assert_allclose(got.embedding, [statistics(c)[0] for c in clips], atol=1e-5)


def test_classes_as_logits_with_two_names_of_one_class(tmp_path: Path, clips) -> None:
    body = '[classes]\noutput = "logits"\nvalues = "logits"\nnames = ["calm", "Angry", "neutral"]\n'
    got = load_teacher(described(tmp_path, body)).label(clips)
    shares = np.array([softmax(logits_of(c)) for c in clips])
    np.testing.assert_allclose(
        got.probs[:, CLASSES.index("neutral")], shares[:, 0] + shares[:, 2], atol=1e-6
    )
    np.testing.assert_allclose(got.probs[:, CLASSES.index("anger")], shares[:, 1], atol=1e-6)
    wrong = body.replace('values = "logits"', 'values = "probabilities"')
    with pytest.raises(BadData, match="logits"):
        load_teacher(described(tmp_path, wrong)).label(clips)


@pytest.mark.parametrize("layout", ["frames-bands", "bands-frames"])
def test_log_mel_comes_from_the_front_end(tmp_path: Path, clips, layout: str) -> None:
    body = f'[input]\nkind = "logmel"\nspec = "logmel40"\nlayout = "{layout}"\n' + ADV
    path = described(tmp_path, body, rank=3)
    # Only one column of the input counts, so that a transposed input is noticed.
    model = onnx.load(tmp_path / "model.onnx")
    axis = 2 if layout == "frames-bands" else 1
    model.graph.initializer.append(numpy_helper.from_array(np.array([5], np.int64), "five"))
    pick = helper.make_node("Gather", ["input", "five"], ["picked"], axis=axis)
    for node in model.graph.node:
        node.input[:] = ["picked" if name == "input" else name for name in node.input]
    model.graph.node.insert(0, pick)
    onnx.save(model, tmp_path / "model.onnx")
    got = load_teacher(path).label(clips)
    want = np.array([logits_of(log_mel(c, SPECS["logmel40"])[:, 5]) for c in clips])
    np.testing.assert_allclose(got.dimensions, want[:, [1, 2, 0]], rtol=1e-4)


def test_utterance_normalization(tmp_path: Path, clips) -> None:
    body = '[input]\nnormalize = "utterance"\nepsilon = 1e-3\n' + ADV
    got = load_teacher(described(tmp_path, body)).label(clips)
    wide = [c.astype(np.float64) for c in clips]
    want = np.array([logits_of((c - c.mean()) / np.sqrt(c.var() + 1e-3)) for c in wide])
    np.testing.assert_allclose(got.dimensions, want[:, [1, 2, 0]], atol=1e-5)


def test_shortest_clip_is_as_described(tmp_path: Path) -> None:
    teacher = load_teacher(described(tmp_path, "[input]\nshortest = 8000\n" + ADV))
    with pytest.raises(BadInput, match="needs 8000"):
        teacher.label([np.zeros(7999, np.float32)])


@pytest.mark.parametrize(
    "head, body, says",
    [
        (HEAD, "", "gives at least one"),
        (HEAD, ADV + "hihg = 7.0\n", r"\$\.adv\.hihg: unknown key; did you mean 'high'"),
        (HEAD, ADV + "low = 7.0\nhigh = 1.0\n", "low below high"),
        (HEAD, ADV.replace("valence", "happiness"), "order"),
        (HEAD, ADV.replace('"valence", ', ""), "order"),
        (HEAD, ADV + '[input]\nspec = "mfcc"\nkind = "logmel"\n', "expected one of logmel40"),
        (HEAD, ADV + '[input]\nkind = "logmel"\nshortest = 100\n', "needs 400"),
        (HEAD, ADV + "[input]\nstd = 0.0\n", r"\$\.input\.std"),
        (HEAD, '[classes]\nvalues = "logits"\nnames = ["gay"]\n', "'gay' is not known"),
        (HEAD, '[classes]\nvalues = "logits"\nnames = ["other"]\n', "none of them"),
        (HEAD.replace("schema = 1", "schema = 2"), ADV, "schema: expected 1"),
        (HEAD.replace('"onnx"', '"pickle"'), ADV, r"\$\.kind"),
        (HEAD.replace('licence = "CC0"\n', ""), ADV, r"\$\.licence: missing"),
        (HEAD, "[adv", "not TOML"),
    ],
)
def test_faulty_description_is_refused(tmp_path: Path, head, body, says) -> None:
    path = described(tmp_path, body, head)
    with pytest.raises(BadRecipe, match=says) as caught:
        load_teacher(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["../model.onnx", "/etc/passwd", "sub/model.onnx", "..", "", "link.onnx", "C:model.onnx"],
)
def test_model_outside_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    path = described(tmp_path / "t", ADV, HEAD.replace("model.onnx", name))
    save_onnx(tmp_path / "model.onnx")
    save_onnx(tmp_path / "t" / "sub" / "model.onnx")
    (tmp_path / "t" / "link.onnx").symlink_to(tmp_path / "model.onnx")
    with pytest.raises(BadArtifact, match=r"no path|leaves the folder"):
        load_teacher(path)


@pytest.mark.parametrize(
    "body, says",
    [
        (ADV.replace("logits", "logit"), "no output 'logit'"),
        (ADV.replace('output = "logits"', "index = 3"), "no output 3"),
        (ADV.replace('output = "logits"', "index = -1"), "no output -1"),
        (ADV.replace("logits", "scores"), "expected 3 numbers"),
    ],
)
def test_outputs_that_are_not_there_are_refused(tmp_path: Path, clips, body, says) -> None:
    with pytest.raises(BadArtifact, match=says):
        load_teacher(described(tmp_path, body)).label(clips)


def test_wrong_input_is_refused(tmp_path: Path, clips) -> None:
    with pytest.raises(BadArtifact, match="expected 'waveform' alone"):
        load_teacher(described(tmp_path, '[input]\nname = "waveform"\n' + ADV))
    with pytest.raises(BadArtifact, match=r"does not take an input of shape \[1, 2300\]"):
        load_teacher(described(tmp_path, ADV, rank=3)).label(clips)


def test_torchscript_with_named_outputs(tmp_path: Path, clips) -> None:
    torch = pytest.importorskip("torch")

    class Named(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            a = x.abs().mean()
            return {"other": x, "logits": torch.stack([a, a * a, a + 1.0])[None]}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Named()).save(str(tmp_path / "model.onnx"))
    (tmp_path / "t.toml").write_text(HEAD.replace('"onnx"', '"torchscript"') + ADV)
    got = load_teacher(tmp_path / "t.toml").label(clips)
    a = np.array([np.abs(c).mean() for c in clips])
    np.testing.assert_allclose(got.dimensions, np.stack([a * a, a + 1, a], axis=1), rtol=1e-5)


def test_digest_follows_model_and_description(tmp_path: Path) -> None:
    first = load_teacher(described(tmp_path, ADV)).digest
    assert load_teacher(described(tmp_path, ADV)).digest == first
    assert load_teacher(described(tmp_path, ADV + "high = 2.0\n")).digest != first
    save_onnx(tmp_path / "model.onnx", bias=[0, 0, 0])
    (tmp_path / "t.toml").write_text(HEAD + ADV)
    assert load_teacher(tmp_path / "t.toml").digest != first


FACE = np.zeros((60, 50, 3), np.uint8)


FACE_TOML = """
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


def face_teacher(folder, text, numbers=(0.0, 1.0, 1.0, 9.0, -1.0)):
    face_graph(folder / "m.onnx", list(numbers), [1, 32, 32, 1])
    (folder / "teacher.toml").write_text(text, encoding="utf-8")
    return load_teacher(folder)


def test_a_described_teacher_of_faces(tmp_path):
    text = FACE_TOML.replace('names = ["happy", "sad"]', 'names = ["happy", "sad", "-", "-", "-"]')
    teacher = face_teacher(tmp_path, text)
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
        face_teacher(tmp_path, FACE_TOML.replace(before, after))
