"""Weights out of a TensorFlow.js graph model: a JSON manifest and the binary files beside it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgeemo.artifacts.reading import read_bytes
from edgeemo.errors import BadArtifact
from edgeemo.files import is_plain

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
    found: dict[str, Tensor] = {}
    try:
        for group in json.loads(read_bytes(manifest, _MOST).decode())["weightsManifest"]:
            data = b"".join(_beside(manifest, name) for name in group["paths"])
            at = 0
            for entry in group["weights"]:
                kind = np.dtype(_KINDS[entry.get("quantization", entry)["dtype"]])
                shape = [int(n) for n in entry["shape"]]
                values = np.frombuffer(data, kind, math.prod(shape), at).reshape(shape)
                found[entry["name"]] = torch.from_numpy(values.astype(np.float32))
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
    return found


def _beside(manifest: Path, name: Any) -> bytes:
    if not is_plain(name):
        raise BadArtifact(f"{manifest}: weights in {name!r}; expected a file of the same folder")
    try:
        return read_bytes(manifest.parent / name, _MOST)
    except BadArtifact as error:
        raise BadArtifact(f"{manifest}: its weights: {error}") from None
