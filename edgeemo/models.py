"""The models that are shipped with edgeemo, and how a name becomes a file."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from edgeemo.backends import BACKENDS
from edgeemo.card import Card
from edgeemo.errors import BadArtifact, BadInput

ZOO = Path(__file__).parent / "zoo"
"""Folder of the shipped models; the name of a file is the name of the model."""

DEFAULT = "wav2small-stream"
"""The model that commands use for speech when none is named."""

FACE_DEFAULT = "mobilenetv3-small-face"
"""The model that commands use for faces when none is named."""


@dataclass(frozen=True)
class Model:
    """A shipped model.

    Attributes:
        name: what `edgeemo.load` takes.
        path: the file.
        format: key of BACKENDS.
        bytes: size of the file.
        card: its card, checked.
    """

    name: str
    path: Path
    format: str
    bytes: int
    card: Card

    @property
    def command(self) -> str:
        """The command that uses the model."""
        file = "PHOTO.jpg" if self.card.task == "face" else "FILE.wav"
        return f"edgeemo predict --model {self.name} {file}"


def shipped() -> tuple[Model, ...]:
    """All shipped models, the default first, then by name.

    Raises:
        BadArtifact: a shipped file is damaged.
    """
    return tuple(_model(path) for path in sorted(_files(), key=_order))


def resolve(name_or_path: str | Path) -> Path:
    """The file of a shipped model's name, or the path itself.

    A string without a folder and without the ending of a model file is a name.

    Raises:
        BadInput: no shipped model of that name; the message lists the nearest.
        BadArtifact: a path at which there is no file.
    """
    path = Path(name_or_path)
    if isinstance(name_or_path, Path) or path.suffix in BACKENDS.values() or len(path.parts) != 1:
        if not path.exists():
            raise BadArtifact(f"{path}: no such file")
        return path
    found = {p.stem: p for p in _files()}
    if path.name in found:
        return found[path.name]
    near = get_close_matches(path.name, found, 3, 0.4) or sorted(found)
    raise BadInput(
        f"no model {path.name!r}; there is: {', '.join(near) or 'none'} "
        "(`edgeemo models` lists them; a path ends in .onnx)"
    )


def _files() -> list[Path]:
    return [p for ending in sorted(set(BACKENDS.values())) for p in ZOO.glob(f"*{ending}")]


def _order(path: Path) -> tuple[bool, str]:
    return path.stem != DEFAULT, path.name


def _model(path: Path) -> Model:
    from edgeemo.backends._onnx_file import read_onnx

    found = read_onnx(path)
    return Model(path.stem, path, "onnx", len(found.data), found.card)
