"""A model file (ONNX or TorchScript) as a teacher, once it is known what its outputs mean.

Clips run one by one: nothing is known about how a foreign graph treats padding. So do pictures:
many graphs are exported for one.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.card import Card
from edgeemo.errors import BadArtifact, BadInput, one_line, require
from edgeemo.types import DIMENSIONS
from edgeemo.vision.images import ImageSpec, Pixels, preprocess

from . import _weights, class_names
from .base import Floats, TeacherOutput, check_clips, check_faces, concatenate, label_in_batches

Arrays = list[NDArray[Any]]


class Graph(Protocol):
    """A loaded model file."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the outputs; empty where the format has none."""

    def run(self, value: Floats) -> Arrays:
        """Outputs for one clip; `value` has a first axis of 1."""


@dataclass(frozen=True)
class Pick:
    """One output of a graph: by name, or by index where `name` is empty.

    Attributes:
        first, count: the numbers of it that are meant; a count of 0 takes all from the first on.
    """

    name: str = ""
    index: int = 0
    first: int = 0
    count: int = 0

    def numbers(self, outputs: Arrays, names: Sequence[str]) -> NDArray[Any]:
        """The meant numbers of the output of one clip, flat."""
        flat = self.take(outputs, names).reshape(-1)
        return flat[self.first : self.first + self.count if self.count else None]

    def take(self, outputs: Arrays, names: Sequence[str]) -> NDArray[Any]:
        """The array (BadArtifact where there is no such output)."""
        if self.name:
            if self.name not in names:
                raise BadArtifact(f"no output {self.name!r}; the model has {list(names)}")
            return outputs[list(names).index(self.name)]
        if not 0 <= self.index < len(outputs):
            raise BadArtifact(f"no output {self.index}; the model has {len(outputs)}")
        return outputs[self.index]


@dataclass(frozen=True)
class Dimensions:
    """How to read arousal, dominance and valence.

    Attributes:
        pick: the output.
        order: where arousal, dominance and valence stand in it; None for one that is not given.
        width: numbers in the output.
        low: what 0 is on the model's scale.
        high: what 1 is on the model's scale.
    """

    pick: Pick
    order: tuple[int | None, int | None, int | None]
    width: int
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class Categories:
    """How to read class probabilities: the output, where each goes, and what the values are."""

    pick: Pick
    places: Sequence[int | None]
    values: class_names.Values


@dataclass(frozen=True)
class GraphTeacher:
    """A teacher over a model file.

    Attributes:
        name: of the teacher.
        licence: of its weights.
        digest: sha256 over model file and settings.
        graph: the model.
        prepare: a clip or a face to the model's input, with a first axis of 1.
        shortest: fewest samples it takes; not asked for faces.
        dimensions: how to read A, D, V; None for a model of classes.
        categories: how to read classes; None for a model without.
        embedding: the output that is one vector a clip; None for a model without.
        task: "speech" or "face".
        mirror: a face is run as it is and mirrored, and the two outputs are averaged.
        card: of an artifact of edgeemo's own; it says what the teacher was trained on.
    """

    name: str
    licence: str
    digest: str
    graph: Graph
    prepare: Callable[[Any], Floats]
    shortest: int
    dimensions: Dimensions | None = None
    categories: Categories | None = None
    embedding: Pick | None = None
    task: Literal["speech", "face"] = "speech"
    mirror: bool = False
    card: Card | None = None

    def label(self, clips: Sequence[Floats] | Sequence[Pixels]) -> TeacherOutput:
        """See `Teacher.label`."""
        if self.task == "face":
            return concatenate([self._label_face(face) for face in check_faces(clips)])
        return label_in_batches(check_clips(clips, self.shortest), self._run, 0.0)

    def _label_face(self, face: Pixels) -> TeacherOutput:
        one = self._run([face])
        return mean_of([one, self._run([face[:, ::-1]])]) if self.mirror else one

    def _run(self, clips: list[Any]) -> TeacherOutput:
        (clip,) = clips
        outputs, names = self.graph.run(self.prepare(clip)), self.graph.names
        dimensions = probs = embedding = None
        if self.dimensions is not None:
            what = self.dimensions
            row = self._row(what.pick.numbers(outputs, names), what.width)
            dimensions = np.full((1, len(DIMENSIONS)), np.nan, np.float32)
            for i, place in enumerate(what.order):
                if place is not None:
                    dimensions[0, i] = (row[0, place] - what.low) / (what.high - what.low)
        if self.categories is not None:
            row = self._row(
                self.categories.pick.numbers(outputs, names), len(self.categories.places)
            )
            probs = class_names.to_classes(row, self.categories.places, self.categories.values)
        if self.embedding is not None:
            vector = self.embedding.take(outputs, names)
            if vector.shape[:-1] not in {(), (1,)}:
                raise BadArtifact(
                    f"{self.name}: the embedding has shape {list(vector.shape)}; expected one "
                    "vector a clip, [1, width]"
                )
            embedding = vector.reshape(1, -1).astype(np.float32)
        return TeacherOutput(dimensions=dimensions, probs=probs, embedding=embedding)

    def _row(self, value: NDArray[Any], width: int) -> NDArray[np.float64]:
        if value.size != width:
            raise BadArtifact(
                f"{self.name}: an output has shape {list(value.shape)} for one clip; expected "
                f"{width} numbers: is it another output, or one for each frame?"
            )
        return value.reshape(1, width).astype(np.float64)


