"""A front end in front of an ONNX file that was exported before, a shipped model for example."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeemo.artifacts.onnx import read_onnx
from edgeemo.backends import open_backend
from edgeemo.errors import BadInput, ParityFailed, require
from edgeemo.features import FeatureSpec, log_mel
from edgeemo.io.files import replacing

from .graph import frontend_graph, join
from .onnx_writer import with_card

_LIMIT = 0.02  # in 0..1: the front end in the graph may round an int8 input to the next step


def add_front_end(path: Path, out: Path) -> Path:
    """Write a file that takes samples in place of features.

    Args:
        path: an ONNX file of speech that takes features.
        out: folder of the new file, which is called NAME-waveform.onnx.

    Returns:
        The new file.

    Raises:
        BadArtifact: `path` is no sound file of edgeemo.
        BadInput: it takes something else than features of whole clips.
        ParityFailed: both files differ on test sounds.
    """
    onnx = require("onnx", "export")
    source = read_onnx(path)
    spec = source.card.spec
    if source.card.input != "features" or source.card.hop or not isinstance(spec, FeatureSpec):
        raise BadInput(f"{path}: a front end goes before whole clips of features alone")
    model: Any = onnx.load_from_string(source.data)
    data = with_card(join(frontend_graph(spec), model), replace(source.card, input="samples"))
    target = out / f"{path.stem}-waveform.onnx"
    with replacing(target) as temporary:
        temporary.write_bytes(data)
        _compare(path, temporary, spec)
    return target


def _compare(before: Path, after: Path, spec: FeatureSpec) -> None:
    """Both files on noise of several levels and lengths."""
    rng = np.random.default_rng(0)
    features, samples = open_backend(before, "onnx"), open_backend(after, "onnx")
    for seconds, level in ((1.0, 0.3), (2.5, 0.03), (4.0, 0.003)):
        sound = (rng.normal(size=round(seconds * spec.sample_rate)) * level).clip(-1, 1)
        sound = sound.astype(np.float32)
        want, found = features.run(log_mel(sound, spec)[None]), samples.run(sound[None])
        for name, values in want.items():
            worst = float(np.abs(values - found[name]).max())
            if worst > _LIMIT:
                raise ParityFailed(
                    f"{after.name}: {name} differs by {worst:.4f} from {before.name}; "
                    f"at most {_LIMIT:g} is allowed"
                )
