"""Files from strangers: BadArtifact with one line, and never a crash or another exception."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgeemo
from edgeemo.artifacts.card import from_json, to_json
from edgeemo.artifacts.onnx import CARD_KEY, check, digest, find_card
from edgeemo.artifacts.reading import MAX_BYTES
from edgeemo.errors import BadArtifact
from edgeemo.export.onnx_writer import card_behind

onnx = pytest.importorskip("onnx")


def sealed(model: Any, **changes: Any) -> bytes:
    """A model whose card has the right digest: only its content can give it away."""
    data: bytes = model.SerializeToString()
    card = replace(from_json(find_card(data)), **changes)
    model.DiscardUnknownFields()
    return card_behind(model.SerializeToString(), replace(card, digest=digest(data)))


def refused(tmp_path: Path, data: bytes, message: str = ".") -> str:
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    with pytest.raises(BadArtifact, match=message) as caught:
        edgeemo.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_sealing_again_changes_nothing(artifact: Path) -> None:
    data = artifact.read_bytes()
    assert check(sealed(onnx.load_from_string(data))).card == check(data).card


def test_truncated_at_any_length(artifact: Path) -> None:
    data = artifact.read_bytes()
    for length in range(0, len(data), 7):
        with pytest.raises(BadArtifact):
            check(data[:length])


def test_any_flipped_bit_is_refused_or_harmless(artifact: Path) -> None:
    """A flip in the content breaks the digest, one in the card its ZIP; dates may pass."""
    data = artifact.read_bytes()
    graph = onnx.load_from_string(data)
    graph.DiscardUnknownFields()
    content = len(graph.SerializeToString())
    rng = np.random.default_rng(1)
    places = [*rng.integers(0, len(data), 3000), *range(content, content + 50)]
    passed = 0
    for at in places:
        broken = bytearray(data)
        broken[at] ^= 1 << int(rng.integers(8))
        try:
            check(bytes(broken))
            passed += 1
            assert at >= content
            assert digest(bytes(broken)) == digest(data)
        except BadArtifact as error:
            assert "\n" not in str(error)
    assert 0 < passed < 50 + 3000 * (len(data) - content) / len(data)


def test_an_older_file_has_its_card_in_the_metadata(artifact: Path, tmp_path: Path) -> None:
    """As plain text; what such a file says and gives is the same."""
    model, card = onnx.load(artifact), check(artifact.read_bytes()).card
    model.DiscardUnknownFields()
    model.metadata_props.add(key=CARD_KEY, value=to_json(card))
    path = tmp_path / "older.onnx"
    path.write_bytes(model.SerializeToString())
    assert check(path.read_bytes()).card == card
    clip = np.random.default_rng(3).normal(size=16000).astype(np.float32) / 8
    assert edgeemo.load(path).predict(clip) == edgeemo.load(artifact).predict(clip)


def test_any_zip_tool_shows_the_card(artifact: Path) -> None:
    with zipfile.ZipFile(artifact) as archive:
        assert archive.namelist() == ["edgeemo.card.json"]
        assert from_json(archive.read("edgeemo.card.json")) == check(artifact.read_bytes()).card


def test_random_bytes_are_refused() -> None:
    rng = np.random.default_rng(2)
    for length in rng.integers(0, 300, 500):
        with pytest.raises(BadArtifact):
            check(rng.bytes(int(length)))


def test_foreign_models_are_refused(artifact: Path, tmp_path: Path) -> None:
    model = onnx.load(artifact)
    model.DiscardUnknownFields()
    refused(tmp_path, model.SerializeToString(), "no card")
    refused(tmp_path, b"PK\x03\x04" + bytes(100))
    refused(tmp_path, b"")
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(BadArtifact, match="not a file"):
        edgeemo.load(tmp_path / "folder.onnx")
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(BadArtifact, match="not a file"):
        edgeemo.load(tmp_path / "pipe.onnx")


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # a hole: takes no room on the disk
    with pytest.raises(BadArtifact, match=f"at most {MAX_BYTES}"):
        edgeemo.load(path)


def _other_domain(model: Any) -> None:
    model.graph.node[0].domain = "com.evil"


def _announced_domain(model: Any) -> None:
    model.opset_import.add(domain="com.evil", version=1)


def _unknown_operator(model: Any) -> None:
    model.graph.node[0].op_type = "Loop"


def _external_data(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def _external_in_attribute(model: Any) -> None:
    tensor = onnx.helper.make_tensor("t", 1, [1], [1.0])
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node[0].attribute.add(name="value", type=4, t=tensor)


def _subgraph(model: Any) -> None:
    model.graph.node[0].attribute.add(name="body", type=5, g=model.graph)


def _function(model: Any) -> None:
    model.functions.add(name="f", domain="com.evil")


def _wrong_size(model: Any) -> None:
    model.graph.initializer[0].dims[0] += 1


def _huge_shape(model: Any) -> None:
    model.graph.initializer[0].dims[0] = 2**62


def _negative_shape(model: Any) -> None:
    model.graph.initializer[0].dims[0] = -1


def _two_cards(model: Any) -> None:
    model.metadata_props.add(key=CARD_KEY, value="{}")


def _missing_constant(model: Any) -> None:
    del model.graph.initializer[0]


def _renamed_input(model: Any) -> None:
    model.graph.input[0].name = "sound"


def _another_output(model: Any) -> None:
    model.graph.output[0].name = "vad"


def _swapped_outputs(model: Any) -> None:
    first, second = (
        onnx.ValueInfoProto.FromString(o.SerializeToString()) for o in model.graph.output
    )
    model.graph.output[0].CopyFrom(second)
    model.graph.output[1].CopyFrom(first)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_other_domain, "domain 'com.evil' are not run"),
        (_announced_domain, "domain 'com.evil' are not run"),
        (_unknown_operator, "operator 'Loop'"),
        (_external_data, "external data"),
        (_external_in_attribute, "external data|field 4 of a tensor"),
        (_subgraph, "control flow"),
        (_function, "field 25"),
        (_wrong_size, "a tensor of shape"),
        (_huge_shape, "too large"),
        (_negative_shape, "too large"),
        (_missing_constant, "reads a value that nothing has made"),
        (_renamed_input, "refuses it|the card promises"),
        (_another_output, "refuses it|the card promises"),
        (_swapped_outputs, "the card promises"),
    ],
)
def test_hostile_content_under_a_right_digest(
    artifact: Path, tmp_path: Path, change: Callable[[Any], None], message: str
) -> None:
    model = onnx.load(artifact)
    change(model)
    refused(tmp_path, sealed(model), message)


def test_two_cards_are_refused(artifact: Path, tmp_path: Path) -> None:
    model = onnx.load(artifact)
    _two_cards(model)
    refused(tmp_path, model.SerializeToString(), "2 card")


def test_a_file_must_do_what_its_card_says(artifact: Path, tmp_path: Path) -> None:
    card = check(artifact.read_bytes()).card
    fewer = replace(card.outputs[1], labels=card.outputs[1].labels[:7])
    path = tmp_path / "m.onnx"
    path.write_bytes(sealed(onnx.load(artifact), outputs=(card.outputs[0], fewer)))
    with pytest.raises(BadArtifact, match=r"output probs has shape \(1, 8\)"):
        edgeemo.load(path).predict(np.zeros(16000, np.float32), gate=None)
    refused(tmp_path, sealed(onnx.load(artifact), input="samples"), "the card promises")
    refused(tmp_path, sealed(onnx.load(artifact), outputs=card.outputs[1:]), "the card promises")


def test_weights_that_give_nan_are_refused(artifact: Path, tmp_path: Path) -> None:
    model = onnx.load(artifact)
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) > 100:
            tensor.raw_data = np.full(len(tensor.raw_data) // 4, np.nan, np.float32).tobytes()
    path = tmp_path / "m.onnx"
    path.write_bytes(sealed(model))
    with pytest.raises(BadArtifact, match="not finite"):
        edgeemo.load(path).predict(np.zeros(16000, np.float32), gate=None)


FUZZ = """
import sys
import numpy as np
import onnx
from pathlib import Path
import edgeemo
from edgeemo.artifacts.onnx import digest, find_card
from edgeemo.artifacts.card import from_json
from edgeemo.export.onnx_writer import card_behind
from edgeemo.errors import BadArtifact
from dataclasses import replace

