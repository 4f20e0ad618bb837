"""One-hop artifacts: a causal model as a step with its states outside.

Such a file takes the frames of one token and the states, and gives the token and the next states.
The estimate for all frames so far comes from the mean of all tokens, which goes in by "mean".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import BadInput

MEAN, TOKEN, STATE, NEXT = "mean", "token", "state", "next"
"""Names of inputs and outputs; states are numbered, "state0" and its successor "next0"."""

Arrays = Mapping[str, NDArray[np.generic]]
Call = Callable[
    [NDArray[np.float32], NDArray[np.float32], Arrays],
    tuple[dict[str, NDArray[np.float32]], Arrays],
]


def lacking(inputs: Collection[str], outputs: Collection[str]) -> list[str]:
    """Names that a step model of these inputs and outputs lacks: a mean, a token, next states.

    Args:
        inputs: names of what its graph takes.
        outputs: names of what it gives.
    """
    wanted = {n.replace(STATE, NEXT) for n in inputs if n.startswith(STATE)} | {TOKEN}
    return sorted(wanted - set(outputs)) + [MEAN] * (MEAN not in inputs)


class ArtifactStepModel:
    """See `edgeemo.backends.StepModel`.

    Args:
        call: one step: features [1, hop, bands], mean [1, pooled] and states to the outputs
            (the token among them) and the next states. The states are the backend's own numbers.
        start: states before the first frame.
        hop: frames of a step.
        shape: bands and pooled.
    """

    def __init__(self, call: Call, start: Arrays, hop: int, shape: tuple[int, int]) -> None:
        self._call, self._start, self._shape = call, start, shape
        self._hop = self.stride = hop
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        self._states: Arrays = self._start
        self._rest = np.zeros((0, self._shape[0]), np.float32)
        self._sum = np.zeros((1, self._shape[1]))
        self._count = 0

    def push(self, features: NDArray[np.float32]) -> None:
        """Take frames, [n, bands]; those that make no whole hop yet wait."""
        frames = np.concatenate([self._rest, features])
        whole = len(frames) // self._hop * self._hop
        mean = np.zeros((1, self._shape[1]), np.float32)
        for at in range(0, whole, self._hop):
            step = frames[np.newaxis, at : at + self._hop]
            outputs, self._states = self._call(step, mean, self._states)
            self._sum += outputs[TOKEN].reshape(1, -1)
            self._count += 1
        self._rest = frames[whole:]

    def of(self, features: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """The estimate for these frames, [n, bands], after all before them."""
        self.push(features)
        return self.outputs()

    def outputs(self) -> dict[str, NDArray[np.float32]]:
        """The estimate for everything since the last reset.

        Raises:
            BadInput: less than a hop has come.
        """
        if not self._count:
            raise BadInput(f"less than one hop of {self._hop} frames has come; push more")
        mean = (self._sum / self._count).astype(np.float32)
        nothing = np.zeros((1, self._hop, self._shape[0]), np.float32)
        outputs, _ = self._call(nothing, mean, self._states)  # the next states are dropped
        del outputs[TOKEN]
        return outputs
