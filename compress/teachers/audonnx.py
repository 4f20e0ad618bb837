"""A teacher in audonnx's layout, as audEERING publishes on Zenodo: model.onnx beside model.yaml.

The YAML of that layout names Python classes to build. It is data here: its one object must be the
model, and of it the file name and the labels are read; a transform (code to run before the model)
is refused. The graph takes raw samples [1, n], as audonnx feeds it, and gives `logits` (arousal,
dominance, valence) and `hidden_states`, the pooled last layer.

Source: README of audeering/w2v2-how-to, documentation of audonnx 0.7; doi 10.5281/zenodo.6221127.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeemo.errors import BadArtifact, one_line, require
from edgeemo.types import DIMENSIONS

from . import _graph, _weights, audeering
from .base import Teacher

NAME = "audeering-dim-onnx"
LICENCE = audeering.LICENCE

_MODEL = "$audonnx.core.model.Model"
_LOGITS, _HIDDEN = "logits", "hidden_states"


def load(folder: Path, device: str = "cpu") -> Teacher:
    """Load the teacher from a folder with model.yaml and the ONNX file that it names.

    Args:
        folder: of the teacher, as published.
        device: "cpu", "cuda" or "cuda:N".

    Raises:
        BadArtifact: a file is missing, truncated or foreign, the YAML wants a transform or a file
            outside the folder, or the model has other outputs.
        MissingExtra: onnxruntime or PyYAML is not installed.
    """
    yaml_path = folder / "model.yaml"
    values = _object(yaml_path)
    path = _weights.confined(folder, str(values.get("path", "model.onnx")))
    graph = _graph.open_graph(path, "onnx", device)
    for needed in (_LOGITS, _HIDDEN):
        if needed not in graph.names:
            raise BadArtifact(
                f"{path}: outputs {list(graph.names)}; expected {needed!r} among them"
            )
    return _graph.GraphTeacher(
        name=NAME,
        licence=LICENCE,
        digest=_weights.digest([path, yaml_path], [NAME]),
        graph=graph,
        prepare=lambda clip: clip[None],
        shortest=400,
        dimensions=_graph.Dimensions(
            _graph.Pick(_LOGITS), _order(values.get("labels"), yaml_path), len(DIMENSIONS)
        ),
        embedding=_graph.Pick(_HIDDEN),
    )


def _object(path: Path) -> dict[str, Any]:
    """The arguments of the model object in the YAML; nothing in it is built or imported."""
    yaml = require("yaml", "teachers")
    try:
        # safe_load knows plain values only: a tag that names a class is an error.
        value = yaml.safe_load(_weights.read_text(path))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise BadArtifact(f"{path}: not plain YAML ({one_line(error)})") from None
    keys = list(value) if isinstance(value, dict) else []
    if len(keys) != 1 or str(keys[0]).partition("==")[0] != _MODEL:
        raise BadArtifact(f"{path}: expected one object {_MODEL}, got {str(keys)[:120]}")
    arguments = value[keys[0]]
    if not isinstance(arguments, dict):
        raise BadArtifact(f"{path}: {_MODEL} has no arguments")
    unknown = set(arguments) - {"path", "labels", "transform"}
    if unknown or arguments.get("transform") is not None:
        what = "a transform" if not unknown else f"the argument {min(map(str, unknown))!r}"
        raise BadArtifact(
            f"{path}: {what} is not supported; a teacher here takes raw samples and runs no code"
        )
    return arguments


def _order(labels: Any, path: Path) -> tuple[int | None, int | None, int | None]:
    named = labels.get(_LOGITS) if isinstance(labels, dict) else labels
    if named is None:
        return (0, 1, 2)
    # audonnx itself makes up "logits-0" and so on where a file has no labels.
    if named == [f"{_LOGITS}-{i}" for i in range(len(DIMENSIONS))]:
        return (0, 1, 2)
    if not isinstance(named, list):
        raise BadArtifact(f"{path}: labels {str(named)[:80]}; expected a list")
    return _graph.order_of([str(name) for name in named])
