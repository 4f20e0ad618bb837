"""The models that are shipped with edgeemo and edgeemo-teachers; how a name becomes a file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

from edgeemo.artifacts import teachers_package
from edgeemo.artifacts.card import Card
from edgeemo.artifacts.reading import read_model
from edgeemo.artifacts.tflite import TfliteFile, read_tflite
from edgeemo.backends import BACKENDS
from edgeemo.errors import BadArtifact, BadInput, printable

ZOO = Path(__file__).parents[1] / "zoo"
"""Folder of edgeemo's own models; the name of a file is the name of the model."""

DEFAULT = "wav2small-stream"
"""The model that commands use for speech when none is named."""

FACE_DEFAULT = "mobilenetv1-face"
"""The model that commands use for faces when none is named."""

WITH_TEACHERS = (
    FACE_DEFAULT,
    "efficientnet-lite0-face",
    "teacher",
    "teacher-face",
    "teacher-open",
    "wav2small-stream-open",
    "wav2small-stream-sounds",
)
"""Models that come with the package edgeemo-teachers, in its folder `zoo`."""

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "c": ("numpy",),
    "onnx": ("onnxruntime",),
    "tflite": ("ai_edge_litert", "tflite_runtime"),
}
"""What each backend needs, any one of them; the order in which backends are preferred."""


@dataclass(frozen=True)
class Model:
    """A shipped model.

    Attributes:
        name: what `edgeemo.load` takes.
        path: the file.
        format: "onnx" or "tflite".
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


def resolve(name_or_path: str | Path, backend: str | None = None) -> Path:
    """The file of a shipped model's name, or the path itself.

    A string without a folder and without the ending of a model file is a name. A model may be
    shipped in several formats: the backend picks the file.

    Args:
        name_or_path: what `edgeemo.load` takes.
        backend: key of BACKENDS, or None for the first one that is installed here.

    Raises:
        BadInput: no shipped model of that name (the message lists the nearest), or it is not
            shipped for that backend.
        BadArtifact: a path at which there is no file.
        MissingExtra: the model comes with edgeemo-teachers, which is not installed.
    """
    return locate(name_or_path, backend)[0]


def locate(name_or_path: str | Path, backend: str | None = None) -> tuple[Path, TfliteFile | None]:
    """As `resolve`, and the file's content where it had to be read to choose it.

    Args:
        name_or_path: as for `resolve`.
        backend: as for `resolve`.

    Raises:
        BadInput, BadArtifact, MissingExtra: as `resolve`.
    """
    path = Path(name_or_path)
    if isinstance(name_or_path, Path) or path.suffix in BACKENDS.values() or len(path.parts) != 1:
        if not path.exists():
            raise BadArtifact(f"{path}: no such file")
        return path, None
    found: dict[str, list[Path]] = {}
    for file in _files():
        found.setdefault(file.stem, []).append(file)
    if path.name in found:
        return _pick(found[path.name], backend)
    if path.name in WITH_TEACHERS:
        teachers_package.need(path.name)
    near = get_close_matches(path.name, found, 3, 0.4) or sorted(found)
    raise BadInput(
        f"no model {path.name!r}; there is: {', '.join(near) or 'none'} "
        f"(`edgeemo models` lists them; a path ends in {' or '.join(_endings())})"
    )


def card_of(path: Path) -> Card:
    """The card of a model file.

    Raises:
        BadArtifact: the file is damaged.
    """
    return _model(path).card


def card_command(path: Path) -> str:
    """The command that shows the card of a file: the list of what is shipped has no other.

    Args:
        path: of the file, as `resolve` gives it.
    """
    own = "" if path in _files() else f" {shlex.quote(printable(path))}"
    return f"edgeemo models{own}"


def _pick(files: list[Path], backend: str | None) -> tuple[Path, TfliteFile | None]:
    """The file for a backend; without one, for the first backend that is installed."""
    by_ending = {f.suffix: f for f in files}
    if backend is not None and backend in BACKENDS:
        if BACKENDS[backend] not in by_ending:
            names = ", ".join(f.name for f in files)
            raise BadInput(
                f"{files[0].stem} is not shipped for the backend {backend}, only {names}"
            )
        return by_ending[BACKENDS[backend]], None
    content = None
    for name, packages in PACKAGES.items():
        file = by_ending.get(BACKENDS.get(name, ""))
        if file is None or not any(map(find_spec, packages)):
            continue
        if name == "c":
            content = read_tflite(file)
            # The engine is the choice for speech alone, as in open_backend.
            if content.card.task != "speech":
                continue
        return file, content if file.suffix == ".tflite" else None
    # Nothing can run it: opening it tells which package is missing.
    return files[0], None


def _endings() -> tuple[str, ...]:
    return tuple(dict.fromkeys(BACKENDS.values()))


def _files() -> list[Path]:
    teachers = teachers_package.folder()
    folders = [ZOO] if teachers is None else [ZOO, teachers / "zoo"]
    return [p for ending in _endings() for folder in folders for p in folder.glob(f"*{ending}")]


def _order(path: Path) -> tuple[bool, str]:
    return path.stem != DEFAULT, path.name


def _model(path: Path) -> Model:
    return Model(path.stem, path, path.suffix[1:], path.stat().st_size, read_model(path).card)
