"""Teachers over ONNX and TorchScript files: audonnx, emotion2vec, and what a TOML describes.

The tiny graphs are polynomials of two statistics of their input, so that the expected outputs are
written here in numpy.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper

from edgeemo.compress.teachers import check_teacher, load_teacher
from edgeemo.compress.teachers.emotion2vec import CATEGORIES
from edgeemo.errors import BadArtifact, BadData, BadInput, BadRecipe
from edgeemo.features import SPECS, log_mel
from edgeemo.types import CLASSES

RNG = np.random.default_rng(3)
W3 = RNG.normal(size=(2, 3)).astype(np.float32)
B3 = np.array([0.9, 0.5, 0.1], np.float32)
W9 = (3 * RNG.normal(size=(2, 9))).astype(np.float32)


def statistics(x: np.ndarray) -> np.ndarray:
    """Mean of |x| and of x² over all axes; [1, 2]."""
    wide = x.astype(np.float64)
    return np.array([[np.abs(wide).mean(), (wide**2).mean()]])


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def save_onnx(
    path: Path, rank: int = 2, bias=B3, names=("hidden_states", "logits", "scores"), frames=False
) -> Path:
    """hidden_states [1, 2], logits [1, 3], scores [1, 9] (softmax) of samples or features."""
    axes = list(range(1, rank))
    hidden, logits, scores = names
    nodes = [
        helper.make_node("Abs", ["input"], ["abs"]),
        helper.make_node("Mul", ["input", "input"], ["square"]),
        helper.make_node("ReduceMean", ["abs"], ["m1"], axes=axes, keepdims=0),
        helper.make_node("ReduceMean", ["square"], ["m2"], axes=axes, keepdims=0),
        helper.make_node("Reshape", ["m1", "shape"], ["r1"]),
        helper.make_node("Reshape", ["m2", "shape"], ["r2"]),
        helper.make_node("Concat", ["r1", "r2"], [hidden], axis=1),
        helper.make_node("Gemm", [hidden, "w3", "b3"], [logits]),
        helper.make_node("MatMul", [hidden, "w9"], ["raw"]),
        helper.make_node("Softmax", ["raw"], [scores], axis=1),
    ]
    constants = {"w3": W3, "b3": np.asarray(bias, np.float32), "w9": W9}
    tensors = [numpy_helper.from_array(v, k) for k, v in constants.items()]
    tensors.append(numpy_helper.from_array(np.array([1, 1], np.int64), "shape"))
    outputs = {hidden: [1, 2], logits: [1, 3], scores: [1, 9]}
    if frames:  # features over time, as FunASR's own export of emotion2vec gives them
        nodes.append(helper.make_node("Identity", ["input"], ["frames"]))
        outputs = {"frames": [1, None]}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, *[None] * (rank - 1)])],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in outputs.items()],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def logits_of(x: np.ndarray, bias=B3) -> np.ndarray:
    return (statistics(x) @ W3 + bias)[0]


# audonnx


YAML = "$audonnx.core.model.Model==0.5.0:\n  path: model.onnx\n"


def audonnx_folder(folder: Path, text: str = YAML) -> Path:
    save_onnx(folder / "model.onnx")
    (folder / "model.yaml").write_text(text)
    return folder


def test_audonnx_gives_logits_of_raw_samples(tmp_path: Path, clips) -> None:
    teacher = load_teacher(audonnx_folder(tmp_path))
    got = teacher.label(clips)
    np.testing.assert_allclose(got.dimensions, [logits_of(c) for c in clips], atol=1e-5)
    np.testing.assert_allclose(got.embedding, [statistics(c)[0] for c in clips], atol=1e-5)
    check_teacher(got)
    assert teacher.name == "audeering-dim-onnx" and "BY-NC-SA" in teacher.licence
    assert np.argsort(-got.dimensions.mean(axis=0)).tolist() == [0, 1, 2]


def test_audonnx_labels_give_the_order(tmp_path: Path, clips) -> None:
    labels = "  labels:\n    logits: [dominance, valence, arousal]\n"
    got = load_teacher(audonnx_folder(tmp_path, YAML + labels)).label(clips)
    np.testing.assert_allclose(got.dimensions, [logits_of(c)[[2, 0, 1]] for c in clips], atol=1e-5)


@pytest.mark.parametrize(
    "text, says",
    [
        (YAML + "  transform:\n    $os.system==1:\n      command: touch pwned\n", "a transform"),
        (YAML + "  auto: 1\n", "argument 'auto'"),
        ("!!python/object/apply:os.system ['touch pwned']", "not plain YAML"),
        ("$os.path.join==1.0:\n  path: model.onnx\n", "expected one object"),
        ("$audonnx.core.model.ModelEvil==1:\n  path: model.onnx\n", "expected one object"),
        (YAML.replace("model.onnx", "../model.onnx"), "no path"),
        (YAML.replace("model.onnx", "/etc/passwd"), "no path"),
        (YAML.replace("model.onnx", "absent.onnx"), "no such file"),
        (YAML + "  labels:\n    logits: [arousal, arousal, valence]\n", "each of"),
        ("a: [", "not plain YAML"),
        ("[" * 5000, "not plain YAML"),
        ("", "0 bytes"),
        ("- 1", "expected one object"),
    ],
)
def test_audonnx_yaml_runs_and_opens_nothing(tmp_path: Path, text, says, monkeypatch) -> None:
    folder = audonnx_folder(tmp_path / "t", text)
    save_onnx(tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadArtifact, match=says):
        load_teacher(folder)
    assert not (tmp_path / "pwned").exists()


def test_audonnx_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = audonnx_folder(tmp_path / "t")
    (folder / "model.onnx").rename(tmp_path / "elsewhere.onnx")
    (folder / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(BadArtifact, match=r"no path|leaves the folder"):
        load_teacher(folder)


@pytest.mark.parametrize("spoil", ["truncated", "foreign", "empty", "outputs"])
def test_audonnx_spoilt_model_is_refused(tmp_path: Path, spoil: str) -> None:
    path = audonnx_folder(tmp_path) / "model.onnx"
    if spoil == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    elif spoil == "foreign":
        path.write_bytes(b"\x7fELF" + bytes(4000))
    elif spoil == "empty":
        path.write_bytes(b"")
    else:
        save_onnx(path, names=("hidden", "logits", "scores"))
    with pytest.raises(BadArtifact, match=r"model\.onnx") as caught:
        load_teacher(tmp_path)
    assert "\n" not in str(caught.value)


def test_onnx_may_not_read_files_beyond_its_folder(tmp_path: Path) -> None:
    folder = audonnx_folder(tmp_path / "t")
    model = onnx.load(folder / "model.onnx")
    (tmp_path / "secret").write_bytes(W3.tobytes())
    tensor = next(t for t in model.graph.initializer if t.name == "w3")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BadArtifact, match=r"model\.onnx"):
        load_teacher(folder)


# emotion2vec


def nine_to_eight(scores: np.ndarray) -> np.ndarray:
    kept = np.array(
        [scores[4], scores[3], scores[7], scores[6], scores[0], scores[1], scores[2], 0.0]
    )  # neutral, happiness, surprise, sadness, anger, disgust, fear, contempt
    return kept / kept.sum()


def emotion2vec_scores(clip: np.ndarray) -> np.ndarray:
    x = clip.astype(np.float64)
    x = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
    return softmax(statistics(x) @ W9)[0]


@pytest.fixture
def named(tmp_path: Path, monkeypatch) -> Path:
    """The folder of the named teacher emotion2vec-plus."""
    monkeypatch.setenv("EDGEEMO_TEACHERS", str(tmp_path))
    folder = tmp_path / "emotion2vec-plus"
    folder.mkdir()
    return folder


def test_emotion2vec_gives_classes_only(named: Path, clips) -> None:
    # After normalization only the shape of the distribution is left for the tiny graph to see.
    clips = [np.sign(c) * np.abs(c) ** np.float32(1 + i) for i, c in enumerate(clips)]
    save_onnx(named / "model.onnx", names=("h", "l", "scores"))
    model = onnx.load(named / "model.onnx")
    del model.graph.output[:2]  # an export has the nine scores alone
    onnx.save(model, named / "model.onnx")
    teacher = load_teacher("emotion2vec-plus")
    got = teacher.label(clips)
    assert got.dimensions is None and got.embedding is None
    want = [nine_to_eight(emotion2vec_scores(clip)) for clip in clips]
    np.testing.assert_allclose(got.probs, want, atol=1e-5)
    assert CATEGORIES[5] == "other" and CATEGORIES[8] == "unknown"
    check_teacher(got)


def test_emotion2vec_through_torchscript(named: Path, clips) -> None:
    torch = pytest.importorskip("torch")

    class Nine(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(torch.from_numpy(W9))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = torch.stack([x.abs().mean(), (x * x).mean()])
            return torch.softmax(h[None] @ self.w, dim=1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Nine()).save(str(named / "model.ts"))
    got = load_teacher("emotion2vec-plus").label(clips)
    want = [nine_to_eight(emotion2vec_scores(clip)) for clip in clips]
    np.testing.assert_allclose(got.probs, want, atol=1e-5)

    (named / "model.ts").write_bytes((named / "model.ts").read_bytes()[:-300])
    with pytest.raises(BadArtifact, match=r"model\.ts: truncated or foreign"):
        load_teacher("emotion2vec-plus")


def test_emotion2vec_without_its_head_is_refused(named: Path, clips) -> None:
    with pytest.raises(BadArtifact, match="how to export"):
        load_teacher("emotion2vec-plus")
    save_onnx(named / "model.onnx", frames=True)
    with pytest.raises(BadArtifact, match="one for each frame"):
        load_teacher("emotion2vec-plus").label(clips)


# Described in a TOML


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
