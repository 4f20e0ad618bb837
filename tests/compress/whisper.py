"""A Whisper encoder so small that tests can make one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WIDTH = 24


def whisper(layers: int = 2) -> dict[str, NDArray[np.generic]]:
    """Random weights in the shapes of a small encoder of six heads."""
    rng = np.random.default_rng(0)
    shapes = {
        "conv1/weight": (WIDTH, 80, 3),
        "conv1/bias": (WIDTH,),
        "conv2/weight": (WIDTH, WIDTH, 3),
        "conv2/bias": (WIDTH,),
        "position_encodings/encodings": (1500, WIDTH),
    }
    for i in range(layers):
        for part, inner in (("self_attention", 3 * WIDTH), ("ffn", 4 * WIDTH)):
            back = WIDTH if part == "self_attention" else inner
            shapes |= {
                f"layer_{i}/{part}/layer_norm/gamma": (WIDTH,),
                f"layer_{i}/{part}/layer_norm/beta": (WIDTH,),
                f"layer_{i}/{part}/linear_0/weight": (inner, WIDTH),
                f"layer_{i}/{part}/linear_0/bias": (inner,),
                f"layer_{i}/{part}/linear_1/weight": (WIDTH, back),
                f"layer_{i}/{part}/linear_1/bias": (WIDTH,),
            }
    return {
        "encoder/" + name: (rng.standard_normal(shape) * 0.2).astype(np.float16)
        for name, shape in shapes.items()
    }
