"""The built-in teacher of faces: the mean of three networks that knew who people are before.

tools/recipes/teacher-face tells how they were made, `tools/average_faces.py` joined them. It runs
on each face as it is and mirrored.
"""

from __future__ import annotations

from edgeemo.artifacts import teachers_package
from edgeemo.artifacts.onnx import read_onnx
from edgeemo.types import CLASSES

from . import _graph

NAME = "builtin-face"


def load(device: str = "cpu") -> _graph.GraphTeacher:
    """The shipped teacher of faces.

    Raises:
        BadArtifact: the shipped file is damaged.
        MissingExtra: edgeemo-teachers or onnxruntime is not installed.
    """
    file = teachers_package.need("zoo/teacher-face.onnx")
    card = read_onnx(file).card
    return _graph.GraphTeacher(
        name=NAME,
        licence=card.licence,
        digest=card.digest,
        graph=_graph.open_graph(file, "onnx", device),
        prepare=_graph.face_input(card.image, "nhwc"),
        shortest=0,
        categories=_graph.Categories(
            _graph.Pick("probs"), list(range(len(CLASSES))), "probabilities"
        ),
        task="face",
        mirror=True,
        card=card,
    )