def order_of(
    names: Sequence[str], wanted: Sequence[str] = DIMENSIONS
) -> tuple[int | None, int | None, int | None]:
    """Where arousal, dominance and valence stand among `names` ("-" for what is not used).

    Args:
        names: of the model's numbers, in its order.
        wanted: dimensions that must be there; the others give None.

    Raises:
        BadArtifact: a dimension is missing or there twice, or a name is none of them.
    """
    if sorted(name for name in names if name != "-") != sorted(wanted):
        raise BadArtifact(
            f"order {list(names)}: expected each of {list(wanted)} once, in the order of the "
            'model\'s output, and "-" for numbers that are something else'
        )
    a, d, v = (list(names).index(name) if name in wanted else None for name in DIMENSIONS)
    return a, d, v


def mean_of(outputs: Sequence[TeacherOutput]) -> TeacherOutput:
    """The mean of several outputs for the same clips."""

    def mean(name: str) -> Any:
        given = [getattr(o, name) for o in outputs]
        return None if given[0] is None else np.mean(given, axis=0, dtype=np.float32)

    return TeacherOutput(
        dimensions=mean("dimensions"), probs=mean("probs"), embedding=mean("embedding")
    )


def face_input(spec: ImageSpec, layout: Literal["nchw", "nhwc"]) -> Callable[[Pixels], Floats]:
    """A face to a model's input: `edgeemo.vision.images.preprocess`, channels first or last."""

    def prepare(face: Pixels) -> Floats:
        taken = preprocess(face, None, spec)
        return np.ascontiguousarray(taken.transpose(0, 3, 1, 2)) if layout == "nchw" else taken

    return prepare


def open_graph(path: Path, kind: str, device: str, input_name: str = "") -> Graph:
    """Load a model file.

    Args:
        path: the file.
        kind: "onnx" or "torchscript".
        device: "cpu" or "cuda".
        input_name: of an ONNX model with several inputs; the only one where it is empty.

    Raises:
        BadArtifact: truncated, foreign, too large, or with inputs that are not known.
        BadInput: CUDA was asked for and this onnxruntime has none.
    """
    _weights.check_file(path, _weights.LARGEST_MODEL)
    if kind == "onnx":
        return _OnnxGraph(path, device, input_name)
    return _TorchScriptGraph(path, device)


class _OnnxGraph:
    def __init__(self, path: Path, device: str, input_name: str) -> None:
        ort = require("onnxruntime", "onnx")
        if device != "cpu" and "CUDAExecutionProvider" not in ort.get_available_providers():
            raise BadInput(
                f"device {device!r}: this onnxruntime has no CUDA; pip install onnxruntime-gpu, "
                "or use device='cpu'"
            )
        options = ort.SessionOptions()
        options.log_severity_level = 4
        try:
            self._session = ort.InferenceSession(
                path, sess_options=options, providers=_providers(device)
            )
        except Exception as error:  # onnxruntime's classes share no public root
            raise BadArtifact(
                f"{path}: truncated, foreign or not supported ({one_line(error)})"
            ) from None
        inputs = [value.name for value in self._session.get_inputs()]
        if not input_name and len(inputs) != 1:
            raise BadArtifact(f"{path}: inputs {inputs}; expected one, or its name")
        self._input = input_name or inputs[0]
        if inputs != [self._input]:
            raise BadArtifact(f"{path}: inputs {inputs}; expected {self._input!r} alone")
        self._path = path
        self.names: Sequence[str] = [value.name for value in self._session.get_outputs()]

    def run(self, value: Floats) -> Arrays:
        try:
            return [np.asarray(v) for v in self._session.run(None, {self._input: value})]
        except Exception as error:
            raise BadArtifact(
                f"{self._path}: does not take an input of shape {list(value.shape)} "
                f"({one_line(error)})"
            ) from None


class _TorchScriptGraph:
    def __init__(self, path: Path, device: str) -> None:
        torch = require("torch", "train")
        try:
            # torch calls TorchScript deprecated; the files exist all the same.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                self._model = torch.jit.load(path, map_location=device).eval()
        except Exception as error:
            raise BadArtifact(f"{path}: truncated or foreign ({one_line(error)})") from None
        self._path, self._device = path, device
        self.names: Sequence[str] = []

    def run(self, value: Floats) -> Arrays:
        torch = require("torch", "train")
        try:
            with torch.inference_mode():
                outputs = self._model(torch.from_numpy(value).to(self._device))
        except Exception as error:
            raise BadArtifact(
                f"{self._path}: does not take an input of shape {list(value.shape)} "
                f"({one_line(error)})"
            ) from None
        if isinstance(outputs, Mapping):
            self.names = list(outputs)
            outputs = tuple(outputs.values())
        tensors = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
        if not all(isinstance(tensor, torch.Tensor) for tensor in tensors):
            raise BadArtifact(f"{self._path}: gives something that is no tensor")
        return [tensor.float().cpu().numpy() for tensor in tensors]


def scaler(kind: str, mean: float, std: float, epsilon: float) -> Callable[[Floats], Floats]:
    """Normalization of an input array: "none", "utterance" (over the array) or "fixed"."""
    if kind == "none":
        return _same
    if kind == "utterance":
        return lambda value: _standard(value, float(value.mean(dtype=np.float64)), epsilon)
    return lambda value: ((value.astype(np.float64) - mean) / std).astype(np.float32)


def _standard(value: Floats, mean: float, epsilon: float) -> Floats:
    wide = value.astype(np.float64) - mean
    scaled: Floats = (wide / math.sqrt(float(np.mean(wide**2)) + epsilon)).astype(np.float32)
    return scaled


def _same(value: Floats) -> Floats:
    return value


def _providers(device: str) -> list[Any]:
    if device == "cpu":
        return ["CPUExecutionProvider"]
    index = device.partition(":")[2] or "0"
    return [("CUDAExecutionProvider", {"device_id": index}), "CPUExecutionProvider"]