data, folder = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2])
rng, ran, refused = np.random.default_rng(int(sys.argv[3])), 0, 0
clip = np.zeros(16000, np.float32)
for _ in range(250):
    model = onnx.load_from_string(data)
    graph = bytearray(model.graph.SerializeToString())
    for _ in range(int(rng.integers(1, 4))):
        graph[int(rng.integers(len(graph)))] ^= 1 << int(rng.integers(8))
    try:
        model.graph.ParseFromString(bytes(graph))
    except Exception:
        continue
    whole = model.SerializeToString()
    card = replace(from_json(find_card(whole)), digest=digest(whole))
    model.DiscardUnknownFields()
    path = folder / "fuzz.onnx"
    path.write_bytes(card_behind(model.SerializeToString(), card))
    try:
        edgeemo.load(path).predict(clip, gate=None)
        ran += 1
    except BadArtifact:
        refused += 1
print(ran, refused)
"""


def test_mutated_graphs_under_a_right_digest_never_crash(artifact: Path, tmp_path: Path) -> None:
    """In a process of its own: onnxruntime is C++, and a crash would take the test run along."""
    run = subprocess.run(
        [sys.executable, "-c", FUZZ, str(artifact), str(tmp_path), "7"],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": str(Path(edgeemo.__file__).parents[1])},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    ran, refusals = map(int, run.stdout.split())
    assert ran > 10 and refusals > 10
