"""HSEmotion and EmotiEffLib: EfficientNets and MobileFaceNets for eight expressions, as ONNX files.

The file's name tells what is in it, as it does for the packages that publish them: "_7" has no
contempt, "_mtl" gives valence and arousal (-1..1, in that order) behind the classes, "_b2_" takes
260 pixels, "mbf_" and "ddamfnet" 112, all others 224.
"""

from __future__ import annotations

from pathlib import Path

from edgeemo.errors import BadArtifact
from edgeemo.vision.images import ImageSpec

from . import _graph, _weights, class_names

NAME = "hsemotion"
LICENCE = "Apache-2.0 code; weights trained on AffectNet, research only"

STEMS = ("enet_b", "mbf_", "mobilevit_", "ddamfnet")
"""How the published files' names begin."""

EIGHT = ("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
SEVEN = tuple(name for name in EIGHT if name != "contempt")

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def load(folder: Path, device: str = "cpu") -> _graph.GraphTeacher:
    """Load the one ONNX file of a folder.

    Args:
        folder: of that file.
        device: "cpu", "cuda" or "cuda:N".

    Raises:
        BadArtifact: no such file or several, or a file that is truncated or foreign.
    """
    files = sorted(folder.glob("*.onnx"))
    if len(files) != 1:
        raise BadArtifact(f"{folder}: {len(files)} ONNX files; expected one, called as published")
    file = files[0]
    names = SEVEN if "_7" in file.stem else EIGHT
    mtl = "_mtl" in file.stem
    pick = _graph.Pick(first=len(names), count=2)
    return _graph.GraphTeacher(
        name=f"{NAME} {file.stem}",
        licence=LICENCE,
        digest=_weights.digest([file], [NAME, file.stem]),
        graph=_graph.open_graph(file, "onnx", device),
        prepare=_graph.face_input(spec_of(file.stem), "nchw"),
        shortest=0,
        dimensions=_graph.Dimensions(pick, (1, None, 0), 2, -1.0, 1.0) if mtl else None,
        categories=_graph.Categories(
            _graph.Pick(count=len(names) if mtl else 0), class_names.columns(names), "logits"
        ),
        task="face",
        mirror=True,
    )


def spec_of(stem: str) -> ImageSpec:
    """The picture that the model of that file name takes."""
    mean, std = _HALF if "mbf_" in stem else _IMAGENET
    size = 112 if "mbf_" in stem or "ddamfnet" in stem else 260 if "_b2_" in stem else 224
    return ImageSpec(size, 3, mean, std)
