"""A teacher described in a TOML file: an ONNX or TorchScript model, or an ensemble.

    schema = 1
    kind = "onnx"                     # or "torchscript"
    name = "my-teacher"
    licence = "CC0"                   # of the weights; goes to the card of every student
    model = "model.onnx"              # a file beside this one
    [input]
    kind = "samples"                  # or "logmel", with spec = "logmel40"
    normalize = "utterance"           # "none", or "fixed" with mean and std
    [adv]
    output = "logits"                 # or index = 0
    order = ["valence", "arousal", "dominance"]
    low = 1.0                         # what 0 and 1 are on the model's scale
    high = 7.0
    [classes]
    index = 1
    names = ["angry", "happy", "neutral", "sad"]
    values = "logits"                 # or "probabilities"

A teacher of faces has [image] in place of [input], and [adv] needs no dominance:

    [image]
    size = 224
    channels = 3
    layout = "nchw"                   # or "nhwc"
    mean = [0.485, 0.456, 0.406]      # of values in 0..1
    std = [0.229, 0.224, 0.225]
    mirror = true                     # the mean of the face and its mirror image
    [adv]
    first = 8                         # the numbers of the output after the eighth
    order = ["valence", "arousal"]
    low = -1.0

An ensemble averages its members, each dimension and the classes over those that give them:

    schema = 1
    kind = "ensemble"
    name = "two"
    [[members]]
    teacher = "odyssey-wavlm"         # a registered name, or a folder or TOML file beside this one
    weight = 1.0
    [[members]]
    teacher = "audeering-dim"
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from edgeemo.errors import BadArtifact, BadInput, BadRecipe
from edgeemo.io import schema
from edgeemo.io.loading import parse_toml
from edgeemo.types import DIMENSIONS, SAMPLE_RATE
from edgeemo.vision.images import ImageSpec, Pixels

from . import _graph, _weights, class_names
from .base import Floats, Teacher
from .ensemble import Ensemble

T = TypeVar("T")

SCHEMA = 1


@dataclass(frozen=True)
class InputTable:
    """What the model takes.

    Attributes:
        kind: "samples" is float32 [1, n] at 16 kHz; "logmel" is [1, frames, bands].
        spec: a name of `edgeemo.features.SPECS`; for "logmel".
        layout: the axes after the first, for "logmel".
        normalize: "none"; "utterance": zero mean, unit variance over the clip's input; "fixed":
            (x - mean) / std.
        mean: for "fixed".
        std: for "fixed", above 0.
        epsilon: added to the variance, for "utterance".
        shortest: fewest samples of a clip.
        name: of the model's input, where an ONNX file is to be checked for it.
    """

    kind: Literal["samples", "logmel"] = "samples"
    spec: str = "logmel40"
    layout: Literal["frames-bands", "bands-frames"] = "frames-bands"
    normalize: Literal["none", "utterance", "fixed"] = "none"
    mean: float = 0.0
    std: float = 1.0
    epsilon: float = 1e-7
    shortest: int = 400
    name: str = ""

    def __post_init__(self) -> None:
        if not self.std > 0:
            raise BadRecipe(f"$.input.std: {self.std}; expected more than 0")
        if not 0 <= self.epsilon < 1:
            raise BadRecipe(f"$.input.epsilon: {self.epsilon}; expected 0 to 1")
        if self.shortest < 1:
            raise BadRecipe(f"$.input.shortest: {self.shortest}; expected 1 sample or more")


@dataclass(frozen=True)
class ImageTable:
    """The picture of a face that the model takes.

    Attributes:
        size, channels, mean, std: see `edgeemo.vision.images.ImageSpec`.
        layout: the axes after the first: channels first or last.
        mirror: average over the face and its mirror image.
        name: of the model's input, where an ONNX file is to be checked for it.
    """

    size: int
    channels: Literal[1, 3] = 3
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    layout: Literal["nchw", "nhwc"] = "nchw"
    mirror: bool = True
    name: str = ""


@dataclass(frozen=True)
class DimensionsTable:
    """[adv], arousal, dominance, valence: which output, in which order ("-" skips), on which scale.

    `first` is where they begin in an output that holds more.
    """

    order: tuple[str, ...]
    output: str = ""
    index: int = 0
    first: int = 0
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not self.high > self.low:
            raise BadRecipe(f"$.adv: low {self.low}, high {self.high}; expected low below high")


@dataclass(frozen=True)
class ClassesTable:
    """Class probabilities: which output, whose names in which order, and what the values are.

    `first` is where they begin in an output that holds more.
    """

    names: tuple[str, ...]
    values: Literal["probabilities", "logits"]
    output: str = ""
    index: int = 0
    first: int = 0


@dataclass(frozen=True)
class EmbeddingTable:
    """One vector a clip, [1, width]: which output."""

    output: str = ""
    index: int = 0


@dataclass(frozen=True)
class ModelFile:
    """A model file and what its inputs and outputs mean; the keys of the TOML."""

    schema: int
    kind: Literal["onnx", "torchscript"]
    name: str
    licence: str
    model: str
    input: InputTable | None = None
    image: ImageTable | None = None
    adv: DimensionsTable | None = None
    classes: ClassesTable | None = None
    embedding: EmbeddingTable | None = None


@dataclass(frozen=True)
class Member:
    """A member of an ensemble and its weight, relative to the others."""

    teacher: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise BadRecipe(f"$.members: weight {self.weight} of {self.teacher!r}; must be above 0")


@dataclass(frozen=True)
class EnsembleFile:
    """An ensemble; the keys of the TOML."""

    schema: int
    kind: Literal["ensemble"]
    name: str
    members: tuple[Member, ...]


def load(path: Path, device: str = "cpu") -> Teacher:
    """Load what a TOML file, or the teacher.toml of a folder, describes.

    Args:
        path: of the TOML file or the folder.
        device: "cpu", "cuda" or "cuda:N".

    Raises:
        BadRecipe: the TOML has an unknown key, a wrong type or an impossible value.
        BadArtifact: the model file is missing, truncated, foreign or outside the TOML's folder.
    """
    path = path / "teacher.toml" if path.is_dir() else path
    text = _weights.read_text(path)
    values = _parse(text, path)
    if values.get("kind") == "ensemble":
        return _ensemble(_read(EnsembleFile, values, path), path, device)
    return _model(_read(ModelFile, values, path), text, path, device)


def _parse(text: str, path: Path) -> dict[str, Any]:
    values = parse_toml(text.encode(), BadRecipe, path)
    if values.get("schema") != SCHEMA:
        raise BadRecipe(f"{path}: $.schema: expected {SCHEMA}, got {values.get('schema')!r}")
    return values


def _read(cls: type[T], values: Mapping[str, Any], path: Path) -> T:
    try:
        return schema.read(cls, values, BadRecipe)
    except BadRecipe as error:
        raise BadRecipe(f"{path}: {error}") from None


def _model(file: ModelFile, text: str, path: Path, device: str) -> Teacher:
    if file.adv is None and file.classes is None:
        raise BadRecipe(f"{path}: neither [adv] nor [classes]; a teacher gives at least one")
    if file.image is not None and file.input is not None:
        raise BadRecipe(f"{path}: [input] and [image]; a teacher takes speech or faces, not both")
    speech, face = file.input or InputTable(), file.image
    try:
        dimensions = _dimensions(file.adv, face=face is not None)
        categories = _categories(file.classes)
        prepare = _preparation(speech) if face is None else _face_preparation(face)
    except (BadRecipe, BadArtifact, BadInput) as error:
        raise BadRecipe(f"{path}: {error}") from None
    model = _weights.confined(path.parent, file.model)
    return _graph.GraphTeacher(
        name=file.name,
        licence=file.licence,
        digest=_weights.digest([model], ["described", text]),
        graph=_graph.open_graph(model, file.kind, device, (face or speech).name),
        prepare=prepare,
        shortest=speech.shortest,
        dimensions=dimensions,
        categories=categories,
        embedding=None if file.embedding is None else _pick(file.embedding),
        task="speech" if face is None else "face",
        mirror=face is not None and face.mirror,
    )


def _pick(table: DimensionsTable | ClassesTable | EmbeddingTable) -> _graph.Pick:
    if isinstance(table, EmbeddingTable):
        return _graph.Pick(table.output, table.index)
    count = len(table.order if isinstance(table, DimensionsTable) else table.names)
    # Without `first` the output must hold just these numbers; that is checked when it is read.
    return _graph.Pick(table.output, table.index, table.first, count if table.first else 0)


def _dimensions(table: DimensionsTable | None, face: bool) -> _graph.Dimensions | None:
    if table is None:
        return None
    # Teachers of faces know no dominance, save for a few.
    wanted = [d for d in DIMENSIONS if not face or d != "dominance" or d in table.order]
    order = _graph.order_of(table.order, wanted)
    return _graph.Dimensions(_pick(table), order, len(table.order), table.low, table.high)


def _face_preparation(table: ImageTable) -> Callable[[Pixels], Floats]:
    spec = ImageSpec(table.size, table.channels, table.mean, table.std)
    return _graph.face_input(spec, table.layout)


def _categories(table: ClassesTable | None) -> _graph.Categories | None:
    if table is None:
        return None
    return _graph.Categories(_pick(table), class_names.columns(table.names), table.values)


def _preparation(table: InputTable) -> Callable[[Floats], Floats]:
    scale = _graph.scaler(table.normalize, table.mean, table.std, table.epsilon)
    if table.kind == "samples":
        return lambda clip: scale(clip)[None]
    # Imported here: teachers of samples need no compiled front end.
    from edgeemo.features import SPECS, log_mel

    if table.spec not in SPECS:
        raise BadRecipe(f"$.input.spec: {table.spec!r}; expected one of {', '.join(SPECS)}")
    spec = SPECS[table.spec]
    if table.shortest < spec.window:
        raise BadRecipe(
            f"$.input.shortest: {table.shortest} samples; "
            f"one frame of {table.spec} needs {spec.window}"
        )

    def prepare(clip: Floats) -> Floats:
        features = scale(log_mel(clip, spec, SAMPLE_RATE))
        ordered = features.T if table.layout == "bands-frames" else features
        return np.ascontiguousarray(ordered)[None]

    return prepare


def _ensemble(file: EnsembleFile, path: Path, device: str) -> Teacher:
    from .registry import known_teachers, load_teacher

    if len(file.members) < 2:
        raise BadRecipe(f"{path}: $.members: {len(file.members)}; an ensemble has at least 2")
    known = known_teachers()
    loaded = []
    for member in file.members:
        source: str | Path = member.teacher
        if member.teacher not in known:
            source = _weights.confined(path.parent, member.teacher)
            if _is_ensemble(source):
                raise BadRecipe(f"{path}: member {member.teacher!r} is an ensemble itself")
        loaded.append(load_teacher(source, device))
    total = math.fsum(member.weight for member in file.members)
    weights = tuple(member.weight / total for member in file.members)
    return Ensemble(file.name, tuple(loaded), weights)


def _is_ensemble(path: Path) -> bool:
    toml = path / "teacher.toml" if path.is_dir() else path
    if toml.suffix != ".toml" or not toml.is_file():
        return False
    return _parse(_weights.read_text(toml), toml).get("kind") == "ensemble"
