"""emotion2vec+ (seed, base or large): nine categories, through an ONNX or TorchScript export.

`TeacherOutput.dimensions` is None. The export holds the head: mean over frames, projection,
softmax; FunASR's own export leaves the head out and is refused. Samples are normalized to zero mean
and unit variance before they go in. "other" and "unknown" have no class in edgeemo: their share is
dropped and the rest made to sum to 1.

Source: code and model cards of emotion2vec_plus in FunASR; Z. Ma et al., emotion2vec, ACL Findings
2024 (arXiv 2312.15185).
"""

from __future__ import annotations

from pathlib import Path

from edgeemo.errors import BadArtifact

from . import _graph, _weights, class_names
from .base import Floats, Teacher

NAME = "emotion2vec-plus"
LICENCE = "FunASR model licence; of the weights themselves: not stated"

CATEGORIES = (
    "angry",
    "disgusted",
    "fearful",
    "happy",
    "neutral",
    "other",
    "sad",
    "surprised",
    "unknown",
)
"""The model's outputs, in its order."""

FILES = {"model.onnx": "onnx", "model.ts": "torchscript"}

_EPSILON = 1e-5  # of the layer norm over the clip in FunASR's code


def load(folder: Path, device: str = "cpu") -> Teacher:
    """Load the teacher from a folder with model.onnx or model.ts.

    Args:
        folder: of the exported model.
        device: "cpu", "cuda" or "cuda:N".

    Raises:
        BadArtifact: no file, or a truncated or foreign one.
        MissingExtra: onnxruntime or torch is not installed.
    """
    found = [file for file in FILES if (folder / file).is_file()]
    if not found:
        raise BadArtifact(f"{folder}: no {' or '.join(FILES)}; docs/teachers.md says how to export")
    path = folder / found[0]
    scale = _graph.scaler("utterance", 0.0, 1.0, _EPSILON)

    def prepare(clip: Floats) -> Floats:
        return scale(clip)[None]

    return _graph.GraphTeacher(
        name=NAME,
        licence=LICENCE,
        digest=_weights.digest([path], [NAME]),
        graph=_graph.open_graph(path, FILES[path.name], device),
        prepare=prepare,
        shortest=400,
        categories=_graph.Categories(
            _graph.Pick(), class_names.columns(CATEGORIES), values="probabilities"
        ),
    )
