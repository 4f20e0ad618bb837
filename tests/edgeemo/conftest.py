"""A tiny student as an artifact, and a little real speech."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeemo.artifacts.card import (
    INTENDED_USE,
    INTENDED_USE_FACE,
    MISUSE,
    NOT_VALIDATED_FOR,
    NOT_VALIDATED_FOR_FACE,
    SCHEMA,
    Calibration,
    Card,
    Metric,
    Output,
    Quantization,
    ReceptiveField,
    Source,
)
from edgeemo.artifacts.teachers_package import need
from edgeemo.audio import SUFFIXES, read_audio
from edgeemo.features import SPECS
from edgeemo.types import CLASSES, DIMENSIONS
from edgeemo.vision.images import FACE96

SPEECH = need("speech")


@pytest.fixture(scope="session")
def speech_files() -> list[Path]:
    files = sorted(p for p in SPEECH.rglob("*") if p.suffix in SUFFIXES)
    assert len(files) >= 5
    return files


@pytest.fixture(scope="session")
def speech(speech_files: list[Path]) -> NDArray[np.float32]:
    return read_audio(speech_files[0])


@pytest.fixture(scope="session")
def card() -> Card:
    return Card(
        schema=SCHEMA,
        name="tiny",
        task="speech",
        input="features",
        spec=SPECS["logmel40"],
        window=ReceptiveField(0.1, 0.5),
        outputs=(Output("adv", DIMENSIONS), Output("probs", CLASSES)),
        quantization=Quantization(),
        teachers=(Source("nobody", "CC0-1.0"),),
        data=(Source("emodb", "CC0-1.0"),),
        licence="CC0-1.0",
        metrics=(Metric("none", "ccc", "arousal", 0.5, 0.1, 0.7, 0.4, "edgeemo evaluate"),),
        calibration=Calibration(1.5, "votes"),
        parameters=1000,
        macs_per_second=100_000,
        arena_bytes=None,
        intended_use=INTENDED_USE,
        misuse=MISUSE,
        not_validated_for=NOT_VALIDATED_FOR,
        digest="0" * 64,
        min_edgeemo="0.1.0",
    )


@pytest.fixture(scope="session")
def artifacts(card: Card, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files by the input that they take: "features" and "samples"."""
    torch = pytest.importorskip("torch")
    from edgeemo.compress.students import Student, StudentOutput
    from edgeemo.export.onnx_writer import OnnxWriter
    from edgeemo.export.writer import ExportInput

    class Tiny(Student):
        """Two layers and a mean: enough to have all outputs."""

        def __init__(self) -> None:
            super().__init__()
            self.spec, self.receptive, self.stride, self.options = SPECS["logmel40"], 3, 1, {}
            self.conv = torch.nn.Conv1d(40, 8, 3, padding=1)
            self.adv, self.classes = torch.nn.Linear(8, 3), torch.nn.Linear(8, 8)

        def forward(self, features, lengths=None):  # type: ignore[no-untyped-def]
            tokens = torch.relu(self.conv(features.transpose(1, 2) / 5 + 1)).transpose(1, 2)
            mean = tokens.mean(1)
            return StudentOutput(self.adv(mean) / 4 + 0.5, self.classes(mean), mean, tokens, None)

    torch.manual_seed(3)
    student = Tiny().eval()
    folder = tmp_path_factory.mktemp("artifacts")
    made = {}
    for kind in ("features", "samples"):
        made[kind] = folder / f"tiny-{kind}.onnx"
        trained = ExportInput(student, replace(card), waveform=kind == "samples")
        made[kind].write_bytes(OnnxWriter().write(trained))
    return made


@pytest.fixture(scope="session")
def artifact(artifacts: dict[str, Path]) -> Path:
    return artifacts["features"]


DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="session")
def face_card(card: Card) -> Card:
    return replace(
        card,
        name="tiny-face",
        task="face",
        input="image",
        spec=FACE96,
        window=ReceptiveField(0.0, 0.0),
        outputs=(Output("adv", ("arousal", "valence")), Output("probs", CLASSES)),
        intended_use=INTENDED_USE_FACE,
        not_validated_for=NOT_VALIDATED_FOR_FACE,
    )


@pytest.fixture(scope="session")
def face_artifact(face_card: Card, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network without training: what it says means nothing, but depends on every pixel."""
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    from edgeemo.artifacts.card import to_json
    from edgeemo.artifacts.onnx import CARD_KEY, digest

    rng = np.random.default_rng(5)
    weights = {
        "kernel": rng.normal(0, 0.3, (16, 1, 8, 8)),
        "a": rng.normal(0, 1, (16, 2)),
        "b": rng.normal(0, 1, (16, 8)),
    }
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernel"], ["maps"], strides=[8, 8]),
        helper.make_node("Relu", ["maps"], ["on"]),
        helper.make_node("GlobalAveragePool", ["on"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "a"], ["raw"]),
        helper.make_node("Sigmoid", ["raw"], ["adv"]),
        helper.make_node("MatMul", ["flat", "b"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probs"]),
    ]
    floats = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "face",
        [helper.make_tensor_value_info("image", floats, [1, 96, 96, 1])],
        [
            helper.make_tensor_value_info("adv", floats, [1, 2]),
            helper.make_tensor_value_info("probs", floats, [1, 8]),
        ],
        [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    text = to_json(replace(face_card, digest=digest(model.SerializeToString())))
    entry = model.metadata_props.add()
    entry.key, entry.value = CARD_KEY, text
    path: Path = tmp_path_factory.mktemp("faces") / "tiny-face.onnx"
    path.write_bytes(model.SerializeToString())
    return path
