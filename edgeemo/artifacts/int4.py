"""Numbers of four bits, as TFLite and ONNX pack them: two a byte, the first in the lower half."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def unpack_int4(data: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Numbers of -8 to 7, one a byte.

    Args:
        data: half as many bytes, rounded up.
        shape: of what they make.
    """
    halves = np.stack([data << 4, data & 0xF0], axis=-1).view(np.int8).reshape(-1) >> 4
    return np.ascontiguousarray(halves[: math.prod(shape)].reshape(shape))


def pack_int4(numbers: NDArray[Any]) -> bytes:
    """The bytes that `unpack_int4` reads.

    Args:
        numbers: integers of -8 to 7, of any shape.
    """
    flat = np.zeros(numbers.size + numbers.size % 2, np.uint8)
    flat[: numbers.size] = numbers.astype(np.int8).view(np.uint8).reshape(-1) & 15
    return (flat[::2] | flat[1::2] << 4).tobytes()
