"""A table of packed rows as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from edgeemo.features import FeatureSpec
from edgeemo.types import CLASSES, DIMENSIONS
from edgeemo.vision.images import ImageSpec

from .dataset import LabelledDataset, Ragged


def dataset_of(
    table: Any, spec: FeatureSpec | ImageSpec, clips: NDArray[np.object_]
) -> LabelledDataset:
    """Rows as arrays; long columns are views of the table's bytes.

    Args:
        table: of Arrow, with one row or more; a chunk a column.
        spec: of the features.
        clips: object [N], what is known of each row's clip, or None.

    Raises:
        ValueError, TypeError, AttributeError: the columns do not hold what they should.
    """
    face = isinstance(spec, ImageSpec)
    width = spec.size * spec.channels if isinstance(spec, ImageSpec) else spec.bands
    token_width = int(table["width"].to_numpy().max())
    embedding = _ragged(table["embedding"], 1, np.float16)
    dimensions = _fixed(table["adv"], len(DIMENSIONS))
    return LabelledDataset(
        spec=spec,
        clips=clips,
        copy=table["copy"].to_numpy().astype(np.int64),
        partner=np.full(len(table), "", dtype=str),
        features=_ragged(table["features"], width, np.uint8 if face else np.float16),
        level=table["level"].to_numpy().astype(np.float32),
        dimensions=dimensions,
        probs=_fixed(table["probs"], len(CLASSES)),
        embedding=embedding.values.reshape(len(table), -1) if len(embedding.values) else None,
        tokens=_ragged(table["tokens"], token_width, np.float16) if token_width else None,
        token_rate=float(table["rate"][0].as_py()),
        human_dimensions=_fixed(table["human_dimensions"], len(DIMENSIONS)),
        votes=_fixed(table["votes"], len(CLASSES)),
        votes_weight=table["votes_weight"].to_numpy().astype(np.float32),
        intervals=_fixed(table["intervals"], 2 * len(DIMENSIONS)).reshape(-1, len(DIMENSIONS), 2),
    )


def _fixed(column: Any, width: int) -> NDArray[np.float32]:
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.array(flat, np.float32).reshape(len(column), width)


def _ragged(column: Any, width: int, dtype: type[Any]) -> Ragged:
    """A column of bytes as arrays [T_i, width], without a copy."""
    array = column.combine_chunks()
    array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    _, offsets, data = array.buffers()
    edges = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    size = width * np.dtype(dtype).itemsize
    if (edges % size).any():
        raise ValueError(f"a row of {column.type} is no whole number of {size} bytes")
    values = np.frombuffer(data, dtype, edges[-1] // np.dtype(dtype).itemsize)
    starts = edges.astype(np.int64) // size
    return Ragged(values.reshape(-1, width), starts[:-1], np.diff(starts))
