"""Weights out of a TensorFlow.js graph model: a JSON manifest and the binary files beside it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgeemo.errors import BadArtifact
from edgeemo.io.files import confined
from edgeemo.io.loading import load_json, read_bytes

_MOST = 64 << 20
_KINDS = {"float32": "<f4", "float16": "<f2", "int32": "<i4"}


def read_tfjs(manifest: Path) -> dict[str, Tensor]:
    """All weights of a model, by name, as float32.

    The layout is the one that tensorflowjs_converter writes: `weightsManifest` lists groups, whose
    files joined hold the weights one behind the other, in float32 or in float16.

    Args:
        manifest: the JSON file; the binary files lie in its folder.

    Raises:
        BadArtifact: not such a file; a file is missing, outside the folder, or of another size
            than the manifest says; weights of a kind that is not read.
    """
    weights: dict[str, Tensor] = {}
    try:
        for group in load_json(manifest, BadArtifact, _MOST)["weightsManifest"]:
            data = b"".join(_beside(manifest, name) for name in group["paths"])
            at = 0
            for entry in group["weights"]:
                kind = np.dtype(_KINDS[entry.get("quantization", entry)["dtype"]])
                shape = [int(n) for n in entry["shape"]]
                values = np.frombuffer(data, kind, math.prod(shape), at).reshape(shape)
                weights[entry["name"]] = torch.from_numpy(values.astype(np.float32))
                at += values.nbytes
            if at != len(data):
                raise BadArtifact(f"{manifest}: names {at} bytes of weights; {len(data)} are there")
    except BadArtifact:
        raise
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise BadArtifact(
            f"{manifest}: not a TensorFlow.js model ({type(error).__name__}: {error!s:.100})"
        ) from None
    return weights


def _beside(manifest: Path, name: Any) -> bytes:
    try:
        return read_bytes(confined(manifest.parent, name, plain=True), BadArtifact, _MOST)
    except (ValueError, BadArtifact) as error:
        raise BadArtifact(f"{manifest}: weights in {error}") from None
