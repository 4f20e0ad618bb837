"""What all backends do with an artifact: hold what it gives to its card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.card import Card
from edgeemo.errors import BadArtifact


def check_outputs(outputs: dict[str, NDArray[np.float32]], card: Card, path: Path) -> None:
    """Refuse outputs that are not what the card promises.

    Args:
        outputs: array by name; all that the card names.
        card: of the model.
        path: the model's file, for messages.

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
