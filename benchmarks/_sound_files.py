"""Int8 files of students that tell sounds, and what they say token by token, for sounds.py."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).resolve().parents[1] / "tools"))

from _bursts import Voices, voices_of, with_bursts

from edgeemo.artifacts.card import Card, Output
from edgeemo.artifacts.models import resolve
from edgeemo.artifacts.onnx import read_onnx
from edgeemo.artifacts.onnx_embedding import with_output
from edgeemo.compress.data import Clip
from edgeemo.compress.data.sounds import LABELS
from edgeemo.compress.recipes import load_recipe
from edgeemo.compress.stages.rounding import rounded
from edgeemo.compress.students import Student, load_student, make_student
from edgeemo.compress.train.pretrained import load_pretrained
from edgeemo.errors import require
from edgeemo.export.int8 import ActivationRecorder
from edgeemo.export.job import WRITERS
from edgeemo.export.onnx_writer import float_graph
from edgeemo.export.writer import ExportInput, QuantConfig, Writer
from edgeemo.features import log_mel

__all__ = ["SoundFile", "Voices", "int8_of", "load_any", "voices_of", "with_bursts"]

LAST_RECIPE = Path(__file__).parents[1] / "tools/recipes/wav2small-stream/round-4.toml"
RANGES_FROM = 64  # clips


def load_any(student: str) -> tuple[Student, Card]:
    """A student and a card to write it under.

    Args:
        student: name of the shipped one, or the student.pt of another of its kind.
    """
    shipped = resolve("wav2small-stream", "onnx")
    card = read_onnx(shipped).card
    if student.endswith(".pt"):
        return load_student(Path(student)), card
    options = load_recipe(LAST_RECIPE).student.options
    made = make_student("wav2small-stream", **dict(options))
    load_pretrained(made, student)
    return made.eval(), card


def int8_of(
    student: Student, card: Card, clips: Sequence[Clip], writer: Writer = WRITERS["onnx"]
) -> bytes:
    """The int8 file of a student, with ranges of some clips.

    Args:
        student: with layers for sounds, or without.
        card: of the student without them.
        clips: to read ranges from.
        writer: of the format.
    """
    inputs = [log_mel(c.samples()) for c in clips[:: max(1, len(clips) // RANGES_FROM)]]
    told = () if student.sounds is None else (Output("sounds", LABELS),)
    outputs = (*card.outputs, *told)
    held = rounded(student, inputs, writer.largest_weight)
    graph = float_graph(held, card.calibration.class_temperature)
    ranges = ActivationRecorder(graph).observe([x[None] for x in inputs]).table("minmax")
    return writer.write(ExportInput(held, replace(card, outputs=outputs)), QuantConfig(ranges))


class SoundFile:
    """A file's word on speech and sounds; as a gate its word on each token, before the mean.

    Args:
        data: from `int8_of`.
    """

    block = 640

    def __init__(self, data: bytes) -> None:
        graph = onnx.load_model_from_string(data).graph
        (self._tokens,) = (n.output[0] for n in graph.node if n.op_type == "Sigmoid")
        onnxruntime = require("onnxruntime", "onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self._session: Any = onnxruntime.InferenceSession(
            with_output(data, self._tokens), options, providers=["CPUExecutionProvider"]
        )

    def told(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Shares of speech and sounds in a clip, [8]."""
        return self._run("sounds", samples)[0]

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether somebody speaks in each token of a clip, which is taken whole."""
        return np.asarray(self._run(self._tokens, samples)[0, 0, :, 0] > 0.5)

    def reset(self) -> None:
        """Nothing is kept."""

    def _run(self, name: str, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        (found,) = self._session.run([name], {"features": log_mel(samples)[None]})
        return np.asarray(found, np.float32)
