"""What all backends do with an artifact: read its bytes, and hold it to its card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.card import Card
from edgeemo.errors import BadArtifact


def read_bytes(path: Path, most: int) -> bytes:
    """The bytes of a file of at most `most`.

    Raises:
        BadArtifact: not there, not a file, too large, or the system refuses.
    """
    try:
        if not path.is_file():
            raise BadArtifact(f"{path}: {'not a file' if path.exists() else 'no such file'}")
        size = path.stat().st_size
        if size > most:
            raise BadArtifact(f"{path}: {size} bytes; at most {most} are read")
        return path.read_bytes()
    except OSError as error:
        raise BadArtifact(f"{path}: cannot be read: {error.strerror or error}") from None


def check_outputs(outputs: dict[str, NDArray[np.float32]], card: Card, path: Path) -> None:
    """Refuse outputs that are not what the card promises.

    Raises:
        BadArtifact: an output has another shape than [1, labels], or is not finite.
    """
    for output in card.outputs:
        array = outputs[output.name]
        if array.shape != (1, len(output.labels)) or not np.isfinite(array).all():
            raise BadArtifact(
                f"{path}: output {output.name} has shape {array.shape} or is not finite; "
                f"the card promises {(1, len(output.labels))}"
            )
